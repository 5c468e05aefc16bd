use std::fs;

use super::*;

#[test]
fn the_doctor_leaves_the_state_directory_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let state = StateDir::at(root.path().join("not/yet"));
    let checks = doctor(&state);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    let works = |name: &str| {
        let found = checks.iter().find(|check| check.mechanism == name);
        found.unwrap().usable
    };
    assert!(
        works("pidfd") && works("undo log") && works("lease timer"),
        "{checks:?}"
    );
}

#[test]
fn what_is_not_usable_says_why_and_mostly_what_would_help() {
    let state = StateDir::at(std::env::temp_dir());
    for check in doctor(&state) {
        assert!(!check.why.is_empty(), "{check:?}");
        if !check.usable {
            assert!(check.fix.is_some(), "{check:?}");
        }
    }
}

#[test]
fn every_fault_is_judged_once() {
    let state = StateDir::at(std::env::temp_dir());
    let judged = usability(&doctor(&state));
    let names: Vec<&str> = judged.iter().map(|one| one.fault).collect();
    let all: Vec<&str> = crate::catalogue().iter().map(|entry| entry.name).collect();
    assert_eq!(names, all);
    assert_eq!(faults_here(), judged, "fewer checks say the same");
}
