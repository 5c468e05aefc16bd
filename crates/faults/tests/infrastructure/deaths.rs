//! Whoever dies, the fault ends: the owner, the guardian, or both.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use firedrill_kernel::cgroup::{Controller, Limit, LimitKind};
use firedrill_kernel::{Pidfd, ProcessIdentity, Signal};
use firedrill_undo::{Filter, StateDir, recover};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clock_skew::{CLOCK, Clock};
use crate::drill::{LONG, children_of, program, wait_for};
use crate::memory::spared;
use crate::places::{OwnCgroup, OwnMount};

#[derive(Clone, Copy, Debug)]
enum Victim {
    Owner,
    Guardian,
    Both,
}

const VICTIMS: [Victim; 3] = [Victim::Owner, Victim::Guardian, Victim::Both];

/// An owner in a process of its own, with one fault in place.
struct Owner {
    child: Child,
    guardian: ProcessIdentity,
    root: TempDir,
}

impl Owner {
    fn of(fault: &str, arguments: &Value, target: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut child = Command::new(program())
            .arg("owner")
            .arg(root.path())
            .args([fault, &arguments.to_string(), target])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let pid = line.trim().strip_prefix("applied ").expect(&line);
        let guardian = ProcessIdentity::of(pid.parse().unwrap()).unwrap().unwrap();
        Self {
            child,
            guardian,
            root,
        }
    }

    fn lose(&mut self, victim: Victim) {
        let owner = ProcessIdentity::of(self.child.id()).unwrap().unwrap();
        let owner = Pidfd::open(&owner).unwrap().unwrap();
        let guardian = Pidfd::open(&self.guardian).unwrap().unwrap();
        match victim {
            Victim::Owner => drop(owner.send(Signal::Kill).unwrap()),
            Victim::Guardian => drop(guardian.send(Signal::Kill).unwrap()),
            Victim::Both => {
                owner.send(Signal::Stop).unwrap();
                guardian.send(Signal::Kill).unwrap();
                owner.send(Signal::Kill).unwrap();
                self.child.wait().unwrap();
                assert!(guardian.wait_for_exit(LONG).unwrap());
                recover(&StateDir::at(self.root.path()), &Filter::All).unwrap();
            }
        }
        self.child.wait().unwrap();
    }

    fn nothing_left(&self) -> bool {
        let drills = self.root.path().join("drills");
        std::fs::read_dir(drills).map_or(0, Iterator::count) == 0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Applies it for each victim, and waits until `is_there` says no, and no log is left.
fn ends_with_each(fault: &str, arguments: &Value, target: &str, is_there: &dyn Fn() -> bool) {
    for victim in VICTIMS {
        assert!(!is_there(), "{fault} before {victim:?}");
        let mut owner = Owner::of(fault, arguments, target);
        wait_for("the fault is there", is_there);
        let workers = children_of(owner.guardian.pid);
        owner.lose(victim);
        wait_for(
            &format!("{fault} is clean after the death of {victim:?}"),
            || !is_there() && owner.nothing_left(),
        );
        for worker in workers {
            wait_for("its worker is gone", || {
                ProcessIdentity::of(worker).unwrap().is_none()
            });
        }
    }
}

#[test]
fn a_load_in_a_cgroup_ends_with_its_drill() {
    for (fault, arguments, controller) in [
        (
            "infrastructure.cpu",
            json!({"percent": 10}),
            Controller::Cpu,
        ),
        (
            "infrastructure.memory",
            json!({"bytes": "16MiB"}),
            Controller::Memory,
        ),
        (
            "infrastructure.pids",
            json!({"count": 50}),
            Controller::Pids,
        ),
    ] {
        if controller == Controller::Memory && spared().is_none() {
            continue;
        }
        let Some(own) = OwnCgroup::with(controller) else {
            continue;
        };
        let target = format!("cgroup:{}", own.path().display());
        let is_there = || !own.0.processes().unwrap().is_empty();
        ends_with_each(fault, &arguments, &target, &is_there);
    }
}

#[test]
fn a_throttle_ends_with_its_drill() {
    let Some(own) = OwnCgroup::with(Controller::Cpu) else {
        return;
    };
    let before = own.0.limit(LimitKind::Cpu).unwrap();
    let target = format!("cgroup:{}", own.path().display());
    let is_there = || own.0.limit(LimitKind::Cpu).unwrap() != before;
    assert!(matches!(before, Limit::Cpu(_)));
    ends_with_each(
        "infrastructure.cpu",
        &json!({"throttle": 50}),
        &target,
        &is_there,
    );
}

#[test]
fn what_is_taken_of_a_file_system_is_given_back() {
    let Some(mount) = OwnMount::tmpfs("size=32m,nr_inodes=400") else {
        return;
    };
    let before = mount.space();
    let is_there = || mount.space() != before;
    for (fault, arguments) in [
        (
            "infrastructure.disk-fill",
            json!({"path": mount.path(), "bytes": "8MiB"}),
        ),
        (
            "infrastructure.inodes",
            json!({"path": mount.path(), "count": 50}),
        ),
        (
            "infrastructure.io",
            json!({"path": mount.path(), "file-size": "1MiB", "rate": "1MiB"}),
        ),
    ] {
        ends_with_each(fault, &arguments, "host", &is_there);
    }
}

#[test]
fn open_files_are_closed() {
    let holds = || {
        let named = |pid: &u32| {
            firedrill_kernel::process::stat(*pid)
                .unwrap()
                .is_some_and(|stat| stat.comm == "firedrill-work" && !stat.is_gone())
        };
        let many = |pid: &u32| {
            std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|fds| fds.count() > 1777)
        };
        let pids = firedrill_kernel::process::list().unwrap();
        pids.iter().any(|pid| named(pid) && many(pid))
    };
    let _others = OPEN_FILES.lock();
    for victim in VICTIMS {
        let arguments = json!({"count": 1800});
        let mut owner = Owner::of("infrastructure.file-descriptors", &arguments, "host");
        let workers = children_of(owner.guardian.pid);
        assert!(holds());
        owner.lose(victim);
        for worker in workers {
            wait_for("its worker is gone", || {
                ProcessIdentity::of(worker).unwrap().is_none()
            });
        }
        wait_for("no log is left", || owner.nothing_left());
    }
}

static OPEN_FILES: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn a_moved_clock_comes_back() {
    let Some(clock) = Clock::take() else { return };
    for arguments in [
        json!({"offset": "2s"}),
        json!({"offset": "-2s", "period": "40ms"}),
    ] {
        for victim in VICTIMS {
            let mut owner = Owner::of(CLOCK, &arguments, "host");
            wait_for("the clock is away", || clock.is_away());
            owner.lose(victim);
            wait_for("no log is left", || owner.nothing_left());
            let residue = clock.moved();
            eprintln!("clock: {arguments}, {victim:?} killed; residue {residue} ns");
            assert!(residue.abs() < 10_000, "{residue}");
        }
    }
}
