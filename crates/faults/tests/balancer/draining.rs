use std::io::Read as _;

use serde_json::json;

use crate::DRAIN;
use crate::haproxy::{Haproxy, wait_for};
use crate::owner::Owner;

#[test]
fn a_drained_server_gets_no_new_session_keeps_the_ones_it_has_and_is_put_back() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    haproxy.warm_up();
    // One of two goes to each server.
    let before = haproxy.asked("web-a");
    let held = [haproxy.hold("/hold"), haproxy.hold("/hold")];
    wait_for("a session is with the server", || {
        haproxy.asked("web-a") == before + 1
    });
    let states = haproxy.states();
    let arguments = haproxy.arguments(json!({"backend": "web", "server": "web-a"}));
    let mut owner = Owner::begin(DRAIN, &arguments);
    assert_eq!(haproxy.state("web-a"), 8);
    assert_eq!(haproxy.state("web-b"), 0);
    assert_eq!(haproxy.state("api-a"), 0);
    // Nobody has met it yet.
    let seen = owner.ask("observe");
    assert_eq!(seen["achieved"], 1, "{seen}");
    assert!(
        seen["idle"][0]
            .as_str()
            .unwrap()
            .contains("no session has come"),
        "{seen}"
    );
    for _ in 0..20 {
        assert_eq!(haproxy.get("/").as_deref(), Some("web-b"));
    }
    assert_eq!(haproxy.asked("web-a"), before + 1);
    let share = owner.figure("share-of-sessions");
    assert_eq!(
        (&share["achieved"], &share["samples"]),
        (&json!(0.0), &json!(20))
    );
    let left = owner.figure("sessions-left");
    assert_eq!(
        (&left["achieved"], &left["requested"]),
        (&json!(1.0), &json!(null))
    );
    assert_eq!(owner.revert(), (1, vec![]));
    assert_eq!(haproxy.states(), states);
    drop(held);
    wait_for("it is asked again", || {
        haproxy.get("/").as_deref() == Some("web-a")
    });
}

#[test]
fn a_server_in_maintenance_loses_its_sessions_where_that_is_asked_for() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    haproxy.warm_up();
    let before = haproxy.asked("web-a");
    let mut held = [haproxy.hold("/hold"), haproxy.hold("/hold")];
    wait_for("a session is with the server", || {
        haproxy.asked("web-a") == before + 1
    });
    let arguments = haproxy.arguments(json!({
        "backend": "web", "server": ["web-a"], "state": "maint", "shutdown-sessions": true,
    }));
    let mut owner = Owner::begin(DRAIN, &arguments);
    assert_eq!(haproxy.state("web-a"), 1);
    wait_for("one of the two sessions has ended", || {
        held.iter_mut().any(|stream| {
            stream
                .set_read_timeout(Some(std::time::Duration::from_millis(10)))
                .unwrap();
            // The answer is HAProxy's own, or none at all.
            stream.read(&mut [0; 1000]).is_ok()
        })
    });
    assert_eq!(haproxy.get("/").as_deref(), Some("web-b"));
    let left = owner.figure("sessions-left");
    assert_eq!(
        (&left["achieved"], &left["requested"]),
        (&json!(0.0), &json!(0.0))
    );
    assert_eq!(owner.revert(), (1, vec![]));
    assert_eq!(haproxy.state("web-a"), 0);
}

#[test]
fn a_server_that_was_draining_before_drains_again_after_a_maintenance() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    haproxy.ask("set server web/web-a state drain");
    let arguments = json!({"backend": "web", "server": "web-a", "state": "maint"});
    let mut owner = Owner::begin(DRAIN, &haproxy.arguments(arguments));
    assert_eq!(haproxy.state("web-a"), 1);
    assert_eq!(owner.revert(), (1, vec![]));
    assert_eq!(haproxy.state("web-a"), 8);
}

#[test]
fn a_server_that_never_had_a_session_is_told_as_idle() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    haproxy.ask("set server web/web-a state drain");
    assert!(haproxy.get("/").is_some());
    let arguments = json!({"backend": "web", "server": "web-a", "state": "maint"});
    let mut owner = Owner::begin(DRAIN, &haproxy.arguments(arguments));
    assert!(haproxy.get("/").is_some());
    let seen = owner.ask("observe");
    assert!(
        seen["idle"][0]
            .as_str()
            .unwrap()
            .contains("ever had a session"),
        "{seen}"
    );
}
