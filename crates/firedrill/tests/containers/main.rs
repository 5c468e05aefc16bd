//! Drills on containers of real engines, Docker and Podman, each started for the test; skipped by name
//! where that cannot be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "what was skipped")]

#[path = "../../../container/tests/engines/started.rs"]
mod started;

use std::process::{Child, Command, Stdio};

use started::{Started, wait_until};
use tempfile::TempDir;

#[test]
fn docker_a_container_that_restarts_is_met_again_and_nothing_is_left_of_it() {
    on(Started::docker());
}

#[test]
fn podman_a_container_that_restarts_is_met_again_and_nothing_is_left_of_it() {
    on(Started::podman());
}

fn on(started: Result<Started, String>) {
    match started {
        Ok(started) => {
            a_container_that_restarts_is_met_again(&started);
            let left = started.end();
            assert!(left.is_empty(), "left behind: {left:#?}");
        }
        Err(reason) => println!("skipped: {reason}"),
    }
}

/// As what runs in the container would find it: whether it is answered there, and the rules.
struct Inside<'a> {
    started: &'a Started,
    id: &'a str,
}

impl Inside<'_> {
    fn run(&self, words: &[&str]) -> Option<String> {
        let pid = self.started.engine.inspect(self.id).ok()?.pid?.to_string();
        let output = Command::new("nsenter")
            .args(["--net", "--target", &pid])
            .args(words)
            .output()
            .unwrap();
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `None` when there is no container to ask in.
    fn is_answered(&self) -> Option<bool> {
        self.run(&["ip", "link", "set", "lo", "up"])?;
        let told = self.run(&["ping", "-c", "1", "-W", "1", "127.0.0.1"])?;
        told.contains(" packet")
            .then(|| told.contains(" 1 received"))
    }
}

fn a_container_that_restarts_is_met_again(started: &Started) {
    let id = started.run("web", &[]);
    let inside = Inside { started, id: &id };
    if inside.is_answered() != Some(true) {
        println!("skipped: no nsenter, ip or ping");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let mut drill = inject(started, &root);
    wait_until("it is met", || inside.is_answered() == Some(false));
    let first = started.engine.inspect(&id).unwrap().pid;
    started.tell(&["restart", "--time", "1", &id]);
    assert_ne!(started.engine.inspect(&id).unwrap().pid, first);
    wait_until("it is met again", || inside.is_answered() == Some(false));
    let status = drill.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(inside.is_answered(), Some(true));
    assert_eq!(inside.run(&["nft", "list", "ruleset"]).unwrap(), "");
}

/// A blackhole of what the container says to itself, for long enough.
fn inject(started: &Started, root: &TempDir) -> Child {
    Command::new(env!("CARGO_BIN_EXE_firedrill"))
        .args(["inject", "switching.blackhole", "address=127.0.0.1"])
        .args(["--target", "container=web", "--for", "15s"])
        .env(
            "DOCKER_HOST",
            format!("unix://{}", started.engine.socket.display()),
        )
        .env("FIREDRILL_STATE_DIR", root.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
