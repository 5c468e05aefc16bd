use std::path::PathBuf;
use std::time::{Duration, Instant};

use firedrill_faults::{CompileError, Fault, Site, Target};
use firedrill_kernel::process;
use firedrill_undo::{
    Applied, Guardian, GuardianError, Measurement, Observed, Quantity, Reverted, SpawnConfig,
    StateDir,
};
use serde_json::Value;
use tempfile::TempDir;

/// Far above anything measured, in a virtual machine on a busy host too: only a hang fails by it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A guardian of this test's own.
pub(crate) struct Drill {
    pub(crate) guardian: Guardian,
    _root: TempDir,
}

/// A fault in place.
pub(crate) struct Placed {
    pub(crate) drill: Drill,
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

    pub(crate) fn apply(self, fault: &str, arguments: &Value, target: Target) -> Placed {
        let primitives = compile(fault, arguments, &[target]).unwrap();
        let applied = self.guardian.apply(primitives).unwrap();
        Placed {
            drill: self,
            applied,
        }
    }

    /// A fault that compiles and is refused when it is applied.
    pub(crate) fn refusal(&self, fault: &str, arguments: &Value, target: Target) -> GuardianError {
        let primitives = compile(fault, arguments, &[target]).unwrap();
        self.guardian.apply(primitives).unwrap_err()
    }
}

impl Placed {
    /// As an owner does: whoever looks again and again keeps the fault in place.
    pub(crate) fn observe(&self) -> Observed {
        let guardian = &self.drill.guardian;
        let mut seen = None;
        wait_for("a look at it", || {
            guardian.renew().unwrap();
            seen = match guardian.observe_until(self.applied.id, LONG / 2) {
                Ok(seen) => Some(seen),
                // On a busy host its worker may not get to it in time.
                Err(error) if format!("{error:?}").contains("gave no reply") => None,
                Err(error) => panic!("{error:?}"),
            };
            seen.is_some()
        });
        seen.unwrap()
    }

    /// The figure of one quantity, which must be there.
    pub(crate) fn figure(&self, quantity: Quantity) -> Measurement {
        let seen = self.observe();
        assert!(seen.is_complete() && seen.idle.is_empty(), "{seen:?}");
        let figure = seen.measured.iter().find(|one| one.quantity == quantity);
        figure.unwrap_or_else(|| panic!("{seen:?}")).clone()
    }

    /// As [`Self::figure`], once it is met to the percent.
    pub(crate) fn figure_when_met(&self, quantity: Quantity) -> Measurement {
        let mut met = None;
        wait_for("what was asked", || {
            // A look at much memory takes its time from the one who fills it.
            pause(Duration::from_millis(200));
            let seen = self.observe();
            assert!(seen.is_complete(), "{seen:?}");
            let figures = seen.measured.into_iter();
            met = figures.filter(|one| one.quantity == quantity).find(|one| {
                let asked = one.requested.unwrap();
                (one.achieved - asked).abs() <= asked / 100.0
            });
            met.is_some()
        });
        met.unwrap()
    }

    /// As [`Self::figure`], once there has been time to measure.
    pub(crate) fn figure_later(&self, quantity: Quantity) -> Measurement {
        wait_for("a figure", || !self.observe().measured.is_empty());
        self.figure(quantity)
    }

    /// The pids of the guardian's workers.
    pub(crate) fn workers(&self) -> Vec<u32> {
        children_of(self.drill.guardian.ready().guardian.pid)
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
    targets: &[Target],
) -> Result<Vec<firedrill_undo::Primitive>, CompileError> {
    let fault = Fault::parse(fault, arguments.as_object().unwrap()).unwrap();
    fault.compile(&Site::of(targets))
}

pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        process::stat(*pid)
            .unwrap()
            .is_some_and(|stat| stat.parent == parent && !stat.is_gone())
    };
    process::list()
        .unwrap()
        .into_iter()
        .filter(is_child)
        .collect()
}

/// The example of this crate that acts as owner, guardian and worker.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    // In a virtual machine all programs are in one folder.
    [
        profile.join("examples/one_fault"),
        test.with_file_name("one_fault"),
    ]
    .into_iter()
    .find(|program| program.exists())
    .expect("the example `one_fault` is built with the tests")
}

/// Waits for something that must come true; only a hang fails by time.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "still not: {what}");
        pause(Duration::from_millis(5));
    }
}

/// A time over which something is measured.
#[expect(clippy::disallowed_methods, reason = "nothing here is to be halted")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
