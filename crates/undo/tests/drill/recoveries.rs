//! Recovery from logs that were written by hand, as another boot or another user left them.

use std::path::Path;

use firedrill_kernel::{Pidfd, ProcessIdentity, Signal};
use firedrill_undo::log::{Durability, FORMAT, Log, Opened, Record};
use firedrill_undo::{Filter, LeftAlone, Primitive, Residue, recover};
use serde_json::json;

use crate::herd::{Herd, LONG, drill, is_stopped, program, wait_for};

/// A log as a dead guardian of a dead owner left it.
fn leave_log(herd: &Herd, owner: ProcessIdentity, format: u32, effects: Vec<Primitive>) {
    let dir = herd.state().drill_path(&drill()).unwrap();
    let mut log = Log::create(&dir.join("undo.log")).unwrap();
    let opened = Opened {
        format,
        drill: drill(),
        label: "left behind".into(),
        owner,
        guardian: owner,
        since: 0,
        lease: LONG,
    };
    log.append(&Record::Opened(opened), Durability::Written)
        .unwrap();
    log.append(&Record::Prepared { id: 1, effects }, Durability::Written)
        .unwrap();
}

fn mark_command(mark: &Path) -> Vec<String> {
    let program = program().to_string_lossy().into_owned();
    vec![program, "mark".into(), mark.to_string_lossy().into_owned()]
}

fn dead() -> ProcessIdentity {
    let mut owner = ProcessIdentity::current().unwrap();
    owner.start += 1;
    owner
}

/// The same process as another boot would have named it.
fn of_another_boot(process: ProcessIdentity) -> ProcessIdentity {
    let mut value = serde_json::to_value(process).unwrap();
    value["boot"] = json!("0123456789abcdef0123456789abcdef");
    serde_json::from_value(value).unwrap()
}

fn stop(process: &ProcessIdentity) {
    Pidfd::open(process)
        .unwrap()
        .unwrap()
        .send(Signal::Stop)
        .unwrap();
    wait_for("it is stopped", || is_stopped(process));
}

#[test]
fn a_prepared_entry_alone_suffices_to_undo() {
    let herd = Herd::of(1);
    let target = herd.identities()[0];
    stop(&target);
    leave_log(&herd, dead(), FORMAT, herd.stops());
    let report = recover(&herd.state(), &Filter::All).unwrap();
    assert_eq!(report.recovered[0].reverted.undone, 1);
    assert_eq!(report.recovered[0].label, "left behind");
    assert!(!is_stopped(&target));
    assert!(herd.nothing_left());
}

#[test]
fn a_volatile_entry_of_another_boot_is_discarded() {
    let herd = Herd::of(1);
    let target = herd.identities()[0];
    stop(&target);
    leave_log(&herd, of_another_boot(dead()), FORMAT, herd.stops());
    let report = recover(&herd.state(), &Filter::All).unwrap();
    assert_eq!(report.recovered[0].reverted.undone, 0);
    assert!(
        is_stopped(&target),
        "it was stopped by somebody of this boot"
    );
    assert!(herd.nothing_left());
}

#[test]
fn rollbacks_of_another_boot_still_run() {
    let herd = Herd::of(0);
    let mark = herd.root.path().join("mark");
    let rollbacks = Primitive::RunRollbacks {
        argv: mark_command(&mark),
    };
    leave_log(&herd, of_another_boot(dead()), FORMAT, vec![rollbacks]);
    let report = recover(&herd.state(), &Filter::All).unwrap();
    assert_eq!(report.recovered[0].reverted.undone, 1);
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), "run\n");
    assert!(herd.nothing_left());
}

#[test]
fn a_log_of_an_unknown_format_is_reported_and_kept() {
    let herd = Herd::of(1);
    let target = herd.identities()[0];
    stop(&target);
    leave_log(&herd, dead(), FORMAT + 1, herd.stops());
    let report = recover(&herd.state(), &Filter::All).unwrap();
    assert!(
        matches!(report.left[..], [(_, LeftAlone::OtherFormat { .. })]),
        "{report:?}"
    );
    assert!(is_stopped(&target));
    assert!(!herd.nothing_left());
}

#[test]
fn rollbacks_that_fail_are_reported_once() {
    let herd = Herd::of(0);
    let rollbacks = Primitive::RunRollbacks {
        argv: vec!["false".into()],
    };
    leave_log(&herd, dead(), FORMAT, vec![rollbacks]);
    let report = recover(&herd.state(), &Filter::All).unwrap();
    let recovered = &report.recovered[0];
    assert!(matches!(
        recovered.reverted.residue[..],
        [Residue::RollbacksFailed { .. }]
    ));
    assert!(!recovered.clean);
    assert!(
        recover(&herd.state(), &Filter::All)
            .unwrap()
            .recovered
            .is_empty()
    );
}

#[test]
fn a_target_whose_pid_belongs_to_another_by_now_is_left_alone() {
    let herd = Herd::of(1);
    let stranger = herd.identities()[0];
    stop(&stranger);
    let mut target = stranger;
    target.start -= 1;
    leave_log(
        &herd,
        dead(),
        FORMAT,
        vec![Primitive::StopProcess { process: target }],
    );
    let report = recover(&herd.state(), &Filter::All).unwrap();
    assert_eq!(report.recovered[0].reverted.vanished, [target]);
    assert!(is_stopped(&stranger));
}

#[test]
fn a_drill_of_another_user_is_reported_and_left_alone() {
    let herd = Herd::of(1);
    let target = herd.identities()[0];
    stop(&target);
    leave_log(&herd, dead(), FORMAT, herd.stops());
    let dir = herd.state().drill_path(&drill()).unwrap();
    if std::os::unix::fs::chown(&dir, Some(65533), None).is_err() {
        eprintln!("skipped: only root can give a directory away");
        return;
    }
    let report = recover(&herd.state(), &Filter::All).unwrap();
    let other = LeftAlone::OtherUser { uid: 65533 };
    assert_eq!(report.left, [(drill(), other)]);
    assert!(is_stopped(&target));
}
