//! Pausing, and undoing only what we paused. The kernel's freezer is the witness.

use std::fs;
use std::time::Duration;

use firedrill_container::{Change, ContainerRef, Details, EngineError, Standing, State, Unpaused};

use crate::started::Started;
use crate::{on_docker, on_podman};

#[test]
fn docker_pauses_and_the_undo_takes_back_only_that() {
    on_docker(a_pause_is_undone_once_and_only_if_it_is_ours);
}

#[test]
fn podman_pauses_and_the_undo_takes_back_only_that() {
    on_podman(a_pause_is_undone_once_and_only_if_it_is_ours);
}

#[test]
fn with_docker_a_vanished_or_restarted_container_counts_as_reverted() {
    on_docker(a_pause_ends_with_its_run);
}

#[test]
fn with_podman_a_vanished_or_restarted_container_counts_as_reverted() {
    on_podman(a_pause_ends_with_its_run);
}

#[test]
fn with_docker_no_container_stays_frozen_when_pauses_follow_each_other_fast() {
    on_docker(fast_pauses_leave_nothing_frozen);
}

#[test]
fn with_podman_no_container_stays_frozen_when_pauses_follow_each_other_fast() {
    on_podman(fast_pauses_leave_nothing_frozen);
}

/// Docker's view of a pause lags behind: now and then an unpause is refused with "is not paused",
/// and an inspection says `running`, of a container that is frozen.
fn fast_pauses_leave_nothing_frozen(started: &Started) {
    let engine = &started.engine;
    let id = started.run("web", &[]);
    let details = engine.inspect(&id).unwrap();
    let reference = ContainerRef::of(engine, &details);
    for round in 0..60 {
        assert_eq!(engine.pause(&id).unwrap(), Change::Done, "round {round}");
        assert!(is_frozen(&details), "round {round}");
        assert_eq!(
            reference.unpause().unwrap(),
            Unpaused::ByUs,
            "round {round}"
        );
        assert!(!is_frozen(&details), "round {round}");
    }
}

fn a_pause_is_undone_once_and_only_if_it_is_ours(started: &Started) {
    let engine = &started.engine;
    let id = started.run("web", &[]);
    let details = engine.inspect(&id).unwrap();
    let reference = ContainerRef::of(engine, &details);
    assert!(!is_frozen(&details));

    assert_eq!(engine.pause(&id).unwrap(), Change::Done);
    assert!(is_frozen(&details));
    let paused = engine.inspect(&id).unwrap();
    assert_eq!((paused.state, paused.paused), (State::Paused, true));
    assert_eq!(paused.frozen, Some(true));
    assert_eq!(engine.list(false).unwrap()[0].state, State::Paused);
    assert_eq!(
        engine.pause(&id).unwrap(),
        Change::Already,
        "as if somebody else had paused it"
    );

    assert_eq!(reference.unpause().unwrap(), Unpaused::ByUs);
    assert!(!is_frozen(&details));
    assert_eq!(reference.unpause().unwrap(), Unpaused::Before);
    assert_eq!(engine.unpause(&id).unwrap(), Change::Already);
    let Standing::Same(same) = reference.standing().unwrap() else {
        panic!("a pause is not another run");
    };
    assert_eq!((same.pid, same.state), (details.pid, State::Running));
}

fn a_pause_ends_with_its_run(started: &Started) {
    let engine = &started.engine;
    let id = started.run("web", &[]);
    let reference = ContainerRef::of(engine, &engine.inspect(&id).unwrap());
    engine.restart(&id, Duration::from_secs(5)).unwrap();
    // Somebody else's pause of another run is not ours to undo.
    started.tell(&["pause", &id]);
    assert_eq!(reference.unpause().unwrap(), Unpaused::Restarted);
    let details = engine.inspect(&id).unwrap();
    assert!(details.paused && is_frozen(&details));

    started.tell(&["unpause", &id]);
    engine.stop(&id, Duration::from_secs(5)).unwrap();
    let ended = ContainerRef::of(engine, &engine.inspect(&id).unwrap());
    assert_eq!(ended.unpause().unwrap(), Unpaused::Before);
    let refused = engine.pause(&id).unwrap_err();
    assert!(
        matches!(refused, EngineError::Conflict { .. }),
        "{refused:?}"
    );

    started.tell(&["rm", "--force", &id]);
    assert_eq!(reference.standing().unwrap(), Standing::Gone);
    assert_eq!(reference.unpause().unwrap(), Unpaused::Gone);
}

fn is_frozen(details: &Details) -> bool {
    let below =
        |top: &str, path: &std::path::Path| format!("/sys/fs/cgroup/{top}{}", path.display());
    details.cgroups.iter().any(|(controllers, path)| {
        let state = match controllers.as_str() {
            "freezer" => fs::read_to_string(below("freezer", path) + "/freezer.state"),
            "" => fs::read_to_string(below("", path) + "/cgroup.events"),
            _ => return false,
        };
        state.is_ok_and(|text| text == "FROZEN\n" || text.contains("frozen 1"))
    })
}
