use std::time::Duration;

use firedrill_faults::Site;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::drill::{Drill, compile, wait_for};

const LATENCY: &str = "switching.latency";

/// The quickest of some round trips: what the fault adds, without the host's own noise.
fn quickest(bed: &Bed) -> Duration {
    (0..8)
        .filter_map(|_| bed.round_trip())
        .min()
        .unwrap_or_default()
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

/// Two drills, one after the other, on `near`: either both work, and after the first undo the second
/// still does; or the second is refused, and the first is still in force.
fn meet(bed: &Bed, first: &Case, second: &Case) {
    let before = bed.snapshot();
    let near = [bed.near.target()];
    let (one, two) = (Drill::begin(), Drill::begin());
    let one = one.apply(first.fault, &first.arguments, &near);
    let primitives = compile(second.fault, &second.arguments, &Site::of(&near));
    let both = format!("{} then {}", first.fault, second.fault);
    let applied = match primitives {
        Ok(primitives) => two
            .guardian
            .apply(primitives)
            .map_err(|error| error.to_string()),
        Err(refused) => Err(refused.to_string()),
    };
    match applied {
        Ok(applied) => {
            assert!((second.in_force)(bed), "{both}: the second has no effect");
            one.revert();
            assert!(
                (second.in_force)(bed),
                "{both}: the first undo removed the second"
            );
            let reverted = two.guardian.revert(applied.id).unwrap();
            assert!(reverted.residue.is_empty(), "{both}: {reverted:?}");
        }
        Err(refused) => {
            eprintln!("{both}: {refused}");
            assert!(refused.contains(second.refusal), "{both}: {refused}");
            assert!((first.in_force)(bed), "{both}: the refusal ended the first");
            one.revert();
        }
    }
    two.guardian.finish().unwrap();
    assert!(!(first.in_force)(bed) && !(second.in_force)(bed), "{both}");
    // The kernel looks for duplicates of the address that it makes itself.
    wait_for("everything as before", || bed.snapshot() == before);
}

struct Case {
    fault: &'static str,
    arguments: Value,
    /// As an instrument sees it.
    in_force: fn(&Bed) -> bool,
    /// Why it may be refused beside another.
    refusal: &'static str,
}

#[test]
fn of_any_two_drills_at_one_interface_both_work_or_the_second_is_refused() {
    let Some(bed) = Bed::lay() else { return };
    let late = |bed: &Bed| bed.far_answers() && quickest(bed) >= Duration::from_millis(39);
    let closed = |bed: &Bed| {
        let at = "10.90.0.1:5432";
        bed.near.within(|| std::net::TcpListener::bind(at)).is_err()
    };
    let down = |bed: &Bed| {
        let shown = bed.near.run("ip", &["-o link show near0"]);
        shown.contains("state DOWN")
    };
    let slow = |bed: &Bed| late_ping(&ping(bed));
    let lost = |bed: &Bed| ping(bed).contains(" 0 received");
    let case = |fault, arguments, in_force, refusal| Case {
        fault,
        arguments,
        in_force,
        refusal,
    };
    let queue = || {
        let arguments = json!({"delay": "40ms", "mechanism": "nfqueue", "protocol": "udp"});
        case("switching.latency", arguments, late, "-")
    };
    let rate = || {
        let arguments = json!({"rate": "800B", "mechanism": "nfqueue", "protocol": "icmp"});
        case("switching.bandwidth", arguments, slow, "-")
    };
    let rules = || {
        case(
            "switching.loss",
            json!({"percent": 100, "protocol": "icmp"}),
            lost,
            "-",
        )
    };
    let ports = || {
        case(
            "switching.port-occupy",
            json!({"port": 5432}),
            closed,
            "5432",
        )
    };
    let link = || {
        case(
            "switching.interface-down",
            json!({"interface": "near0"}),
            down,
            "down already",
        )
    };
    for (first, second) in [
        (queue(), rules()),
        (rules(), queue()),
        (rules(), rules()),
        (rate(), queue()),
        (queue(), rate()),
        (ports(), ports()),
        (ports(), rules()),
        (link(), link()),
        (link(), ports()),
        (ports(), link()),
    ] {
        meet(&bed, &first, &second);
    }
}

fn ping(bed: &Bed) -> String {
    let words = ["-c", "1", "-W", "0.7", "10.90.0.2"];
    bed.near.ask("ping", &words)
}

/// Whether it took as long as its 84 bytes take at 800 bytes a second.
fn late_ping(told: &str) -> bool {
    let time = told
        .split("time=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    time.is_some_and(|time| time.parse::<f64>().is_ok_and(|time| time >= 99.0))
}
