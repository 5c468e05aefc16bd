//! Owner and guardian killed while a toxic is on a route.

use serde_json::json;

use crate::bed::Bed;
use crate::owner::Owner;
use crate::wait_for;

#[test]
fn whoever_dies_no_toxic_stays_on_the_route() {
    let bed = Bed::new();
    let begin = || {
        let owner = Owner::begin("application.http-error", &bed.arguments("web", json!({})));
        assert_eq!(bed.get("/", "u").status, 503);
        owner
    };
    let is_clean = || bed.toxics("web").is_empty();

    let mut owner = begin();
    owner.kill_owner();
    wait_for("its guardian took the toxic away", is_clean);
    wait_for("the drill is over", || owner.nothing_left());

    let mut owner = begin();
    owner.kill_guardian();
    assert!(!is_clean());
    assert_eq!(owner.replace(), (1, vec![]));
    assert!(is_clean(), "guardian killed");
    drop(owner);

    let mut owner = begin();
    // The owner first would be seen by the guardian.
    owner.kill_guardian();
    owner.kill_owner();
    assert!(!is_clean());
    assert_eq!(owner.recover(), [(1, vec![])]);
    assert!(is_clean(), "both killed");
    assert!(owner.nothing_left());
    assert_eq!(owner.recover(), [], "recovered twice");
    assert_eq!(bed.get("/", "u").status, 200);
}
