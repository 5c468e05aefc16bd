use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firedrill_faults::{CompileError, Fault, Site, Target};
use firedrill_kernel::{Pidfd, ProcessIdentity, Signal, process};
use firedrill_undo::{
    Applied, Guardian, GuardianError, Measurement, Observed, Primitive, Quantity, Reverted,
    SpawnConfig, StateDir,
};
use serde_json::Value;
use tempfile::TempDir;

/// Far above anything measured: only a hang fails by it.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A guardian of this test's own.
pub(crate) struct Drill {
    pub(crate) guardian: Guardian,
    _root: TempDir,
}

/// A fault in place.
pub(crate) struct Placed {
    drill: Drill,
    pub(crate) applied: Applied,
}

impl Drill {
    pub(crate) fn begin() -> Self {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::at(root.path());
        let mut config = SpawnConfig::new(state, "one".parse().unwrap(), "a test");
        config.exe = program();
        config.lease = LONG;
        config.reply_limit = LONG;
        Self {
            guardian: Guardian::spawn(config).unwrap(),
            _root: root,
        }
    }

    pub(crate) fn apply(self, fault: &str, arguments: &Value, targets: &[Target]) -> Placed {
        self.put(compile(fault, arguments, &Site::of(targets)).unwrap())
    }

    pub(crate) fn put(self, primitives: Vec<Primitive>) -> Placed {
        let applied = self.guardian.apply(primitives).unwrap();
        Placed {
            drill: self,
            applied,
        }
    }

    /// A fault that compiles and is refused when it is applied.
    pub(crate) fn refusal(&self, fault: &str, arguments: &Value, target: Target) -> GuardianError {
        let primitives = compile(fault, arguments, &Site::of(&[target])).unwrap();
        self.guardian.apply(primitives).unwrap_err()
    }
}

impl Placed {
    pub(crate) fn observe(&self) -> Observed {
        self.drill.guardian.observe(self.applied.id).unwrap()
    }

    pub(crate) fn guardian(&self) -> u32 {
        self.drill.guardian.ready().guardian.pid
    }

    pub(crate) fn renew(&self) {
        self.drill.guardian.renew().unwrap();
    }

    /// The figure of one quantity, which must be there.
    pub(crate) fn figure(&self, quantity: Quantity) -> Measurement {
        let seen = self.observe();
        assert!(seen.is_complete() && seen.idle.is_empty(), "{seen:?}");
        let figure = seen.measured.iter().find(|one| one.quantity == quantity);
        figure.unwrap_or_else(|| panic!("{seen:?}")).clone()
    }

    /// Takes it back, which must leave nothing.
    pub(crate) fn revert(self) -> Reverted {
        let reverted = self.drill.guardian.revert(self.applied.id).unwrap();
        assert!(reverted.residue.is_empty(), "{reverted:?}");
        self.drill.guardian.finish().unwrap();
        reverted
    }
}

pub(crate) fn compile(
    fault: &str,
    arguments: &Value,
    site: &Site<'_>,
) -> Result<Vec<Primitive>, CompileError> {
    let fault = Fault::parse(fault, arguments.as_object().unwrap()).unwrap();
    fault.compile(site)
}

/// The example of this crate that acts as owner, guardian and worker.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    // In a virtual machine all programs are in one folder.
    let program = [
        profile.join("examples/effector"),
        test.with_file_name("effector"),
    ]
    .into_iter()
    .find(|program| program.exists())
    .expect("the example `effector` is built with the tests");
    refuse_stale(&program);
    program
}

/// Running one test alone does not build the example: an old one would be tested in its place.
/// Cargo lists beside it what it was built from; in a virtual machine there is no such list.
fn refuse_stale(program: &Path) {
    let Ok(list) = std::fs::read_to_string(program.with_extension("d")) else {
        return;
    };
    let changed = |path: &Path| path.metadata().and_then(|file| file.modified());
    let built = changed(program).unwrap();
    for source in list.split_whitespace().skip(1).map(Path::new) {
        let fresh = changed(source).is_ok_and(|changed| changed <= built);
        assert!(
            fresh,
            "{} is newer than the example: cargo build -p firedrill-faults --example effector",
            source.display()
        );
    }
}

/// The worker of a guardian.
pub(crate) fn worker_of(guardian: u32) -> ProcessIdentity {
    let is_one = |stat: &process::Stat| stat.parent == guardian && stat.comm == "firedrill-work";
    let pid = process::list()
        .unwrap()
        .into_iter()
        .find(|pid| process::stat(*pid).unwrap().as_ref().is_some_and(is_one));
    ProcessIdentity::of(pid.unwrap()).unwrap().unwrap()
}

pub(crate) fn send(process: &ProcessIdentity, signal: Signal) {
    let pidfd = Pidfd::open(process).unwrap().unwrap();
    pidfd.send(signal).unwrap();
}

/// Waits for something that must come true; only a hang fails by time.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "still not: {what}");
        pause(Duration::from_millis(5));
    }
}

/// A time over which something is awaited.
#[expect(clippy::disallowed_methods, reason = "nothing here is to be halted")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
