//! Pauses. The kernel's freezer is the witness, and the engine's own word for the state.

use firedrill_container::Details;
use serde_json::json;

use crate::drill::Drill;
use crate::started::Started;
use crate::{on_docker, on_podman};

pub(crate) const PAUSE: &str = "infrastructure.container-pause";

#[test]
fn docker_a_pause_is_seen_and_taken_back_and_the_container_is_as_before() {
    on_docker(a_pause_is_seen_and_taken_back);
}

#[test]
fn podman_a_pause_is_seen_and_taken_back_and_the_container_is_as_before() {
    on_podman(a_pause_is_seen_and_taken_back);
}

fn a_pause_is_seen_and_taken_back(started: &Started) {
    let id = started.run("web", &["--label", "tier=front"]);
    let other = started.run("store", &[]);
    let before = state(started, &id);
    for target in [
        json!({"container": "web"}),
        json!({"container": id[..12]}),
        json!({"container": {"label": {"tier": "front"}}}),
        json!({"container": {"image": "localhost/firedrill-wait"}, "count": 2}),
    ] {
        let mut drill = Drill::begin(started, PAUSE, &json!({}), &target).unwrap();
        drill.observe();
        assert!(is_frozen(started, &id), "{target}");
        let both = target["count"] == 2;
        assert_eq!(is_frozen(started, &other), both, "{target}");
        let reverted = drill.revert();
        assert_eq!(reverted["undone"], if both { 2 } else { 1 });
        assert!(!is_frozen(started, &id));
        assert_eq!(state(started, &id), before, "{target}");
    }
}

#[test]
fn docker_what_somebody_else_paused_is_not_a_target_and_stays_paused() {
    on_docker(what_somebody_else_paused_stays_paused);
}

#[test]
fn podman_what_somebody_else_paused_is_not_a_target_and_stays_paused() {
    on_podman(what_somebody_else_paused_stays_paused);
}

fn what_somebody_else_paused_stays_paused(started: &Started) {
    let id = started.run("web", &[]);
    started.tell(&["pause", &id]);
    let target = json!({"container": "web"});
    let refused = Drill::begin(started, PAUSE, &json!({}), &target)
        .err()
        .unwrap();
    assert!(refused.contains("1 matching are spared"), "{refused}");
    assert!(is_frozen(started, &id));
    // Beside the fault: what the drill paused and somebody unpaused is not paused again.
    started.tell(&["unpause", &id]);
    let mut drill = Drill::begin(started, PAUSE, &json!({}), &target).unwrap();
    started.tell(&["unpause", &id]);
    drill.revert();
    assert!(!is_frozen(started, &id));
}

#[test]
fn docker_a_container_that_vanished_or_was_restarted_is_no_error_at_the_revert() {
    on_docker(a_vanished_or_restarted_container_is_no_error);
}

#[test]
fn podman_a_container_that_vanished_or_was_restarted_is_no_error_at_the_revert() {
    on_podman(a_vanished_or_restarted_container_is_no_error);
}

fn a_vanished_or_restarted_container_is_no_error(started: &Started) {
    let id = started.run("web", &[]);
    let target = json!({"container": "web"});
    let mut drill = Drill::begin(started, PAUSE, &json!({}), &target).unwrap();
    started.tell(&["unpause", &id]);
    started.tell(&["restart", "--time", "5", &id]);
    // The pause of another run is somebody else's.
    started.tell(&["pause", &id]);
    let reverted = drill.revert();
    assert_eq!(reverted["vanished"].as_array().unwrap().len(), 1);
    assert!(is_frozen(started, &id));
    started.tell(&["unpause", &id]);

    let mut drill = Drill::begin(started, PAUSE, &json!({}), &target).unwrap();
    started.tell(&["rm", "--force", &id]);
    let reverted = drill.revert();
    assert_eq!(reverted["vanished"].as_array().unwrap().len(), 1);
}

#[test]
fn docker_processes_are_told_by_the_container_they_are_in() {
    on_docker(processes_are_told_by_their_container);
}

#[test]
fn podman_processes_are_told_by_the_container_they_are_in() {
    on_podman(processes_are_told_by_their_container);
}

fn processes_are_told_by_their_container(started: &Started) {
    let id = started.run("web", &[]);
    started.run("store", &[]);
    let pid = started.engine.inspect(&id).unwrap().pid.unwrap();
    let target = json!({"container": "web", "name": "wait"});
    let pause = "infrastructure.process-pause";
    let mut drill = Drill::begin(started, pause, &json!({"mechanism": "signal"}), &target).unwrap();
    drill.observe();
    assert_eq!(
        drill.begun["targets"],
        json!([format!("wait (pid {pid})")]),
        "the other container runs the same program"
    );
    drill.revert();
    let alone = Drill::begin(started, pause, &json!({}), &json!({"container": "web"}));
    let refused = alone.err().unwrap();
    assert!(refused.contains("cannot hit a container"), "{refused}");
}

pub(crate) fn is_frozen(started: &Started, id: &str) -> bool {
    let details: Details = started.engine.inspect(id).unwrap();
    details.frozen.unwrap()
}

/// Everything that the engine says of the state, as its own command line prints it.
pub(crate) fn state(started: &Started, id: &str) -> String {
    started.tell(&["inspect", "--format", "{{json .State}}", id])
}
