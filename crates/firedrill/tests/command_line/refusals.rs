use insta::assert_snapshot;
use serde_json::Value;

use crate::place::Place;

#[test]
fn a_mistyped_command_is_a_mistake_with_a_suggestion() {
    assert_snapshot!(Place::new().see(&["rnu", "experiment.json"]));
}

#[test]
fn a_mistyped_option_is_a_mistake_with_a_suggestion() {
    assert_snapshot!(Place::new().see(&["run", "experiment.json", "--journal-pth", "x"]));
}

#[test]
fn a_mistyped_fault_is_a_mistake_with_a_suggestion() {
    assert_snapshot!(Place::new().see(&["faults", "proces-pause"]));
}

#[test]
fn a_fault_needs_an_end() {
    assert_snapshot!(Place::new().see(&[
        "inject",
        "infrastructure.process-pause",
        "--target",
        "name=x",
        "--for",
        "0s"
    ]));
}

#[test]
fn a_drill_that_is_not_there_cannot_be_halted() {
    assert_snapshot!(Place::new().see(&["halt", "d-1"]));
}

#[test]
fn an_error_in_json_goes_to_standard_error_and_keeps_its_exit_code() {
    let place = Place::new();
    let wrong: [(&[&str], i32); 4] = [
        (&["halt", "d-1", "--output", "json"], 2),
        (&["--output=json", "rnu"], 2),
        (&["report", "missing.json", "--output", "json"], 2),
        (&["faults", "nothing-like-it", "--output", "json"], 2),
    ];
    for (words, status) in wrong {
        let output = place.run(words);
        assert_eq!(output.status.code(), Some(status), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
        let error: Value = serde_json::from_slice(&output.stderr).unwrap();
        let error = &error["error"];
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{words:?}"
        );
        assert!(error["causes"].is_array(), "{words:?}");
        assert_eq!(error["exit"], status, "{words:?}");
    }
}

#[test]
fn with_neither_home_nor_option_there_is_no_place_for_the_undo_log() {
    let place = Place::new();
    let state = |words: &[&str]| {
        let mut command = place.command(words);
        command.env_remove("HOME").env_remove("FIREDRILL_STATE_DIR");
        command.output().unwrap().status.code()
    };
    // Root has a place of its own.
    let expected = if rustix_is_root() { Some(0) } else { Some(6) };
    assert_eq!(state(&["status"]), expected);
    let elsewhere = place.state().display().to_string();
    assert_eq!(state(&["status", "--state-dir", &elsewhere]), Some(0));
}

fn rustix_is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn init_does_not_replace_a_file_and_does_not_ask_nobody() {
    let place = Place::new();
    assert_snapshot!("init_nobody_to_ask", place.see(&["init"]));
    place.file("experiment.yaml", "mine");
    let words = [
        "init",
        "--url",
        "http://127.0.0.1:9/",
        "--process",
        "name=x",
    ];
    assert_snapshot!("init_file_exists", place.see(&words));
    assert_eq!(
        std::fs::read_to_string(place.work().join("experiment.yaml")).unwrap(),
        "mine"
    );
}
