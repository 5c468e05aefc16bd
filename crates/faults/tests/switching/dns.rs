use std::time::{Duration, Instant};

use firedrill_undo::Quantity;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::drill::{Drill, Placed, wait_for};

/// A bed with a server in `far`, and one on loopback of `near` as of systemd-resolved.
fn bed() -> Option<Bed> {
    let mut bed = Bed::lay()?;
    if std::process::Command::new("dnsmasq")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: dnsmasq is not installed");
        return None;
    }
    for (side, at) in [(&mut bed.far, "10.90.0.2"), (&mut bed.near, "127.0.0.53")] {
        let listen = format!("--listen-address={at}");
        side.start(
            "dnsmasq",
            &[
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--user=root",
                "--pid-file",
                &listen,
                "--address=/shop.example/192.0.2.7",
                "--address=/other.example/192.0.2.8",
            ],
        );
    }
    wait_for("the servers", || {
        let up = |server| dig(&bed, server, "shop.example", &[]).contains("192.0.2.7");
        up("10.90.0.2") && up("127.0.0.53")
    });
    Some(bed)
}

/// What an independent client is told: everything that dig prints.
fn dig(bed: &Bed, server: &str, name: &str, options: &[&str]) -> String {
    let server = format!("@{server}");
    let mut words = vec![server.as_str(), name, "+time=1", "+tries=1"];
    words.extend(options);
    bed.near.ask("dig", &words)
}

fn place(bed: &Bed, fault: &str, arguments: &Value) -> Placed {
    Drill::begin().apply(fault, arguments, &[bed.near.target()])
}

const SERVERS: [&str; 2] = ["10.90.0.2", "127.0.0.53"];

#[test]
fn questions_for_a_name_are_lost_and_others_are_answered() {
    let Some(bed) = bed() else { return };
    let before = bed.snapshot();
    let placed = place(
        &bed,
        "switching.dns-block",
        &json!({"name": "*.shop.example"}),
    );
    for server in SERVERS {
        for transport in ["+notcp", "+tcp"] {
            let lost = dig(&bed, server, "www.shop.example", &[transport]);
            assert!(!lost.contains("status:"), "{server} {transport}: {lost}");
            let other = dig(&bed, server, "other.example", &[transport]);
            assert!(other.contains("192.0.2.8"), "{server} {transport}: {other}");
        }
    }
    assert!(placed.figure(Quantity::ShareAnswered).achieved > 0.0);
    placed.revert();
    let again = dig(&bed, "10.90.0.2", "www.shop.example", &[]);
    assert!(again.contains("192.0.2.7"), "{again}");
    assert_eq!(bed.snapshot(), before);
}

#[test]
fn answers_become_each_of_the_errors() {
    let Some(bed) = bed() else { return };
    for (error, status) in [
        ("nxdomain", "status: NXDOMAIN"),
        ("servfail", "status: SERVFAIL"),
        ("refused", "status: REFUSED"),
        ("timeout", "timed out"),
    ] {
        let arguments = json!({"name": "shop.example", "error": error});
        let placed = place(&bed, "switching.dns-error", &arguments);
        for server in SERVERS {
            let told = dig(&bed, server, "SHOP.example", &[]);
            assert!(told.contains(status), "{server} {error}: {told}");
            let other = dig(&bed, server, "other.example", &[]);
            assert!(other.contains("192.0.2.8"), "{server} {error}: {other}");
        }
        placed.revert();
    }
}

#[test]
fn answers_become_other_addresses() {
    let Some(bed) = bed() else { return };
    let arguments = json!({"name": "shop.example", "answer": ["203.0.113.9", "2001:db8::9"]});
    let placed = place(&bed, "switching.dns-spoof", &arguments);
    for server in SERVERS {
        let v4 = dig(&bed, server, "shop.example", &["A", "+short"]);
        assert_eq!(v4, "203.0.113.9\n", "{server}");
        let v6 = dig(&bed, server, "shop.example", &["AAAA", "+short"]);
        assert_eq!(v6, "2001:db8::9\n", "{server}");
    }
    placed.revert();
    let again = dig(&bed, "10.90.0.2", "shop.example", &["+short"]);
    assert_eq!(again, "192.0.2.7\n");
}

#[test]
fn questions_are_held_and_then_answered() {
    let Some(bed) = bed() else { return };
    let arguments = json!({"name": "shop.example", "delay": "300ms"});
    let placed = place(&bed, "switching.dns-delay", &arguments);
    for server in SERVERS {
        let start = Instant::now();
        let told = dig(&bed, server, "shop.example", &["+short"]);
        assert_eq!(told, "192.0.2.7\n", "{server}");
        assert!(start.elapsed() >= Duration::from_millis(300), "{server}");
    }
    placed.revert();
}

#[test]
fn a_fault_whose_names_nobody_asks_for_had_no_effect() {
    let Some(bed) = bed() else { return };
    let placed = place(
        &bed,
        "switching.dns-block",
        &json!({"name": "nobody.example"}),
    );
    dig(&bed, "10.90.0.2", "shop.example", &[]);
    assert_eq!(placed.observe().idle, ["no question was for its names"]);
    placed.revert();
}

#[test]
fn only_questions_to_the_named_server_are_met() {
    let Some(bed) = bed() else { return };
    let arguments = json!({"name": "*", "address": "127.0.0.53"});
    let placed = place(&bed, "switching.dns-block", &arguments);
    assert!(!dig(&bed, "127.0.0.53", "shop.example", &[]).contains("192.0.2.7"));
    assert!(dig(&bed, "10.90.0.2", "shop.example", &[]).contains("192.0.2.7"));
    placed.revert();
}
