//! Whoever dies or is stopped, traffic flows again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_kernel::{Pidfd, ProcessIdentity, Signal};
use firedrill_undo::{Filter, StateDir, recover};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bed::{Bed, FAR};
use crate::drill::{LONG, pause, program, send, wait_for, worker_of};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    OwnerKilled,
    GuardianKilled,
    BothKilled,
    /// It does not renew any more, and the guardian ends it with the lease.
    OwnerStopped,
    /// The kernel ends it with the lease.
    GuardianStopped,
    /// Nobody is left to act: the kernel ends it with the lease.
    BothStopped,
    /// The kernel lets packets pass that a queue has nobody for.
    WorkerKilled,
    /// The guardian kills it.
    WorkerStopped,
    /// As with both, and the worker does not look at its deadline either.
    AllStopped,
}

/// Long enough for a busy machine, short enough to be waited for.
const LEASE: Duration = Duration::from_secs(3);

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
            .args([LEASE.as_millis().to_string().as_str(), fault])
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
            Fate::OwnerStopped => send(&owner, Signal::Stop),
            Fate::GuardianStopped => send(&self.guardian, Signal::Stop),
            Fate::BothStopped => {
                send(&owner, Signal::Stop);
                send(&self.guardian, Signal::Stop);
            }
            Fate::WorkerKilled => send(&worker_of(self.guardian.pid), Signal::Kill),
            Fate::WorkerStopped => send(&worker_of(self.guardian.pid), Signal::Stop),
            Fate::AllStopped => {
                let worker = worker_of(self.guardian.pid);
                send(&owner, Signal::Stop);
                send(&self.guardian, Signal::Stop);
                send(&worker, Signal::Stop);
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

/// Longer than the answer is waited for.
fn delay() -> Value {
    json!({"delay": "30s", "mechanism": "nfqueue"})
}

fn suffer(fault: &str, arguments: &Value, fate: Fate) {
    suffer_until(Bed::far_answers, fault, arguments, fate);
}

/// `answers` is the instrument.
fn suffer_until(answers: fn(&Bed) -> bool, fault: &str, arguments: &Value, fate: Fate) {
    let Some(bed) = Bed::lay() else { return };
    let before = bed.snapshot();
    let target = json!({"namespace": bed.near.name});
    let owner = Owner::of(fault, arguments, &target);
    assert!(!answers(&bed), "{fault} has no effect");
    owner.meet(fate);
    let met = Instant::now();
    if fate == Fate::BothKilled {
        let state = StateDir::at(owner.root.path());
        wait_for("a recovery", || recover(&state, &Filter::All).is_ok());
    }
    wait_for("an answer", || answers(&bed));
    let took = met.elapsed();
    eprintln!("{fault}, {fate:?}: an answer after {} ms", took.as_millis());
    // Generous for a busy machine: each look for an answer may take 700 ms.
    assert!(took < 3 * LEASE, "{fault}, {fate:?}: {took:?}");
    drop(owner);
    wait_for("nothing left", || bed.snapshot() == before);
}

const DEATHS: [Fate; 3] = [Fate::OwnerKilled, Fate::GuardianKilled, Fate::BothKilled];
const STOPS: [Fate; 3] = [Fate::OwnerStopped, Fate::GuardianStopped, Fate::BothStopped];
const WORKERS: [Fate; 2] = [Fate::WorkerKilled, Fate::WorkerStopped];

#[test]
fn rules_end_with_whoever_dies_and_with_their_lease() {
    for fate in DEATHS.into_iter().chain(STOPS) {
        suffer("switching.blackhole", &json!({}), fate);
    }
}

#[test]
fn a_partition_ends_with_whoever_dies_and_with_its_lease() {
    let groups = json!({"groups": ["10.90.0.1", "10.90.0.2"]});
    for fate in DEATHS.into_iter().chain(STOPS) {
        suffer("switching.partition", &groups, fate);
    }
}

#[test]
fn a_queue_ends_with_whoever_dies_and_with_its_lease() {
    for fate in DEATHS.into_iter().chain(STOPS) {
        suffer("switching.latency", &delay(), fate);
    }
}

#[test]
fn a_queue_without_a_working_worker_lets_packets_pass() {
    for fate in WORKERS {
        suffer("switching.latency", &delay(), fate);
    }
}

#[test]
fn an_interface_comes_back_after_any_death() {
    for fate in DEATHS {
        suffer(
            "switching.interface-down",
            &json!({"interface": "near0"}),
            fate,
        );
    }
}

#[test]
fn connections_go_directly_after_any_death_and_at_the_end_of_the_lease() {
    let hang = json!({"hang": true, "remote-port": 5432});
    let fates = DEATHS.into_iter().chain(STOPS).chain(WORKERS);
    for fate in fates.chain([Fate::AllStopped]) {
        suffer_until(answers_over_tcp, "switching.stream", &hang, fate);
    }
}

/// Whether a server that is asked anew says something.
fn answers_over_tcp(bed: &Bed) -> bool {
    let at = SocketAddr::from((FAR, 5432));
    let listener = bed.far.listen(at);
    let Ok(mut client) = bed.near.connect(at) else {
        return false;
    };
    listener.set_nonblocking(true).unwrap();
    // The proxy connects a moment after it was connected to.
    pause(Duration::from_millis(50));
    let Ok((mut server, _)) = listener.accept() else {
        return false;
    };
    let limit = Some(Duration::from_millis(500));
    client.set_read_timeout(limit).unwrap();
    server.write_all(b"x").is_ok() && client.read_exact(&mut [0]).is_ok()
}
