use serde_json::json;

use crate::drill::{Drill, wait_for};
use crate::places::OwnProcess;

const SIGNAL: &str = "infrastructure.process-signal";

#[test]
fn a_process_that_handles_the_signal_survives_it_and_did_so() {
    let root = tempfile::tempdir().unwrap();
    let (ready, mark) = (root.path().join("ready"), root.path().join("mark"));
    let script = format!(
        "trap 'echo got >{}' USR1; echo >{}; while :; do sleep 0.05; done",
        mark.display(),
        ready.display()
    );
    let target = OwnProcess::shell(&script);
    wait_for("it handles the signal", || ready.exists());
    let arguments = json!({"signal": "USR1", "expect": "survives"});
    let placed = Drill::begin().apply(SIGNAL, &arguments, target.identity().into());
    assert!(placed.observe().is_complete());
    wait_for("its handler has run", || mark.exists());
    assert_eq!(placed.revert().undone, 0);
}

#[test]
fn a_process_that_should_end_ends_and_one_that_should_not_is_not_seen_to_survive() {
    let mut target = OwnProcess::shell("exec sleep 60");
    let arguments = json!({"signal": "USR2", "expect": "ends"});
    let placed = Drill::begin().apply(SIGNAL, &arguments, target.identity().into());
    assert!(placed.observe().is_complete());
    assert!(target.has_ended());
    placed.revert();
    let target = OwnProcess::shell("exec sleep 60");
    let arguments = json!({"signal": "HUP", "expect": "survives"});
    let placed = Drill::begin().apply(SIGNAL, &arguments, target.identity().into());
    let gone = || target.identity_gone();
    wait_for("it is gone", gone);
    let id = placed.applied.id;
    assert!(!placed.drill.guardian.observe(id).unwrap().is_complete());
    placed.revert();
}

#[test]
fn a_signal_that_is_ignored_has_no_effect() {
    let target = OwnProcess::shell("trap '' HUP; exec sleep 60");
    wait_for("it ignores the signal", || {
        let ignored = firedrill_kernel::process::status_field(target.pid(), "SigIgn");
        ignored.unwrap().unwrap().ends_with('1')
    });
    let placed = Drill::begin().apply(SIGNAL, &json!({"signal": "HUP"}), target.identity().into());
    assert_eq!(placed.observe().idle.len(), 1);
    placed.revert();
}

impl OwnProcess {
    /// A zombie counts as gone.
    fn identity_gone(&self) -> bool {
        firedrill_kernel::ProcessIdentity::of(self.pid())
            .unwrap()
            .is_none()
    }
}
