use std::time::Duration;

use serde_json::json;

use crate::bed::Bed;
use crate::drill::Drill;

const LATENCY: &str = "switching.latency";

/// The quickest of some round trips: what the fault adds, without the host's own noise.
fn quickest(bed: &Bed) -> Duration {
    (0..8).filter_map(|_| bed.round_trip()).min().unwrap()
}

#[test]
fn two_drills_delay_the_same_packets_and_each_takes_back_only_its_own() {
    let Some(bed) = Bed::lay() else { return };
    let before = bed.snapshot();
    let delay = |time| json!({"delay": time, "mechanism": "nfqueue"});
    let near = [bed.near.target()];
    let first = Drill::begin().apply(LATENCY, &delay("40ms"), &near);
    let second = Drill::begin().apply(LATENCY, &delay("60ms"), &near);
    assert!(quickest(&bed) >= Duration::from_millis(99));
    first.revert();
    let one = quickest(&bed);
    assert!(one >= Duration::from_millis(59), "{one:?}");
    assert!(one < Duration::from_millis(95), "{one:?}");
    second.revert();
    assert!(quickest(&bed) < Duration::from_millis(40));
    assert_eq!(bed.snapshot(), before);
}

#[test]
fn of_two_drills_that_drop_the_first_undo_leaves_the_second_in_force() {
    let Some(bed) = Bed::lay() else { return };
    let near = [bed.near.target()];
    let blackhole = || Drill::begin().apply("switching.blackhole", &json!({}), &near);
    let (first, second) = (blackhole(), blackhole());
    first.revert();
    assert!(!bed.far_answers());
    second.revert();
    assert!(bed.far_answers());
}

#[test]
fn a_root_of_somebody_else_stays_and_the_queue_is_taken_instead() {
    let Some(bed) = Bed::lay() else { return };
    bed.near.run(
        "tc",
        &["qdisc add dev near0 root tbf rate 100mbit burst 64k latency 50ms"],
    );
    let before = bed.snapshot();
    let near = [bed.near.target()];
    let placed = Drill::begin().apply(LATENCY, &json!({"delay": "50ms"}), &near);
    assert!(quickest(&bed) >= Duration::from_millis(49));
    placed.revert();
    assert_eq!(bed.snapshot(), before);
}
