//! Killing, stopping, starting and restarting.

use std::time::Duration;

use firedrill_container::{Change, ContainerRef, EngineError, Standing, State};
use firedrill_kernel::Signal;

use crate::started::{Started, wait_until};
use crate::{on_docker, on_podman};

const GRACE: Duration = Duration::from_secs(10);

#[test]
fn docker_ends_and_starts_containers_and_says_what_was_so_before() {
    on_docker(containers_end_and_start);
}

#[test]
fn podman_ends_and_starts_containers_and_says_what_was_so_before() {
    on_podman(containers_end_and_start);
}

#[test]
fn docker_removes_what_was_to_be_removed_at_its_end() {
    on_docker(a_container_that_removes_itself_is_gone_after_a_kill);
}

#[test]
fn podman_removes_what_was_to_be_removed_at_its_end() {
    on_podman(a_container_that_removes_itself_is_gone_after_a_kill);
}

fn containers_end_and_start(started: &Started) {
    let engine = &started.engine;
    let id = started.run("web", &[]);
    let state = || engine.inspect(&id).unwrap().state;
    let first = engine.inspect(&id).unwrap();
    let reference = ContainerRef::of(engine, &first);
    assert_eq!(engine.start(&id).unwrap(), Change::Already);

    engine.kill(&id, Signal::Kill).unwrap();
    wait_until("the killed container has ended", || {
        state() == State::Exited
    });
    let refused = engine.kill(&id, Signal::Kill).unwrap_err();
    assert!(
        matches!(refused, EngineError::Conflict { .. }),
        "{refused:?}"
    );
    assert!(
        matches!(reference.standing().unwrap(), Standing::Same(_)),
        "it ended, and was not restarted"
    );

    assert_eq!(engine.start(&id).unwrap(), Change::Done);
    assert_eq!(state(), State::Running);
    assert!(matches!(
        reference.standing().unwrap(),
        Standing::Restarted(_)
    ));
    let before = engine.inspect(&id).unwrap();
    engine.restart(&id, GRACE).unwrap();
    let after = engine.inspect(&id).unwrap();
    assert_eq!(after.state, State::Running);
    assert_ne!(after.pid, before.pid);

    assert_eq!(engine.stop(&id, GRACE).unwrap(), Change::Done);
    assert_eq!(state(), State::Exited);
    assert_eq!(engine.stop(&id, GRACE).unwrap(), Change::Already);
    // The program ends by itself on SIGTERM: it got the signal, and not SIGKILL.
    let code = started.tell(&["inspect", "--format", "{{.State.ExitCode}}", &id]);
    assert_eq!(code, "0");
}

fn a_container_that_removes_itself_is_gone_after_a_kill(started: &Started) {
    let engine = &started.engine;
    let id = started.run("web", &["--rm"]);
    let details = engine.inspect(&id).unwrap();
    assert!(details.auto_remove);
    engine.kill(&id, Signal::Term).unwrap();
    let reference = ContainerRef::of(engine, &details);
    wait_until("it is removed", || {
        reference.standing().unwrap() == Standing::Gone
    });
    let gone = engine.start(&id).unwrap_err();
    assert!(gone.is_gone(), "{gone:?}");
}
