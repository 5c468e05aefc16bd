//! Owner and guardian killed while servers are out of use.

use serde_json::json;

use crate::EVACUATE;
use crate::haproxy::{Haproxy, wait_for};
use crate::owner::Owner;

#[test]
fn whoever_dies_no_server_stays_out_of_use() {
    let Some(haproxy) = Haproxy::start() else {
        return;
    };
    let before = haproxy.states();
    let begin = || Owner::begin(EVACUATE, &haproxy.arguments(json!({"zone": "*-a"})));

    let mut owner = begin();
    assert_ne!(haproxy.states(), before);
    owner.kill_owner();
    wait_for("its guardian put them back", || haproxy.states() == before);
    wait_for("the drill is over", || owner.nothing_left());

    let mut owner = begin();
    owner.kill_guardian();
    assert_ne!(haproxy.states(), before);
    assert_eq!(owner.replace(), (2, vec![]));
    assert_eq!(haproxy.states(), before, "guardian killed");
    drop(owner);

    let mut owner = begin();
    // The owner first would be seen by the guardian.
    owner.kill_guardian();
    owner.kill_owner();
    assert_ne!(haproxy.states(), before);
    assert_eq!(owner.recover(), [(2, vec![])]);
    assert_eq!(haproxy.states(), before, "both killed");
    assert!(owner.nothing_left());
    assert_eq!(owner.recover(), [], "recovered twice");
}
