use firedrill_faults::Target;
use firedrill_undo::ServiceManager;
use serde_json::{Value, json};

use crate::drill::{Drill, compile, wait_for};
use crate::own_systemd::OwnSystemd;

const STOP: &str = "infrastructure.service-stop";

/// `None`, and said, where there is no systemd that runs so.
fn manager() -> Option<OwnSystemd> {
    let started = OwnSystemd::start("600");
    if let Err(why) = &started {
        eprintln!("skipped: {why}");
    }
    started.ok()
}

fn arguments(manager: &OwnSystemd, unit: &str) -> Value {
    json!({"unit": unit, "manager": manager.socket()})
}

fn ask(manager: &OwnSystemd) -> ServiceManager {
    ServiceManager::at(&manager.socket()).unwrap()
}

#[test]
fn an_active_unit_is_stopped_and_started_again() {
    let Some(manager) = manager() else {
        return;
    };
    wait_for("the unit is active", || {
        manager.systemctl(&["is-active", "nap"]) == "active"
    });
    let placed = Drill::begin().apply(STOP, &arguments(&manager, "nap.service"), Target::Host);
    assert!(placed.observe().is_complete());
    assert_eq!(manager.systemctl(&["is-active", "nap"]), "inactive");
    assert_eq!(placed.revert().undone, 1);
    assert_eq!(manager.systemctl(&["is-active", "nap"]), "active");
    // Started by somebody else meanwhile: nothing is left to undo.
    let placed = Drill::begin().apply(STOP, &arguments(&manager, "nap.service"), Target::Host);
    assert!(placed.observe().is_complete());
    ask(&manager).start("nap.service").unwrap();
    wait_for("the unit is active", || {
        manager.systemctl(&["is-active", "nap"]) == "active"
    });
    let id = placed.applied.id;
    assert!(!placed.drill.guardian.observe(id).unwrap().is_complete());
    assert_eq!(placed.revert().undone, 0);
}

#[test]
fn a_unit_that_was_started_as_often_as_it_may_be_is_started_all_the_same() {
    let Some(manager) = manager() else {
        return;
    };
    wait_for("the unit is active", || {
        manager.systemctl(&["is-active", "nap"]) == "active"
    });
    // Five starts within ten seconds are what systemd lets pass, unless told otherwise.
    for _ in 0..7 {
        let placed = Drill::begin().apply(STOP, &arguments(&manager, "nap.service"), Target::Host);
        assert!(placed.observe().is_complete());
        let reverted = placed.revert();
        assert_eq!((reverted.undone, reverted.residue.len()), (1, 0));
    }
    assert_eq!(manager.systemctl(&["is-active", "nap"]), "active");
}

#[test]
fn what_is_not_active_or_would_not_come_back_is_refused() {
    let Some(manager) = manager() else {
        return;
    };
    let host = [Target::Host];
    let refused = |unit: &str| {
        let error = compile(STOP, &arguments(&manager, unit), &host).unwrap_err();
        error.to_string()
    };
    assert!(refused("loose.service").contains("not active"));
    assert!(refused("unheard-of.service").contains("not active"));
    ask(&manager).start("loose.service").unwrap();
    wait_for("it is active", || {
        ask(&manager).active_state("loose.service").unwrap() == "active"
    });
    assert!(refused("loose.service").contains("after a reboot"));
    let mut accepted = arguments(&manager, "loose.service");
    accepted["not-enabled"] = true.into();
    assert_eq!(compile(STOP, &accepted, &host).unwrap().len(), 1);
}
