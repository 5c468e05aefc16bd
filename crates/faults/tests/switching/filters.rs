use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use firedrill_faults::Site;
use firedrill_faults::switching::hosts::{Addresses, Hosts};
use serde_json::{Value, json};

use crate::bed::{Bed, FAR, round_trip};
use crate::drill::{Drill, compile};

const BLACKHOLE: &str = "switching.blackhole";

/// Whether a connection from `near` to that port of `far` can be made.
fn connects(bed: &Bed, port: u16) -> bool {
    let at = SocketAddr::from((FAR, port));
    let _listener = bed.far.listen(at);
    bed.near.connect(at).is_ok()
}

fn while_in_place<T>(bed: &Bed, arguments: &Value, look: impl FnOnce() -> T) -> T {
    let placed = Drill::begin().apply(BLACKHOLE, arguments, &[bed.near.target()]);
    let seen = look();
    placed.revert();
    seen
}

#[test]
fn each_choice_meets_its_packets_and_no_others() {
    let Some(bed) = Bed::lay() else { return };
    let both = || (connects(&bed, 5432), connects(&bed, 5433));
    let udp = || bed.far_answers();
    for (arguments, tcp, datagrams) in [
        (json!({"port": 5432}), (false, true), true),
        (json!({"remote-port": "5430-5432"}), (false, true), true),
        (json!({"local-port": 5432}), (true, true), true),
        (json!({"protocol": "udp"}), (true, true), false),
        (json!({"protocol": "tcp"}), (false, false), true),
        (json!({"address": "10.90.0.2"}), (false, false), false),
        (json!({"address": ["10.90.0.0/30"]}), (false, false), false),
        (json!({"address": "10.91.0.0/16"}), (true, true), true),
        (json!({"interface": "near0"}), (false, false), false),
        (json!({"interface": "near1"}), (true, true), true),
        (json!({"direction": "ingress"}), (false, false), false),
        (json!({"direction": "egress"}), (false, false), false),
        (json!({"host": "localhost"}), (true, true), true),
    ] {
        let seen = while_in_place(&bed, &arguments, || (both(), udp()));
        assert_eq!(seen, (tcp, datagrams), "{arguments}");
    }
    assert_eq!((both(), udp()), ((true, true), true));
}

#[test]
fn ssh_passes_unless_it_is_asked_for() {
    let Some(bed) = Bed::lay() else { return };
    assert!(while_in_place(&bed, &json!({}), || connects(&bed, 22)));
    assert!(!while_in_place(&bed, &json!({"ssh": true}), || connects(
        &bed, 22
    )));
}

#[test]
fn who_watches_the_drill_is_spared_on_either_side() {
    let Some(bed) = Bed::lay() else { return };
    let spare = [SocketAddr::from((FAR, 9090))];
    for target in [bed.near.target(), bed.far.target()] {
        let targets = [target];
        let site = Site {
            spare: &spare,
            ..Site::of(&targets)
        };
        let placed = Drill::begin().put(compile(BLACKHOLE, &json!({}), &site).unwrap());
        assert!(connects(&bed, 9090));
        assert!(!connects(&bed, 9091));
        placed.revert();
    }
}

#[test]
fn when_a_name_comes_to_mean_another_address_that_one_is_met_as_well() {
    let Some(bed) = Bed::lay() else { return };
    bed.far.ip("addr add 10.90.0.3/24 dev far0");
    let means = |hosts: &[u8]| -> Addresses {
        let found = hosts.iter().map(|host| IpAddr::from([10, 90, 0, *host]));
        [("db.internal".to_owned(), found.collect::<BTreeSet<_>>())].into()
    };
    let reaches = |host: u8| round_trip(&bed.near, &bed.far, [10, 90, 0, host].into()).is_some();
    let (first, both, fresh) = (means(&[2]), means(&[2, 3]), means(&[3]));
    let targets = [bed.near.target()];
    let arguments = json!({"host": "db.internal"});
    let at = |hosts| {
        let site = Site {
            hosts,
            ..Site::of(&targets)
        };
        Drill::begin().put(compile(BLACKHOLE, &arguments, &site).unwrap())
    };
    let placed = at(Hosts::At(&first));
    assert!(!reaches(2) && reaches(3));
    let moved = at(Hosts::Moved {
        all: &both,
        fresh: &fresh,
    });
    assert!(!reaches(2) && !reaches(3));
    moved.revert();
    assert!(!reaches(2) && reaches(3));
    placed.revert();
    assert!(reaches(2) && reaches(3));
}
