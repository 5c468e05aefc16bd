//! Which packets are met, by each parameter that chooses among them.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::bed::{Bed, FAR, Side, round_trip};
use crate::drill::Drill;

/// What gets through from `near` to `far` and back.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Passes {
    /// Over TCP to this port, and to the next.
    tcp: (bool, bool),
    udp: bool,
    ping: bool,
}

const PORT: u16 = 5432;

const fn passes(tcp: (bool, bool), udp: bool, ping: bool) -> Passes {
    Passes { tcp, udp, ping }
}

const ALL: Passes = passes((true, true), true, true);
const NONE: Passes = passes((false, false), false, false);

/// Each choice, and what it leaves.
fn choices() -> Vec<(Value, Passes)> {
    let one_port = passes((false, true), true, true);
    vec![
        (json!({"port": 5432}), one_port),
        (json!({"remote-port": "5430-5432"}), one_port),
        (json!({"remote-port": [9, 5432]}), one_port),
        (json!({"local-port": 5432}), ALL),
        (
            json!({"protocol": "udp"}),
            passes((true, true), false, true),
        ),
        (
            json!({"protocol": "tcp"}),
            passes((false, false), true, true),
        ),
        (
            json!({"protocol": "icmp"}),
            passes((true, true), true, false),
        ),
        (json!({"protocol": "icmpv6"}), ALL),
        (json!({"address": "10.90.0.2"}), NONE),
        (json!({"address": ["10.90.0.0/30", "192.0.2.1"]}), NONE),
        (json!({"address": "10.91.0.0/16"}), ALL),
        (json!({"address": "fd90::/64"}), ALL),
        (json!({"interface": "near0"}), NONE),
        (json!({"interface": "lo"}), ALL),
        // A name that needs no resolver.
        (json!({"host": "10.90.0.2"}), NONE),
    ]
}

/// The same choices at the other end, where the port is its own.
fn choices_of_far() -> Vec<(Value, Passes)> {
    let one_port = passes((false, true), true, true);
    vec![
        (json!({"local-port": 5432}), one_port),
        (json!({"local-port": 5432, "remote-port": 9}), ALL),
        (json!({"remote-port": 5432}), ALL),
    ]
}

/// Under a fault that lets nothing through in time.
pub(crate) fn each_choice_meets_its_packets_and_no_others(
    bed: &Bed,
    fault: &str,
    arguments: &Value,
) {
    assert_eq!(look(bed), ALL);
    check(bed, &bed.near, fault, arguments, choices());
    check(bed, &bed.far, fault, arguments, choices_of_far());
    assert_eq!(look(bed), ALL);
}

fn check(bed: &Bed, at: &Side, fault: &str, arguments: &Value, choices: Vec<(Value, Passes)>) {
    for (choice, expected) in choices {
        let mut all = arguments.as_object().unwrap().clone();
        all.extend(choice.as_object().unwrap().clone());
        let before = bed.snapshot();
        let placed = Drill::begin().apply(fault, &all.into(), &[at.target()]);
        assert_eq!(look(bed), expected, "{fault} {choice}");
        placed.revert();
        assert_eq!(bed.snapshot(), before);
    }
}

/// All at once, because what does not come is waited for.
fn look(bed: &Bed) -> Passes {
    std::thread::scope(|scope| {
        let one = scope.spawn(|| connects(bed, PORT));
        let next = scope.spawn(|| connects(bed, PORT + 1));
        let ping = scope.spawn(|| pings(bed));
        let udp = round_trip(&bed.near, &bed.far, FAR.into()).is_some();
        passes(
            (one.join().unwrap(), next.join().unwrap()),
            udp,
            ping.join().unwrap(),
        )
    })
}

/// Whether a connection from `near` to that port of `far` can be made.
pub(crate) fn connects(bed: &Bed, port: u16) -> bool {
    let at = SocketAddr::from((FAR, port));
    let _listener = bed.far.listen(at);
    bed.near.connect(at).is_ok()
}

fn pings(bed: &Bed) -> bool {
    let told = bed.near.ask("ping", &["-c", "1", "-W", "0.7", "10.90.0.2"]);
    told.contains(" 1 received")
}
