//! A drill in a process of its own, told which engine is there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use firedrill_kernel::{Pidfd, ProcessIdentity, Signal};
use serde_json::Value;
use tempfile::TempDir;

use crate::started::{Started, wait_until};

/// An owner that has applied a fault, and its guardian.
pub(crate) struct Drill {
    root: TempDir,
    host: String,
    owner: Child,
    out: BufReader<ChildStdout>,
    input: ChildStdin,
    /// What the owner said when the fault was in place.
    pub(crate) begun: Value,
    pub(crate) guardian: ProcessIdentity,
}

const LEASE_MS: &str = "10000";

impl Drill {
    /// # Errors
    /// With the words of the refusal.
    pub(crate) fn begin(
        started: &Started,
        fault: &str,
        arguments: &Value,
        target: &Value,
    ) -> Result<Self, String> {
        let root = tempfile::tempdir().unwrap();
        let host = format!("unix://{}", started.engine.socket.display());
        let mut owner = Command::new(program())
            .arg("owner")
            .arg(root.path())
            .args([LEASE_MS, fault, &arguments.to_string(), &target.to_string()])
            .env("DOCKER_HOST", &host)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(owner.stdout.take().unwrap());
        let input = owner.stdin.take().unwrap();
        let begun = line(&mut out);
        if let Some(refused) = begun["refused"].as_str() {
            owner.wait().unwrap();
            wait_until("a refused fault leaves no log", || drills_left(&root) == 0);
            return Err(refused.to_owned());
        }
        let pid = u32::try_from(begun["guardian"].as_u64().unwrap()).unwrap();
        Ok(Self {
            root,
            host,
            owner,
            out,
            input,
            begun,
            guardian: ProcessIdentity::of(pid).unwrap().unwrap(),
        })
    }

    /// Asks the owner, which asks the guardian.
    pub(crate) fn ask(&mut self, what: &str) -> Value {
        writeln!(self.input, "{what}").unwrap();
        line(&mut self.out)
    }

    /// Waits until the effect is seen whole.
    pub(crate) fn observe(&mut self) {
        let seen = self.ask("observe");
        assert_eq!(seen["achieved"], seen["requested"], "{seen}");
        assert_ne!(seen["requested"], 0, "{seen}");
    }

    /// Takes it back without residue.
    pub(crate) fn revert(&mut self) -> Value {
        let reverted = self.ask("revert");
        assert_eq!(reverted["residue"], serde_json::json!([]), "{reverted}");
        reverted
    }

    pub(crate) fn kill_owner(&mut self) {
        self.owner.kill().unwrap();
        self.owner.wait().unwrap();
    }

    pub(crate) fn kill_guardian(&self) {
        kill(&self.guardian);
    }

    pub(crate) fn recover(&self) -> Value {
        let output = Command::new(program())
            .arg("recover")
            .arg(self.root.path())
            .env("DOCKER_HOST", &self.host)
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// No log, no lease, no lock.
    pub(crate) fn nothing_left(&self) -> bool {
        drills_left(&self.root) == 0
    }
}

impl Drop for Drill {
    fn drop(&mut self) {
        let _ = self.owner.kill();
        let _ = self.owner.wait();
        // A living guardian has seen it, and undoes; the engine must not go first.
        wait_until("the guardian has ended", || {
            !matches!(
                self.guardian.presence(),
                Ok(firedrill_kernel::Presence::Alive)
            )
        });
    }
}

/// Kills it, unless it has ended by itself.
pub(crate) fn kill(process: &ProcessIdentity) {
    let Some(pidfd) = Pidfd::open(process).unwrap() else {
        return;
    };
    pidfd.send(Signal::Kill).unwrap();
    assert!(pidfd.wait_for_exit(Duration::from_secs(30)).unwrap());
}

fn drills_left(root: &TempDir) -> usize {
    std::fs::read_dir(root.path().join("drills")).map_or(0, Iterator::count)
}

fn line(out: &mut BufReader<ChildStdout>) -> Value {
    let mut text = String::new();
    out.read_line(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The example of this crate that acts as owner and as guardian.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let program = profile.join("examples/effector");
    assert!(
        program.exists(),
        "{} is built with the tests",
        program.display()
    );
    program
}
