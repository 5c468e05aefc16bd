use firedrill_faults::Target;
use firedrill_kernel::cgroup::{Controller, Limit};
use firedrill_undo::Quantity;
use serde_json::json;

use crate::drill::Drill;
use crate::places::OwnCgroup;

const PIDS: &str = "infrastructure.pids";
const FILES: &str = "infrastructure.file-descriptors";

fn open_files() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/fs/file-nr").unwrap();
    text.split_ascii_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn tasks_are_what_the_cgroup_counts_and_its_reserve_stays() {
    let Some(own) = OwnCgroup::with(Controller::Pids) else {
        return;
    };
    own.0.set(&Limit::Pids(Some(300))).unwrap();
    let aim = || Target::Cgroup(own.path());
    for (arguments, least, most) in [
        (json!({"count": 100}), 100, 110),
        (json!({"percent": 70, "reserve": 20}), 205, 212),
    ] {
        let placed = Drill::begin().apply(PIDS, &arguments, aim());
        let counted = own.0.tasks().unwrap();
        let figure = placed.figure(Quantity::ProcessesHeld);
        eprintln!("pids: {arguments}, the cgroup counts {counted}, we say {figure}");
        assert!((least..=most).contains(&counted), "{counted}");
        placed.revert();
        assert_eq!(own.0.tasks().unwrap(), 0);
    }
    let error = Drill::begin().refusal(PIDS, &json!({"count": 299}), aim());
    assert!(error.to_string().contains("are free beside"), "{error}");
}

#[test]
fn open_files_are_what_the_kernel_counts() {
    let before = open_files();
    let placed = Drill::begin().apply(FILES, &json!({"count": 2000}), Target::Host);
    let during = open_files();
    let figure = placed.figure(Quantity::DescriptorsHeld);
    assert_eq!(figure.achieved, 2000.0);
    // Others open and close files, too.
    assert!(during >= before + 1500, "{before} {during}");
    let worker = placed.workers()[0];
    let held = std::fs::read_dir(format!("/proc/{worker}/fd"))
        .unwrap()
        .count();
    assert!((2000..2100).contains(&held), "{held}");
    placed.revert();
    crate::drill::wait_for("they are closed", || open_files() < before + 1000);
    let error = Drill::begin().refusal(FILES, &json!({"count": u64::MAX}), Target::Host);
    assert!(!error.to_string().is_empty());
}

#[test]
fn tasks_and_open_files_of_the_reserve_stay_possible() {
    let host = || Target::Host;
    let all = json!({"count": 100, "reserve": u32::MAX});
    let refused = Drill::begin().refusal(FILES, &all, host()).to_string();
    assert!(refused.contains("are free beside"), "{refused}");
    let Some(own) = OwnCgroup::with(Controller::Pids) else {
        return;
    };
    own.0.set(&Limit::Pids(Some(300))).unwrap();
    let aim = || Target::Cgroup(own.path());
    let take = |reserve: u32| json!({"count": 200, "reserve": reserve});
    let refused = Drill::begin().refusal(PIDS, &take(120), aim()).to_string();
    assert!(refused.contains("are free beside"), "{refused}");
    let placed = Drill::begin().apply(PIDS, &take(10), aim());
    assert!((200..=210).contains(&own.0.tasks().unwrap()));
    placed.revert();
}

#[test]
fn open_files_are_filled_to_a_level_of_the_table() {
    let text = std::fs::read_to_string("/proc/sys/fs/file-max").unwrap();
    let most: f64 = text.trim().parse().unwrap();
    let level = (open_files() + 3000) as f64;
    let percent = 100.0 * level / most;
    let placed = Drill::begin().apply(FILES, &json!({ "percent": percent }), Target::Host);
    let seen = open_files() as f64;
    placed.revert();
    eprintln!("open files: {level} asked for, {seen} seen");
    // Others open and close files, too.
    assert!((seen - level).abs() < 1000.0, "{seen}");
}
