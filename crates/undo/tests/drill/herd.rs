use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use firedrill_kernel::ProcessIdentity;
use firedrill_undo::{DrillId, Guardian, Primitive, SpawnConfig, StateDir};
use tempfile::TempDir;

/// Processes of this test's own, and a state directory of its own; both end with it.
pub(crate) struct Herd {
    pub(crate) root: TempDir,
    children: Vec<Child>,
}

/// Far above anything measured: only a hang fails by it.
pub(crate) const LONG: Duration = Duration::from_secs(30);

impl Herd {
    pub(crate) fn of(count: usize) -> Self {
        let mut children: Vec<Child> = Vec::new();
        for _ in 0..count {
            // A group of their own: other tests stop processes too.
            let group = children.first().map_or(0, Child::id);
            let child = Command::new("sleep")
                .arg("300")
                .process_group(i32::try_from(group).unwrap())
                .spawn()
                .unwrap();
            children.push(child);
        }
        Self {
            root: tempfile::tempdir().unwrap(),
            children,
        }
    }

    pub(crate) fn state(&self) -> StateDir {
        StateDir::at(self.root.path())
    }

    pub(crate) fn identities(&self) -> Vec<ProcessIdentity> {
        let identity = |child: &Child| ProcessIdentity::of(child.id()).unwrap().unwrap();
        self.children.iter().map(identity).collect()
    }

    pub(crate) fn pids(&self) -> Vec<String> {
        self.children
            .iter()
            .map(|child| child.id().to_string())
            .collect()
    }

    pub(crate) fn stops(&self) -> Vec<Primitive> {
        let stop = |process| Primitive::StopProcess { process };
        self.identities().into_iter().map(stop).collect()
    }

    pub(crate) fn config(&self) -> SpawnConfig {
        let mut config = SpawnConfig::new(self.state(), drill(), "a test");
        config.exe = program();
        config.lease = LONG;
        config
    }

    pub(crate) fn guardian(&self) -> Guardian {
        Guardian::spawn(self.config()).unwrap()
    }

    pub(crate) fn all_stopped(&self) -> bool {
        self.identities().iter().all(is_stopped)
    }

    pub(crate) fn all_running(&self) -> bool {
        !self.identities().iter().any(is_stopped)
    }

    pub(crate) fn kill(&mut self, index: usize) {
        self.children[index].kill().unwrap();
        self.children[index].wait().unwrap();
        self.children.remove(index);
    }

    /// No log, no lease, no lock: nothing of a drill is left.
    pub(crate) fn nothing_left(&self) -> bool {
        let drills = self.root.path().join("drills");
        std::fs::read_dir(drills).map_or(0, Iterator::count) == 0
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn drill() -> DrillId {
    "one".parse().unwrap()
}

/// The example of this crate that acts as owner and as guardian.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let program = profile.join("examples/owner_and_guardian");
    assert!(
        program.exists(),
        "{} is built with the tests",
        program.display()
    );
    program
}

pub(crate) fn is_stopped(process: &ProcessIdentity) -> bool {
    process
        .stat()
        .unwrap()
        .is_some_and(|stat| stat.state.is_stopped())
}

/// Waits for something that must come true; only a hang fails by time.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "still not: {what}");
        std::thread::yield_now();
    }
}
