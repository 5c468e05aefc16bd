use firedrill_faults::{Site, Target};
use firedrill_undo::{Measurement, Quantity};
use serde_json::json;

use crate::bed::{Bed, round_trip};
use crate::drill::{Drill, compile};

const PARTITION: &str = "switching.partition";

#[test]
fn two_groups_do_not_reach_each_other_until_it_is_undone() {
    let Some(bed) = Bed::lay() else { return };
    let before = bed.snapshot();
    let groups = json!({"groups": [["10.90.0.1"], ["10.90.0.2", "10.90.0.3"]]});
    let both = [bed.near.target(), bed.far.target()];
    let placed = Drill::begin().apply(PARTITION, &groups, &both);
    assert!(!bed.far_answers());
    // Dropped on its way out, a packet is not there to be dropped on its way in.
    let seen = placed.observe();
    let dropped =
        |one: &Measurement| one.quantity == Quantity::PacketsMatched && one.achieved > 0.0;
    assert!(
        seen.is_complete() && seen.measured.iter().any(dropped),
        "{seen:?}"
    );
    let reverted = placed.revert();
    assert!(bed.far_answers());
    assert_eq!(bed.snapshot(), before);
    eprintln!("partition: undone in {:?}", reverted.took);
}

#[test]
fn one_way_what_the_first_says_still_arrives() {
    let Some(bed) = Bed::lay() else { return };
    let groups = json!({"groups": ["10.90.0.1", "10.90.0.2"], "kind": "one-way"});
    for target in [bed.near.target(), bed.far.target()] {
        let placed = Drill::begin().apply(PARTITION, &groups, &[target]);
        let there = bed.far.udp("10.90.0.2:4000".parse().unwrap());
        let here = bed.near.udp("10.90.0.1:4000".parse().unwrap());
        for socket in [&there, &here] {
            let time = std::time::Duration::from_millis(500);
            socket.set_read_timeout(Some(time)).unwrap();
        }
        here.send_to(b"out", "10.90.0.2:4000").unwrap();
        assert!(there.recv(&mut [0; 8]).is_ok());
        let _dropped_here_or_there = there.send_to(b"in", "10.90.0.1:4000");
        assert!(here.recv(&mut [0; 8]).is_err());
        placed.revert();
        there.send_to(b"in", "10.90.0.1:4000").unwrap();
        assert!(here.recv(&mut [0; 8]).is_ok());
    }
}

#[test]
fn in_larger_circles_each_kind_leaves_its_own_ways() {
    let Some(bed) = Bed::lay() else { return };
    // `near` is the first of seven; `far` is the six others.
    for host in 3..=7 {
        bed.far.ip(&format!("addr add 10.90.0.{host}/24 dev far0"));
    }
    let groups: Vec<String> = (1..=7).map(|host| format!("10.90.0.{host}")).collect();
    let reaches = |host: u8| round_trip(&bed.near, &bed.far, [10, 90, 0, host].into()).is_some();
    for (kind, reached) in [
        ("ring", vec![2, 7]),
        ("bridge", vec![7]),
        ("majorities", vec![2, 3, 6, 7]),
    ] {
        let arguments = json!({"groups": groups, "kind": kind});
        let placed = Drill::begin().apply(PARTITION, &arguments, &[bed.near.target()]);
        let seen = std::thread::scope(|scope| {
            let looks: Vec<_> = (2..=7)
                .map(|host| (host, scope.spawn(move || reaches(host))))
                .collect();
            let found = looks
                .into_iter()
                .filter_map(|(host, look)| look.join().unwrap().then_some(host));
            found.collect::<Vec<u8>>()
        });
        assert_eq!(seen, reached, "{kind}");
        placed.revert();
    }
    assert!((2..=7).all(reaches));
}

#[test]
fn a_target_in_no_group_or_in_two_is_refused() {
    let Some(bed) = Bed::lay() else { return };
    let refused = |groups, target: Target| {
        let error = compile(PARTITION, &json!({"groups": groups}), &Site::of(&[target]));
        error.unwrap_err().to_string()
    };
    let nowhere = refused(json!(["192.0.2.1", "192.0.2.2"]), bed.near.target());
    assert!(nowhere.contains("none has an address"), "{nowhere}");
    let twice = refused(json!(["10.90.0.1", "fd90::1"]), bed.near.target());
    assert!(twice.contains("group 1, group 2"), "{twice}");
}
