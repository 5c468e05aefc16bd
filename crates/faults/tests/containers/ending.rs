//! Kills, stops and restarts, and how containers come back.

use std::path::Path;
use std::time::{Duration, Instant};

use firedrill_container::State;
use serde_json::{Value, json};

use crate::drill::Drill;
use crate::started::{Started, wait_until};
use crate::{on_docker, on_podman};

const KILL: &str = "infrastructure.container-kill";
const STOP: &str = "infrastructure.container-stop";
const RESTART: &str = "infrastructure.container-restart";

#[test]
fn docker_a_killed_container_comes_back_as_it_was_asked() {
    on_docker(a_killed_container_comes_back_as_it_was_asked);
}

#[test]
fn podman_a_killed_container_comes_back_as_it_was_asked() {
    on_podman(a_killed_container_comes_back_as_it_was_asked);
}

fn a_killed_container_comes_back_as_it_was_asked(started: &Started) {
    let id = started.run("web", &[]);
    let restart = json!({"restart": true});
    let mut drill = begin(started, KILL, &restart, "web").unwrap();
    drill.observe();
    wait_until("the engine knows", || runs(started, &id) == State::Exited);
    let reverted = drill.revert();
    assert_eq!(reverted["restarted"].as_array().unwrap().len(), 1);
    assert_eq!(runs(started, &id), State::Running);

    // Somebody else was faster: it is not started a second time.
    let mut drill = begin(started, KILL, &restart, "web").unwrap();
    drill.observe();
    wait_until("the engine knows", || runs(started, &id) == State::Exited);
    started.tell(&["start", &id]);
    let theirs = started.engine.inspect(&id).unwrap();
    drill.revert();
    assert_eq!(started.engine.inspect(&id).unwrap().pid, theirs.pid);

    let mut drill = begin(started, KILL, &json!({}), "web").unwrap();
    drill.observe();
    drill.revert();
    wait_until("it stays dead", || runs(started, &id) == State::Exited);
}

#[test]
fn docker_a_container_ends_by_the_signal_and_after_the_grace_that_were_asked_for() {
    on_docker(it_ends_by_the_signal_and_after_the_grace);
}

#[test]
fn podman_a_container_ends_by_the_signal_and_after_the_grace_that_were_asked_for() {
    on_podman(it_ends_by_the_signal_and_after_the_grace);
}

fn it_ends_by_the_signal_and_after_the_grace(started: &Started) {
    a_handled_signal_lets_it_end_by_itself(started);
    the_grace_is_given(started);
}

fn a_handled_signal_lets_it_end_by_itself(started: &Started) {
    for (signal, code) in [("TERM", "0"), ("KILL", "137")] {
        let id = started.run(signal, &[]);
        let arguments = json!({ "signal": signal });
        let mut drill = begin(started, KILL, &arguments, signal).unwrap();
        drill.observe();
        wait_until("the engine knows", || runs(started, &id) == State::Exited);
        let told = started.tell(&["inspect", "--format", "{{.State.ExitCode}}", &id]);
        assert_eq!(told, code, "{signal}");
        drill.revert();
    }
}

/// A first process gets only the signals that it handles; this one ignores HUP.
fn the_grace_is_given(started: &Started) {
    let id = started.run("web", &["--stop-signal", "HUP"]);
    for (fault, arguments) in [
        (STOP, json!({"grace": "3s", "survives-reboot": "accept"})),
        (RESTART, json!({"grace": "3s"})),
    ] {
        let first = started.engine.inspect(&id).unwrap().started_at;
        let begun = Instant::now();
        let mut drill = begin(started, fault, &arguments, "web").unwrap();
        drill.observe();
        assert!(begun.elapsed() >= Duration::from_secs(3), "{fault}");
        drill.revert();
        let after = started.engine.inspect(&id).unwrap();
        assert_eq!(after.state, State::Running);
        assert_ne!(after.started_at, first, "{fault}");
    }
}

#[test]
fn docker_the_restart_policy_of_a_killed_container_holds() {
    on_docker(the_restart_policy_holds);
}

fn the_restart_policy_holds(started: &Started) {
    let id = started.run("web", &["--restart", "always"]);
    let policy = json!({"restart": "policy"});
    let mut drill = begin(started, KILL, &policy, "web").unwrap();
    drill.observe();
    let reverted = drill.revert();
    assert_eq!(reverted["restarted"].as_array().unwrap().len(), 1);
    assert_eq!(runs(started, &id), State::Running);

    started.run("plain", &[]);
    let refused = begin(started, KILL, &policy, "plain").err().unwrap();
    assert!(refused.contains("no restart policy"), "{refused}");
}

#[test]
fn docker_what_removes_itself_is_told_and_refused_where_it_should_come_back() {
    on_docker(what_removes_itself_is_told);
}

#[test]
fn podman_what_removes_itself_is_told_and_refused_where_it_should_come_back() {
    on_podman(what_removes_itself_is_told);
}

fn what_removes_itself_is_told(started: &Started) {
    let id = started.run("web", &["--rm"]);
    let accept = json!({"survives-reboot": "accept"});
    for (fault, arguments) in [
        (KILL, json!({"restart": true})),
        (STOP, accept),
        (RESTART, json!({})),
    ] {
        let refused = begin(started, fault, &arguments, "web").err().unwrap();
        assert!(refused.contains("removed as soon as it ends"), "{refused}");
        assert!(refused.contains("removed when it ends"), "{refused}");
        assert_eq!(runs(started, &id), State::Running);
    }
    let mut drill = begin(started, KILL, &json!({}), "web").unwrap();
    drill.observe();
    drill.revert();
    wait_until("it is removed", || {
        started
            .engine
            .inspect(&id)
            .is_err_and(|error| error.is_gone())
    });
}

#[test]
fn docker_a_stopped_container_is_started_again_whoever_dies() {
    on_docker(a_stopped_container_is_started_again);
}

#[test]
fn podman_a_stopped_container_is_started_again_whoever_dies() {
    on_podman(a_stopped_container_is_started_again);
}

fn a_stopped_container_is_started_again(started: &Started) {
    let id = started.run("web", &[]);
    if !Path::new("/run/systemd/system").exists() {
        let refused = begin(started, STOP, &json!({}), "web").err().unwrap();
        assert!(refused.contains("survive a reboot"), "{refused}");
        assert_eq!(runs(started, &id), State::Running);
    }
    let accept = json!({"survives-reboot": "accept"});
    let mut drill = begin(started, STOP, &accept, "web").unwrap();
    drill.observe();
    wait_until("it has ended", || runs(started, &id) == State::Exited);
    drill.revert();
    assert_eq!(runs(started, &id), State::Running);

    let mut drill = begin(started, STOP, &accept, "web").unwrap();
    drill.observe();
    drill.kill_owner();
    wait_until("its guardian started it", || {
        runs(started, &id) == State::Running
    });
    wait_until("the drill is over", || drill.nothing_left());

    let mut drill = begin(started, STOP, &accept, "web").unwrap();
    drill.kill_guardian();
    drill.kill_owner();
    let report = drill.recover();
    assert_eq!(report["recovered"][0]["undone"], 1, "{report}");
    assert_eq!(report["recovered"][0]["residue"], json!([]), "{report}");
    assert_eq!(runs(started, &id), State::Running);
}

#[test]
fn docker_a_restart_is_another_run_and_nothing_is_left_to_undo() {
    on_docker(a_restart_is_another_run);
}

#[test]
fn podman_a_restart_is_another_run_and_nothing_is_left_to_undo() {
    on_podman(a_restart_is_another_run);
}

fn a_restart_is_another_run(started: &Started) {
    let id = started.run("web", &[]);
    let before = started.engine.inspect(&id).unwrap();
    let mut drill = begin(started, RESTART, &json!({"grace": "5s"}), "web").unwrap();
    drill.observe();
    drill.revert();
    let after = started.engine.inspect(&id).unwrap();
    assert_eq!(after.state, State::Running);
    assert_ne!(after.started_at, before.started_at);
}

fn begin(started: &Started, fault: &str, arguments: &Value, name: &str) -> Result<Drill, String> {
    Drill::begin(started, fault, arguments, &json!({"container": name}))
}

fn runs(started: &Started, id: &str) -> State {
    started.engine.inspect(id).unwrap().state
}
