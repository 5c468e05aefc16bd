//! Whoever dies or is stopped, traffic flows again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use firedrill_kernel::{Pidfd, ProcessIdentity, Signal};
use firedrill_undo::{Filter, StateDir, recover};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bed::Bed;
use crate::drill::{LONG, program, wait_for};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    OwnerKilled,
    GuardianKilled,
    BothKilled,
    /// Both stopped: nobody is left to act, and the kernel ends it with the lease.
    BothStopped,
}

/// Long enough for a busy machine, short enough to be waited for.
const LEASE_MS: &str = "3000";

/// An owner in a process of its own, with one fault in place.
struct Owner {
    child: Child,
    guardian: ProcessIdentity,
    root: TempDir,
}

impl Owner {
    fn of(fault: &str, arguments: &Value, target: &Value) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut child = Command::new(program())
            .arg("owner")
            .arg(root.path())
            .args([LEASE_MS, fault])
            .args([arguments.to_string(), target.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let begun: Value = serde_json::from_str(&line).unwrap();
        let pid = begun["guardian"].as_u64().expect(&line);
        let pid = u32::try_from(pid).unwrap();
        let guardian = ProcessIdentity::of(pid).unwrap().unwrap();
        Self {
            child,
            guardian,
            root,
        }
    }

    fn meet(&self, fate: Fate) {
        let owner = ProcessIdentity::of(self.child.id()).unwrap().unwrap();
        let send = |process: &ProcessIdentity, signal| {
            let pidfd = Pidfd::open(process).unwrap().unwrap();
            pidfd.send(signal).unwrap();
        };
        match fate {
            Fate::OwnerKilled => send(&owner, Signal::Kill),
            Fate::GuardianKilled => {
                send(&self.guardian, Signal::Kill);
                let mut input = self.child.stdin.as_ref().unwrap();
                input.write_all(b"replace\n").unwrap();
            }
            Fate::BothKilled => {
                send(&owner, Signal::Kill);
                send(&self.guardian, Signal::Kill);
            }
            Fate::BothStopped => {
                send(&owner, Signal::Stop);
                send(&self.guardian, Signal::Stop);
            }
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Ok(Some(guardian)) = Pidfd::open(&self.guardian) {
            let _ = guardian.send(Signal::Cont);
            let _ = guardian.wait_for_exit(LONG);
        }
    }
}

fn suffer(fault: &str, arguments: &Value, fate: Fate) {
    let Some(bed) = Bed::lay() else { return };
    let before = bed.snapshot();
    let target = json!({"namespace": bed.near.name});
    let owner = Owner::of(fault, arguments, &target);
    assert!(!bed.far_answers(), "{fault} has no effect");
    owner.meet(fate);
    if fate == Fate::BothKilled {
        let state = StateDir::at(owner.root.path());
        wait_for("a recovery", || recover(&state, &Filter::All).is_ok());
    }
    wait_for("an answer", || bed.far_answers());
    drop(owner);
    wait_for("nothing left", || bed.snapshot() == before);
}

const FATES: [Fate; 3] = [Fate::OwnerKilled, Fate::GuardianKilled, Fate::BothKilled];

#[test]
fn rules_end_with_whoever_dies_and_with_their_lease() {
    for fate in FATES.into_iter().chain([Fate::BothStopped]) {
        suffer("switching.blackhole", &json!({}), fate);
    }
}

#[test]
fn a_partition_ends_with_whoever_dies_and_with_its_lease() {
    let groups = json!({"groups": ["10.90.0.1", "10.90.0.2"]});
    for fate in FATES.into_iter().chain([Fate::BothStopped]) {
        suffer("switching.partition", &groups, fate);
    }
}

#[test]
fn a_queue_ends_with_whoever_dies_and_with_its_lease() {
    // Longer than the answer is waited for.
    let delay = json!({"delay": "5s", "mechanism": "nfqueue"});
    for fate in FATES.into_iter().chain([Fate::BothStopped]) {
        suffer("switching.latency", &delay, fate);
    }
}

#[test]
fn an_interface_comes_back_after_any_death() {
    for fate in FATES {
        suffer(
            "switching.interface-down",
            &json!({"interface": "near0"}),
            fate,
        );
    }
}
