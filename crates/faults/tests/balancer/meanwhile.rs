//! What becomes of it when others act during the fault.

use firedrill_kernel::{Pidfd, ProcessIdentity, Signal};
use serde_json::{Value, json};

use crate::haproxy::{Haproxy, Shape};
use crate::owner::Owner;
use crate::{DRAIN, EVACUATE};

fn drain_web_a(haproxy: &Haproxy) -> Owner {
    let arguments = haproxy.arguments(json!({"backend": "web", "server": "web-a"}));
    Owner::begin(DRAIN, &arguments)
}

fn is_told(residue: &[Value], kind: &str, words: &str) {
    assert_eq!(residue.len(), 1, "{residue:?}");
    assert_eq!(residue[0]["residue"], kind, "{residue:?}");
    assert!(residue[0].to_string().contains(words), "{residue:?}");
}

#[test]
fn what_an_operator_set_meanwhile_stays_and_is_told() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    let arguments = haproxy.arguments(json!({"zone": "*-a", "state": "drain"}));
    let mut owner = Owner::begin(EVACUATE, &arguments);
    haproxy.ask("set server web/web-a state maint");
    let seen = owner.ask("look");
    assert_eq!(
        (&seen["achieved"], &seen["requested"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(seen["missing"], json!(["server web/web-a is maint"]));
    let (undone, residue) = owner.revert();
    assert_eq!(undone, 1);
    is_told(&residue, "changed-meanwhile", "somebody else made it maint");
    assert_eq!((haproxy.state("web-a"), haproxy.state("api-a")), (1, 0));
}

#[test]
fn what_an_operator_put_back_meanwhile_needs_no_undo() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    let mut owner = drain_web_a(&haproxy);
    haproxy.ask("set server web/web-a state ready");
    assert_eq!(owner.ask("look")["achieved"], 0);
    assert_eq!(owner.revert(), (0, vec![]));
    assert_eq!(haproxy.state("web-a"), 0);
}

#[test]
fn a_haproxy_that_was_started_anew_has_forgotten_it() {
    let Some(mut haproxy) = Haproxy::start() else {
        return;
    };
    let mut owner = drain_web_a(&haproxy);
    haproxy.kill();
    haproxy.start_again();
    assert_eq!(haproxy.state("web-a"), 0);
    let seen = owner.ask("look");
    assert_eq!(
        (&seen["achieved"], &seen["measured"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(owner.revert(), (0, vec![]));
}

#[test]
fn a_drain_that_a_file_of_states_carried_into_another_process_is_taken_back() {
    let Some(mut haproxy) = Haproxy::start_as(&Shape {
        global: "  server-state-file %dir%/states",
        ..Shape::default()
    }) else {
        return;
    };
    let mut owner = drain_web_a(&haproxy);
    let states = haproxy.ask("show servers state");
    std::fs::write(haproxy.path("states"), states).unwrap();
    haproxy.kill();
    haproxy.start_again();
    assert_eq!(haproxy.state("web-a"), 8);
    assert_eq!(owner.revert(), (1, vec![]));
    assert_eq!(haproxy.state("web-a"), 0);
}

#[test]
fn a_haproxy_that_has_ended_has_nothing_to_take_back() {
    let Some(mut haproxy) = Haproxy::start() else {
        return;
    };
    let mut owner = drain_web_a(&haproxy);
    let pid = haproxy.pid();
    haproxy.kill();
    let reverted = owner.ask("revert");
    assert_eq!(reverted["residue"], json!([]), "{reverted}");
    assert!(
        reverted["vanished"].to_string().contains(&pid.to_string()),
        "{reverted}"
    );
    drop(owner);
}

#[test]
fn a_haproxy_that_hangs_is_told_and_recovered_when_it_answers_again() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    let mut owner = drain_web_a(&haproxy);
    let process = ProcessIdentity::of(haproxy.pid()).unwrap().unwrap();
    let process = Pidfd::open(&process).unwrap().unwrap();
    process.send(Signal::Stop).unwrap();
    let (undone, residue) = owner.revert();
    assert_eq!(undone, 0);
    is_told(&residue, "effect-left", "in time");
    process.send(Signal::Cont).unwrap();
    assert_eq!(haproxy.state("web-a"), 8);
    owner.kill_owner();
    owner.wait_for_guardian();
    let recovered = owner.recover();
    assert!(recovered.len() <= 1, "{recovered:?}");
    assert_eq!(haproxy.state("web-a"), 0);
    assert!(owner.nothing_left());
}

#[test]
fn a_server_that_was_removed_meanwhile_is_told() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    haproxy.ask("add server web/web-x 127.0.0.1:9");
    haproxy.ask("set server web/web-x state ready");
    let arguments = json!({"backend": "web", "server": ["web-x", "web-a"], "state": "maint"});
    let mut owner = Owner::begin(DRAIN, &haproxy.arguments(arguments));
    let said = haproxy.ask("del server web/web-x");
    assert!(said.contains("deleted"), "{said}");
    let (undone, residue) = owner.revert();
    assert_eq!(undone, 1);
    is_told(&residue, "changed-meanwhile", "removed it");
    assert_eq!(haproxy.state("web-a"), 0);
}
