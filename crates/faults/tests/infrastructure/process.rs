//! Processes that are paused, killed and started again, as `/proc` shows them.

use std::path::Path;

use firedrill_faults::{CompileError, Fault, Site};
use firedrill_kernel::process;
use serde_json::json;

use crate::drill::{Drill, compile, wait_for};
use crate::places::OwnProcess;

const PAUSE: &str = "infrastructure.process-pause";
const KILL: &str = "infrastructure.process-kill";

/// A letter, as `/proc/PID/stat` has it.
fn state(pid: u32) -> char {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after = text.rsplit(") ").next().unwrap();
    after.chars().next().unwrap()
}

/// A process that writes to a file without a pause.
fn busy(at: &Path) -> OwnProcess {
    OwnProcess::shell(&format!(
        "while :; do echo x >>{}; sleep 0.01; done",
        at.display()
    ))
}

/// Whether somebody still writes to it.
fn grows(at: &Path) -> bool {
    let length = || at.metadata().map_or(0, |file| file.len());
    let before = length();
    crate::drill::pause(std::time::Duration::from_millis(500));
    length() > before
}

#[test]
fn a_pause_stops_what_the_process_does_by_either_mechanism() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    let target = busy(&file);
    wait_for("it writes", || file.exists());
    for word in ["signal", "freezer"] {
        let arguments = json!({ "mechanism": word });
        let placed = match compile(PAUSE, &arguments, &[target.identity().into()]) {
            Ok(_) => Drill::begin().apply(PAUSE, &arguments, target.identity().into()),
            Err(CompileError::NoFreezer { why }) => {
                eprintln!("skipped: {why}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        placed.observe();
        assert_eq!(word == "signal", state(target.pid()) == 'T');
        assert!(!grows(&file), "{word}");
        placed.revert();
        assert!(grows(&file), "{word}");
    }
}

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
