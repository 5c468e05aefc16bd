//! What becomes of it when others act during the fault.

use firedrill_undo::ControlApi;
use serde_json::json;

use crate::LONG;
use crate::bed::Bed;
use crate::owner::Owner;

fn begin(bed: &Bed) -> Owner {
    Owner::begin("application.http-error", &bed.arguments("web", json!({})))
}

#[test]
fn two_faults_on_a_route_are_taken_back_each_for_itself() {
    let bed = Bed::new();
    let (mut first, mut second) = (begin(&bed), begin(&bed));
    assert_eq!(bed.toxics("web").len(), 2);
    assert_eq!(first.revert(), (1, vec![]));
    assert_eq!(bed.toxics("web").len(), 1);
    assert_eq!(second.revert(), (1, vec![]));
    assert!(bed.toxics("web").is_empty());
}

#[test]
fn a_toxic_that_somebody_took_away_needs_no_undo_and_is_missed() {
    let bed = Bed::new();
    let mut owner = begin(&bed);
    let name = bed.toxics("web").remove(0);
    bed.remove("web", &name);
    let seen = owner.ask("look");
    assert_eq!(seen["achieved"], 0);
    assert!(
        seen["missing"][0].as_str().unwrap().contains(&name),
        "{seen}"
    );
    assert_eq!(owner.revert(), (0, vec![]));
}

#[test]
fn only_the_split_of_this_name_is_taken_away_whatever_was_there_a_moment_ago() {
    let bed = Bed::new();
    let at = bed.api().trim_start_matches("http://").parse().unwrap();
    let undivide = |route: &str, name: &str| ControlApi::at(at, LONG).undivide(route, name);
    bed.divide();
    assert!(!undivide("web", "firedrill-of a drill").unwrap());
    assert!(!undivide("nowhere", "test").unwrap());
    let split = || ControlApi::at(at, LONG).route("web").unwrap().split;
    assert_eq!(split().unwrap().name, "test");
    assert!(undivide("web", "test").unwrap());
    assert_eq!(split(), None);
    assert!(!undivide("web", "test").unwrap());
}

#[test]
fn a_proxy_that_has_ended_has_nothing_to_take_back() {
    let mut bed = Bed::new();
    let mut owner = begin(&bed);
    bed.stop();
    assert_eq!(owner.revert(), (0, vec![]));
}

#[test]
fn a_state_file_does_not_bring_the_toxic_of_a_drill_into_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state.json");
    let bed = Bed::new();
    bed.keep_in(&file);
    let mut owner = begin(&bed);
    assert_eq!(bed.get("/", "u").status, 503);
    let bed = bed.again(&file);
    assert_eq!(bed.toxics("web"), Vec::<String>::new());
    assert_eq!(bed.get("/", "u").status, 200);
    assert_eq!(owner.revert(), (0, vec![]));
}
