//! What is there before, and other faults.

use std::time::Duration;

use firedrill_faults::{CompileError, Site};
use firedrill_undo::Mechanism;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::drill::{Drill, compile};
use crate::{configuration, lay, place};

const LATENCY: &str = "switching.latency";

fn delay(time: &str, mechanism: &str) -> Value {
    json!({"delay": time, "mechanism": mechanism})
}

/// What the fault adds, without the host's own noise.
fn quickest(bed: &Bed) -> Duration {
    (0..5).filter_map(|_| bed.round_trip()).min().unwrap()
}

fn refused(bed: &Bed) -> bool {
    let targets = [bed.near.target()];
    let compiled = compile(LATENCY, &delay("50ms", "netem"), &Site::of(&targets));
    matches!(compiled, Err(CompileError::NoNetem { why }) if why.contains("near0"))
}

/// A root that `tc` sets is refused by netem, met by a queue with auto, and as before afterwards.
fn is_left_alone(commands: &[&str]) {
    let Some(bed) = lay() else { return };
    for command in commands {
        bed.near.run("tc", &[command]);
    }
    let before = (configuration(&bed), bed.snapshot());
    assert!(!before.0.is_default());
    assert!(refused(&bed));
    let targets = [bed.near.target()];
    let placed = Drill::begin().apply(LATENCY, &delay("50ms", "auto"), &targets);
    assert!(placed.applied.mechanisms.contains(&Mechanism::Queue));
    assert!(quickest(&bed) >= Duration::from_millis(49));
    assert_eq!(configuration(&bed), before.0);
    placed.revert();
    assert_eq!((configuration(&bed), bed.snapshot()), before);
}

#[test]
fn netem_leaves_a_root_of_fq_codel_alone() {
    is_left_alone(&["qdisc add dev near0 root fq_codel"]);
}

#[test]
fn netem_leaves_a_root_of_tbf_alone() {
    is_left_alone(&["qdisc add dev near0 root tbf rate 100mbit burst 64k latency 50ms"]);
}

#[test]
fn netem_leaves_a_tree_of_htb_alone() {
    is_left_alone(&[
        "qdisc add dev near0 root handle 1: htb default 10",
        "class add dev near0 parent 1: classid 1:10 htb rate 100mbit",
        "class add dev near0 parent 1: classid 1:20 htb rate 10mbit",
        "qdisc add dev near0 parent 1:20 handle 20: pfifo limit 50",
    ]);
}

#[test]
fn netem_refuses_an_interface_that_has_a_fault_and_auto_goes_beside_it() {
    let Some(bed) = lay() else { return };
    let before = (configuration(&bed), bed.snapshot());
    let first = place(&bed, LATENCY, &json!({"delay": "40ms"}));
    assert!(refused(&bed));
    let targets = [bed.near.target()];
    let second = Drill::begin().apply(LATENCY, &delay("60ms", "auto"), &targets);
    assert!(second.applied.mechanisms.contains(&Mechanism::Queue));
    assert!(quickest(&bed) >= Duration::from_millis(99));
    first.revert();
    assert_eq!(configuration(&bed), before.0);
    let one = quickest(&bed);
    assert!(one >= Duration::from_millis(59), "{one:?}");
    assert!(one < Duration::from_millis(95), "{one:?}");
    second.revert();
    assert_eq!((configuration(&bed), bed.snapshot()), before);
}

#[test]
fn netem_of_two_drills_the_later_goes_first_and_the_other_stays() {
    let Some(bed) = lay() else { return };
    let before = (configuration(&bed), bed.snapshot());
    let first = place(&bed, LATENCY, &json!({"delay": "40ms"}));
    let with_first = configuration(&bed);
    let targets = [bed.near.target()];
    let second = Drill::begin().apply(LATENCY, &delay("60ms", "auto"), &targets);
    second.revert();
    assert_eq!(configuration(&bed), with_first);
    assert!(quickest(&bed) >= Duration::from_millis(39));
    first.revert();
    assert_eq!((configuration(&bed), bed.snapshot()), before);
}

#[test]
fn netem_has_no_burst_so_that_a_rate_with_one_takes_the_queue() {
    let Some(bed) = lay() else { return };
    let targets = [bed.near.target()];
    let arguments = |mechanism| json!({"rate": "1MiB", "burst": "64KiB", "mechanism": mechanism});
    let asked = compile(
        "switching.bandwidth",
        &arguments("netem"),
        &Site::of(&targets),
    );
    assert!(matches!(asked, Err(CompileError::NoNetem { why }) if why.contains("burst")));
    let placed = Drill::begin().apply("switching.bandwidth", &arguments("auto"), &targets);
    assert!(placed.applied.mechanisms.contains(&Mechanism::Queue));
    placed.revert();
}
