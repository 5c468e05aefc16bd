use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use firedrill_faults::switching::hosts::{Addresses, Hosts};
use firedrill_faults::{Entry, Site};
use firedrill_undo::Primitive;
use serde_json::{Value, json};

use crate::bed::{Bed, FAR, Side, round_trip};
use crate::choices::{connects, each_choice_meets_its_packets_and_no_others};
use crate::drill::{Drill, compile};

const BLACKHOLE: &str = "switching.blackhole";

/// For what arrives at once, if at all.
const PATIENCE: Duration = Duration::from_millis(300);

fn while_in_place<T>(bed: &Bed, arguments: &Value, look: impl FnOnce() -> T) -> T {
    let placed = Drill::begin().apply(BLACKHOLE, arguments, &[bed.near.target()]);
    let seen = look();
    placed.revert();
    seen
}

#[test]
fn each_choice_meets_its_packets_and_no_others_by_rules() {
    let Some(bed) = Bed::lay() else { return };
    each_choice_meets_its_packets_and_no_others(&bed, BLACKHOLE, &json!({}));
}

#[test]
fn each_choice_meets_its_packets_and_no_others_by_a_queue() {
    let Some(bed) = Bed::lay() else { return };
    let late = json!({"delay": "20s", "mechanism": "nfqueue"});
    each_choice_meets_its_packets_and_no_others(&bed, "switching.latency", &late);
}

#[test]
fn what_leaves_and_what_arrives_are_met_apart() {
    let Some(bed) = Bed::lay() else { return };
    for (fault, arguments) in [
        (BLACKHOLE, json!({})),
        ("switching.loss", json!({"percent": 100})),
        (
            "switching.latency",
            json!({"delay": "20s", "mechanism": "nfqueue"}),
        ),
    ] {
        for (direction, there, back) in [
            ("egress", false, true),
            ("ingress", true, false),
            ("both", false, false),
        ] {
            let mut arguments = arguments.clone();
            arguments["direction"] = direction.into();
            let placed = Drill::begin().apply(fault, &arguments, &[bed.near.target()]);
            let seen = (
                arrives(&bed.near, &bed.far, FAR),
                arrives(&bed.far, &bed.near, [10, 90, 0, 1]),
            );
            assert_eq!(seen, (there, back), "{fault} {arguments}");
            placed.revert();
        }
    }
}

/// Whether a datagram arrives, whatever becomes of an answer.
fn arrives(from: &Side, to: &Side, at: [u8; 4]) -> bool {
    let there = to.udp((at, 0).into());
    there.set_read_timeout(Some(PATIENCE)).unwrap();
    let here = from.udp(([0; 4], 0).into());
    let address = there.local_addr().unwrap();
    // A drop on the way out is told to the sender.
    here.send_to(b"x", address).is_ok() && there.recv(&mut [0; 8]).is_ok()
}

#[test]
fn a_share_of_the_packets_is_met_by_every_fault_of_rules() {
    let Some(bed) = Bed::lay() else { return };
    for (fault, arguments) in [
        (BLACKHOLE, json!({"percent": 40})),
        ("switching.loss", json!({"percent": 40})),
        ("switching.reject", json!({"percent": 40})),
        (
            "switching.partition",
            json!({"percent": 40, "groups": ["10.90.0.1", "10.90.0.2"]}),
        ),
    ] {
        let placed = Drill::begin().apply(fault, &arguments, &[bed.near.target()]);
        let came = received_of_a_thousand(&bed);
        placed.revert();
        eprintln!("{fault}: 40 % asked for, {came} of 1000 came");
        // 4.9 standard errors.
        assert!((600 - 76..600 + 76).contains(&came), "{fault}: {came}");
    }
    assert_eq!(received_of_a_thousand(&bed), 1000);
}

/// Datagrams from `near` to `far`, in trains that a buffer holds.
fn received_of_a_thousand(bed: &Bed) -> i32 {
    let there = bed.far.udp((FAR, 0).into());
    there.set_read_timeout(Some(PATIENCE)).unwrap();
    let here = bed.near.udp(([0; 4], 0).into());
    let address = there.local_addr().unwrap();
    let mut came = 0;
    for _ in 0..5 {
        for _ in 0..200 {
            let _told_when_dropped = here.send_to(b"x", address);
        }
        while there.recv(&mut [0; 8]).is_ok() {
            came += 1;
        }
    }
    came
}

/// The choices that a fault of packets has, and those that it cannot have: a question of DNS goes to
/// port 53 and is answered; the groups of a partition say between whom and which way it is cut; a
/// connection is TCP, and goes both ways; a copy of what arrives cannot be put back into its way.
fn choices_of(fault: &str) -> Vec<(&'static str, Value)> {
    let all = [
        ("direction", json!("ingress")),
        ("address", json!("192.0.2.0/24")),
        ("host", json!("localhost")),
        ("port", json!(5432)),
        ("remote-port", json!(5432)),
        ("local-port", json!(5432)),
        ("protocol", json!("tcp")),
        ("interface", json!("near0")),
        ("percent", json!(37)),
        ("ssh", json!(true)),
    ];
    let cannot: &[&str] = match fault {
        dns if dns.starts_with("switching.dns-") => {
            &["direction", "port", "remote-port", "local-port", "ssh"]
        }
        "switching.partition" => &["direction", "address", "host"],
        "switching.connection-reset" => &["direction", "protocol"],
        "switching.duplicate" => &["direction"],
        // What it is if nothing is said.
        "switching.stream" => &["protocol"],
        _ => &[],
    };
    let can = all.into_iter().filter(|(name, _)| !cannot.contains(name));
    can.collect()
}

#[test]
fn every_choice_changes_what_every_fault_of_packets_meets() {
    let Some(bed) = Bed::lay() else { return };
    let targets = [bed.near.target()];
    let meets = |fault: &str, arguments: &Value| -> String {
        let primitives = compile(fault, arguments, &Site::of(&targets)).unwrap();
        let met = primitives.iter().filter_map(|primitive| match primitive {
            Primitive::FilterPackets(rules) => Some(format!("{:?}", rules.ruleset.chains)),
            // The port of its proxy and its seed are others each time.
            Primitive::InterceptConnections(one) => {
                let port = one.listen.first()?.port().to_string();
                let chains = format!("{:?}", one.ruleset.chains).replace(&port, "proxy");
                Some(format!("{:?} {chains}", one.carried))
            }
            Primitive::ResetConnections(reset) => Some(format!("{:?}", reset.choice)),
            // Those that throw for each packet themselves.
            Primitive::RunWorker(work) => Some(format!("{:?}", work.job)),
            _ => None,
        });
        met.collect()
    };
    let about_hosts = [
        "switching.interface-down",
        "switching.lb-drain",
        "switching.port-occupy",
        "switching.zone-evacuate",
    ];
    for entry in firedrill_faults::catalogue() {
        if entry.layer != "switching" || about_hosts.contains(&entry.name) {
            continue;
        }
        let mut arguments = example(&entry);
        if entry.name == "switching.partition" {
            arguments["groups"] = json!(["10.90.0.1", "10.90.0.2"]);
        }
        for (name, value) in choices_of(entry.name) {
            let mut without = arguments.clone();
            // What the example says already.
            if without.get(name) == Some(&value) {
                without.as_object_mut().unwrap().remove(name);
            }
            let mut with = without.clone();
            with[name] = value;
            assert_ne!(
                meets(entry.name, &without),
                meets(entry.name, &with),
                "{} {name}",
                entry.name
            );
        }
    }
}

#[test]
fn an_interface_that_is_not_there_is_refused_by_every_fault_that_takes_one() {
    let Some(bed) = Bed::lay() else { return };
    let before = bed.snapshot();
    for entry in firedrill_faults::catalogue() {
        if !entry.parameters.iter().any(|one| one.name == "interface") {
            continue;
        }
        let mut arguments = example(&entry);
        arguments["interface"] = "near7".into();
        if entry.name == "switching.partition" {
            arguments["groups"] = json!(["10.90.0.1", "10.90.0.2"]);
        }
        let refused = compile(entry.name, &arguments, &Site::of(&[bed.near.target()]));
        let said = refused.unwrap_err().to_string();
        assert_eq!(
            said, "there is no interface near7; the target has lo, near0",
            "{}",
            entry.name
        );
    }
    assert_eq!(bed.snapshot(), before);
}

/// The arguments that the catalogue gives to try it.
fn example(entry: &Entry) -> Value {
    let pairs = entry.example.split_whitespace();
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| text.into());
    let arguments = pairs.map(|(name, text)| (name.to_owned(), value(text)));
    Value::Object(arguments.collect())
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
