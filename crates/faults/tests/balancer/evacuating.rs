use serde_json::{Value, json};

use crate::EVACUATE;
use crate::haproxy::{Haproxy, Shape, wait_for};
use crate::owner::Owner;

fn evacuates_zone_a(haproxy: &Haproxy, arguments: Value) {
    let states = haproxy.states();
    let before = (haproxy.asked("web-a"), haproxy.asked("api-a"));
    let mut owner = Owner::begin(EVACUATE, &haproxy.arguments(arguments));
    assert_eq!((haproxy.state("web-a"), haproxy.state("api-a")), (1, 1));
    assert_eq!((haproxy.state("web-b"), haproxy.state("api-b")), (0, 0));
    for _ in 0..10 {
        assert_eq!(haproxy.get("/").as_deref(), Some("web-b"));
        assert_eq!(haproxy.get("/api").as_deref(), Some("api-b"));
    }
    assert_eq!((haproxy.asked("web-a"), haproxy.asked("api-a")), before);
    let share = owner.figure("share-of-sessions");
    assert_eq!(
        (&share["achieved"], &share["samples"]),
        (&json!(0.0), &json!(20))
    );
    assert_eq!(owner.revert(), (2, vec![]));
    assert_eq!(haproxy.states(), states);
}

#[test]
fn every_server_of_a_zone_leaves_every_backend_and_comes_back() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    haproxy.warm_up();
    evacuates_zone_a(&haproxy, json!({"zone": "*-a"}));
    evacuates_zone_a(&haproxy, json!({"network": "127.0.1.0/24"}));
}

#[test]
fn a_zone_is_evacuated_from_the_backends_that_were_asked_for() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    let arguments =
        json!({"zone": "*-a", "backend": "w*", "state": "drain", "shutdown-sessions": false});
    let mut owner = Owner::begin(EVACUATE, &haproxy.arguments(arguments));
    assert_eq!((haproxy.state("web-a"), haproxy.state("api-a")), (8, 0));
    assert_eq!(owner.revert(), (1, vec![]));
}

#[test]
fn a_zone_without_which_a_backend_would_be_empty_is_refused() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    haproxy.ask("set server api/api-b state drain");
    let states = haproxy.states();
    let refused = |arguments: Value| {
        let arguments = haproxy.arguments(arguments);
        Owner::try_begin(EVACUATE, &arguments).err().unwrap()
    };
    let why = refused(json!({"zone": "*-a"}));
    assert!(
        why.contains("backend api would have 0 servers in use"),
        "{why}"
    );
    let why = refused(json!({"zone": "*"}));
    assert!(why.contains("remaining-min"), "{why}");
    let why = refused(json!({"zone": "*-a", "backend": "web", "remaining-min": 2}));
    assert!(
        why.contains("backend web would have 1 servers in use"),
        "{why}"
    );
    let why = refused(json!({"network": "10.0.0.0/8"}));
    assert!(why.contains("there are web/web-a, web/web-b"), "{why}");
    assert_eq!(haproxy.states(), states);
    let arguments = haproxy.arguments(json!({"zone": "*-a", "remaining-min": 0}));
    let mut owner = Owner::begin(EVACUATE, &arguments);
    assert_eq!(owner.revert(), (2, vec![]));
    assert_eq!(haproxy.states(), states);
}

#[test]
fn two_faults_together_do_not_empty_a_backend_either() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    let mut first = Owner::begin(EVACUATE, &haproxy.arguments(json!({"zone": "*-a"})));
    let second = haproxy.arguments(json!({"zone": "*-b"}));
    let why = Owner::try_begin(EVACUATE, &second).err().unwrap();
    assert!(why.contains("would have 0 servers in use"), "{why}");
    assert_eq!(first.revert(), (2, vec![]));
}

#[test]
fn a_server_that_follows_one_that_is_left_out_is_not_counted_as_in_use() {
    let shape = Shape {
        options: "check",
        more: "backend old\n  server old-1 127.0.0.1:9 track web/web-a\n",
        ..Shape::default()
    };
    let Some(haproxy) = Haproxy::start_as(&shape) else {
        return;
    };
    wait_for("the servers are checked", || {
        let states = haproxy.ask("show stat -1 4 -1");
        states.matches(",UP,").count() == 5
    });
    let arguments = haproxy.arguments(json!({"zone": "web-a"}));
    let why = Owner::try_begin(EVACUATE, &arguments).err().unwrap();
    assert!(
        why.contains("backend old would have 0 servers in use"),
        "{why}"
    );
    assert_eq!(haproxy.state("web-a"), 0);
}
