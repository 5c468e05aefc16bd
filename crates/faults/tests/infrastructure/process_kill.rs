//! Processes that are killed, and those that are started in their place.

use firedrill_faults::{Fault, Site};
use firedrill_kernel::process;
use serde_json::json;

use crate::drill::{Drill, wait_for};
use crate::places::OwnProcess;

const KILL: &str = "infrastructure.process-kill";

#[test]
fn each_signal_that_ends_a_process_ends_it() {
    for signal in ["KILL", "TERM", "INT", "HUP", "QUIT", "ABRT", "SEGV"] {
        let mut target = OwnProcess::shell("ulimit -c 0; exec sleep 60");
        wait_for("it sleeps", || {
            process::stat(target.pid()).unwrap().unwrap().comm == "sleep"
        });
        let arguments = json!({ "signal": signal });
        let placed = Drill::begin().apply(KILL, &arguments, target.identity().into());
        assert!(placed.observe().is_complete());
        let ended = target.ended_by();
        assert_eq!(ended, Some(number(signal)), "{signal}");
        placed.revert();
    }
}

/// signal(7)
fn number(signal: &str) -> i32 {
    match signal {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ABRT" => 6,
        "KILL" => 9,
        "SEGV" => 11,
        _ => 15,
    }
}

#[test]
fn a_restart_command_runs_once_where_and_with_what_it_was_told() {
    let root = tempfile::tempdir().unwrap();
    let target = OwnProcess::shell("exec sleep 60");
    let restart = json!({
        "argv": ["sh", "-c", "echo $WORD from $PWD >>mark; exec sleep 2 >&- 2>&-"],
        "cwd": root.path(),
        "env": {"WORD": "again"},
    });
    let mark = root.path().join("mark");
    let placed = Drill::begin().apply(KILL, &json!({"restart": restart}), target.identity().into());
    placed.observe();
    assert!(!mark.exists());
    placed.revert();
    wait_for("it ran", || mark.exists());
    let said = std::fs::read_to_string(mark).unwrap();
    assert_eq!(said, format!("again from {}\n", root.path().display()));
}

#[test]
fn what_a_supervisor_starts_again_counts_as_replaced_and_else_as_lost() {
    let root = tempfile::tempdir().unwrap();
    let starts = root.path().join("starts");
    let script = format!(
        "while :; do echo x >>{}; sleep 2 >&- 2>&-; done",
        starts.display()
    );
    let supervisor = OwnProcess::shell(&script);
    let child = || {
        let children = crate::drill::children_of(supervisor.pid());
        children.first().copied()
    };
    wait_for("the first", || child().is_some());
    let first = child().unwrap();
    let identity = firedrill_kernel::ProcessIdentity::of(first)
        .unwrap()
        .unwrap();
    let supervised = json!({"supervised": true});
    let placed = Drill::begin().apply(KILL, &supervised, identity.into());
    wait_for("another", || child().is_some_and(|pid| pid != first));
    placed.revert();
    let class = |arguments: &serde_json::Value| {
        let fault = Fault::parse(KILL, arguments.as_object().unwrap()).unwrap();
        let primitives = fault.compile(&Site::of(&[])).unwrap();
        (format!("{:?}", fault.undo_class()), primitives.len())
    };
    assert_eq!(class(&supervised), ("Replaced".into(), 0));
    assert_eq!(class(&json!({})), ("Irreversible".into(), 0));
}
