//! Owner, guardian and engine killed while a container is paused.

use std::time::Duration;

use firedrill_kernel::{Pidfd, ProcessIdentity, Signal, process};
use serde_json::json;

use crate::drill::{Drill, kill};
use crate::pausing::{PAUSE, is_frozen, state};
use crate::started::{Started, wait_until};
use crate::{on_docker, on_podman};

#[test]
fn docker_whoever_dies_no_container_stays_paused() {
    on_docker(whoever_dies_no_container_stays_paused);
}

#[test]
fn podman_whoever_dies_no_container_stays_paused() {
    on_podman(whoever_dies_no_container_stays_paused);
}

fn whoever_dies_no_container_stays_paused(started: &Started) {
    let id = started.run("web", &[]);
    let before = state(started, &id);
    let begin = || Drill::begin(started, PAUSE, &json!({}), &json!({"container": "web"})).unwrap();

    let mut drill = begin();
    assert!(is_frozen(started, &id));
    drill.kill_owner();
    wait_until("its guardian unpaused it", || !is_frozen(started, &id));
    wait_until("the drill is over", || drill.nothing_left());
    assert_eq!(state(started, &id), before, "owner killed");

    let mut drill = begin();
    drill.kill_guardian();
    assert!(is_frozen(started, &id));
    let reverted = drill.ask("replace");
    assert_eq!(
        (&reverted["undone"], &reverted["residue"]),
        (&json!(1), &json!([]))
    );
    assert_eq!(state(started, &id), before, "guardian killed");
    drop(drill);

    let mut drill = begin();
    // The owner first would be seen by the guardian.
    drill.kill_guardian();
    drill.kill_owner();
    assert!(is_frozen(started, &id));
    let report = drill.recover();
    assert_eq!(report["recovered"][0]["undone"], 1, "{report}");
    assert_eq!(report["recovered"][0]["residue"], json!([]), "{report}");
    assert_eq!(state(started, &id), before, "both killed");
    assert!(drill.nothing_left());
    assert_eq!(drill.recover()["recovered"], json!([]), "recovered twice");
}

#[test]
fn docker_a_container_is_thawed_without_its_dead_engine() {
    on_docker(a_container_is_thawed_without_its_dead_engine);
}

#[test]
fn podman_a_container_is_thawed_without_its_dead_engine() {
    on_podman(a_container_is_thawed_without_its_dead_engine);
}

fn a_container_is_thawed_without_its_dead_engine(started: &Started) {
    let id = started.run("web", &[]);
    let pid = started.engine.inspect(&id).unwrap().pid.unwrap();
    let inside = ProcessIdentity::of(pid).unwrap().unwrap();
    let target = json!({"container": "web"});
    let mut drill = Drill::begin(started, PAUSE, &json!({}), &target).unwrap();
    for part in parts(started) {
        kill(&part);
    }
    drill.observe();
    let reverted = drill.ask("revert");
    assert_eq!(reverted["undone"], 1, "{reverted}");
    let residue = &reverted["residue"];
    assert_eq!(residue[0]["residue"], "differs", "{residue}");
    let difference = residue[0]["difference"].as_str().unwrap();
    assert!(difference.contains("thawed directly"), "{difference}");
    drill.kill_owner();
    wait_until("the drill is over", || drill.nothing_left());
    // It gets its signals again: it is not frozen.
    kill(&inside);
    if started.engine.kind == firedrill_container::Kind::Podman {
        started.tell(&["rm", "--force", &id]);
    }
    end_orphans(started);
}

#[test]
fn docker_an_engine_that_hangs_does_not_keep_a_container_paused() {
    on_docker(an_engine_that_hangs_does_not_keep_it_paused);
}

#[test]
fn podman_an_engine_that_hangs_does_not_keep_a_container_paused() {
    on_podman(an_engine_that_hangs_does_not_keep_it_paused);
}

fn an_engine_that_hangs_does_not_keep_it_paused(started: &Started) {
    let id = started.run("web", &[]);
    let details = started.engine.inspect(&id).unwrap();
    let target = json!({"container": "web"});
    let mut drill = Drill::begin(started, PAUSE, &json!({}), &target).unwrap();
    let service = parts(started);
    signal(&service, Signal::Stop);
    let reverted = drill.ask("revert");
    signal(&service, Signal::Cont);
    assert_eq!(reverted["undone"], 1, "{reverted}");
    let difference = reverted["residue"][0]["difference"].as_str().unwrap();
    assert!(difference.contains("thawed directly"), "{difference}");
    // It ends by itself on SIGTERM, which a frozen one would not.
    let inside = ProcessIdentity::of(details.pid.unwrap()).unwrap().unwrap();
    let pidfd = Pidfd::open(&inside).unwrap().unwrap();
    pidfd.send(Signal::Term).unwrap();
    assert!(pidfd.wait_for_exit(Duration::from_secs(30)).unwrap());
}

fn signal(processes: &[ProcessIdentity], signal: Signal) {
    assert!(!processes.is_empty());
    for process in processes {
        Pidfd::open(process).unwrap().unwrap().send(signal).unwrap();
    }
}

/// The engine's service, and not what watches over its containers.
fn parts(started: &Started) -> Vec<ProcessIdentity> {
    let socket = started.engine.socket.to_string_lossy().into_owned();
    processes_with(&socket, |program| {
        program.ends_with("dockerd") || program.ends_with("podman")
    })
}

/// What a killed engine leaves: nobody else would end it.
fn end_orphans(started: &Started) {
    let directory = started.engine.socket.parent().unwrap();
    let directory = directory.to_string_lossy().into_owned();
    for orphan in processes_with(&directory, |_| true) {
        kill(&orphan);
    }
}

fn processes_with(word: &str, is_it: impl Fn(&str) -> bool) -> Vec<ProcessIdentity> {
    let me = std::process::id();
    let mut found = Vec::new();
    for pid in process::list().unwrap() {
        let words = process::command_line(pid)
            .ok()
            .flatten()
            .unwrap_or_default();
        let program = words.first().map(String::as_str).unwrap_or_default();
        if pid != me && is_it(program) && words.iter().any(|one| one.contains(word)) {
            found.extend(ProcessIdentity::of(pid).unwrap());
        }
    }
    found
}
