use std::net::IpAddr;
use std::time::{Duration, Instant};

use firedrill_faults::Site;
use firedrill_faults::switching::hosts::{Addresses, Hosts};
use firedrill_undo::Quantity;
use serde_json::{Value, json};

use crate::bed::{Bed, FAR, Side};
use crate::drill::{Drill, Placed, compile, wait_for};

/// A bed with a server in `far`, and two on loopback of `near`: as of systemd-resolved, and as of
/// Docker, which listens on another port and has rules of NAT lead there.
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
    bed.near.run("nft", &[DOCKER]);
    serve(&mut bed.far, "10.90.0.2", 53);
    serve(&mut bed.near, "127.0.0.53", 53);
    serve(&mut bed.near, "127.0.0.11", DOCKERS_PORT);
    wait_for("the servers", || {
        let up = |server| dig(&bed, server, "shop.example", &[]).contains("192.0.2.7");
        SERVERS.iter().all(|server| up(server))
    });
    Some(bed)
}

fn serve(side: &mut Side, at: &str, port: u16) {
    let listen = format!("--listen-address={at}");
    let port = format!("--port={port}");
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
            &port,
            "--address=/shop.example/192.0.2.7",
            "--address=/other.example/192.0.2.8",
            "--address=/myshop.example/192.0.2.9",
        ],
    );
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

const SERVERS: [&str; 3] = ["10.90.0.2", "127.0.0.53", "127.0.0.11"];

const DOCKERS_PORT: u16 = 40_853;

/// As `resolver_unix.go` of libnetwork has it.
const DOCKER: &str = "table ip docker { \
    chain out { type nat hook output priority -100; \
        ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:40853; \
        ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:40853; }; \
    chain back { type nat hook postrouting priority 100; \
        ip saddr 127.0.0.11 udp sport 40853 snat to 127.0.0.11:53; \
        ip saddr 127.0.0.11 tcp sport 40853 snat to 127.0.0.11:53; }; }";

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

/// Whether each of these names is answered.
fn answered(bed: &Bed, names: &[&str]) -> Vec<bool> {
    let is = |name: &&str| dig(bed, "10.90.0.2", name, &["+short"]).contains("192.0.2.");
    names.iter().map(is).collect()
}

#[test]
fn names_are_met_alone_with_all_below_them_or_all_of_them() {
    let Some(bed) = bed() else { return };
    let names = [
        "shop.example",
        "www.shop.example",
        "myshop.example",
        "other.example",
    ];
    for (pattern, expected) in [
        (json!("shop.example"), [false, true, true, true]),
        (json!("*.shop.example"), [true, false, true, true]),
        (
            json!(["SHOP.example", "*.shop.EXAMPLE"]),
            [false, false, true, true],
        ),
        (json!("*.example"), [false, false, false, false]),
        (json!("*"), [false, false, false, false]),
    ] {
        // An error comes at once, a question that is lost does not.
        let arguments = json!({"name": pattern, "error": "refused"});
        let placed = place(&bed, "switching.dns-error", &arguments);
        assert_eq!(answered(&bed, &names), expected, "{pattern}");
        placed.revert();
    }
}

#[test]
fn questions_over_tcp_are_held_or_lost_and_those_for_other_names_answered() {
    let Some(bed) = bed() else { return };
    let tcp = |server: &str, name: &str| dig(&bed, server, name, &["+tcp"]);
    for (fault, arguments) in [
        ("switching.dns-error", json!({"name": "shop.example"})),
        (
            "switching.dns-spoof",
            json!({"name": "shop.example", "answer": "203.0.113.9"}),
        ),
    ] {
        let placed = place(&bed, fault, &arguments);
        for server in SERVERS {
            let lost = tcp(server, "shop.example");
            assert!(!lost.contains("status:"), "{fault} {server}: {lost}");
            let other = tcp(server, "other.example");
            assert!(other.contains("192.0.2.8"), "{fault} {server}: {other}");
        }
        placed.revert();
    }
    let arguments = json!({"name": "shop.example", "delay": "300ms"});
    let placed = place(&bed, "switching.dns-delay", &arguments);
    for server in SERVERS {
        let start = Instant::now();
        let told = tcp(server, "shop.example");
        assert!(told.contains("192.0.2.7"), "{server}: {told}");
        assert!(start.elapsed() >= Duration::from_millis(300), "{server}");
    }
    placed.revert();
}

#[test]
fn questions_are_chosen_by_protocol_interface_and_the_name_of_their_server() {
    let Some(bed) = bed() else { return };
    let means: Addresses = [(
        "resolver.internal".to_owned(),
        [IpAddr::from(FAR)].into_iter().collect(),
    )]
    .into();
    let targets = [bed.near.target()];
    for (choice, far_udp, far_tcp, local_udp) in [
        (json!({"protocol": "udp"}), false, true, false),
        (json!({"protocol": "tcp"}), true, false, true),
        (json!({"interface": "near0"}), false, false, true),
        (json!({"interface": "lo"}), true, true, false),
        (json!({"host": "resolver.internal"}), false, false, true),
        (
            json!({"address": ["127.0.0.0/8", "192.0.2.1"]}),
            true,
            true,
            false,
        ),
    ] {
        let mut arguments = choice;
        arguments["name"] = "shop.example".into();
        let site = Site {
            hosts: Hosts::At(&means),
            ..Site::of(&targets)
        };
        let primitives = compile("switching.dns-error", &arguments, &site).unwrap();
        let placed = Drill::begin().put(primitives);
        let is_answered = |server: &str, transport: &str| {
            dig(&bed, server, "shop.example", &[transport]).contains("192.0.2.7")
        };
        let seen = (
            is_answered("10.90.0.2", "+notcp"),
            is_answered("10.90.0.2", "+tcp"),
            is_answered("127.0.0.53", "+notcp"),
        );
        assert_eq!(seen, (far_udp, far_tcp, local_udp), "{arguments}");
        placed.revert();
    }
}

#[test]
fn a_share_of_the_questions_is_met() {
    let Some(bed) = bed() else { return };
    let arguments = json!({"name": "*.shop.example", "error": "servfail", "percent": 40});
    let placed = place(&bed, "switching.dns-error", &arguments);
    let questions: Vec<String> = (0..400).map(|n| format!("{n}.shop.example")).collect();
    let words: Vec<&str> = questions.iter().map(String::as_str).collect();
    let (first, others) = words.split_first().unwrap();
    let told = dig(&bed, "10.90.0.2", first, others);
    let failed = told.matches("status: SERVFAIL").count() as f64;
    let answered = told.matches("status: NOERROR").count() as f64;
    placed.revert();
    eprintln!("dns: 40 % of the questions asked for, {failed} of 400 failed");
    assert_eq!(failed + answered, 400.0);
    // 4.9 standard errors.
    assert!((failed / 400.0 - 0.4).abs() < 0.12, "{failed}");
}

#[test]
fn an_answer_may_be_kept_for_as_long_as_was_said() {
    let Some(bed) = bed() else { return };
    for (ttl, expected) in [(json!(null), "0"), (json!(77), "77")] {
        let arguments = json!({"name": "shop.example", "answer": "203.0.113.9", "ttl": ttl});
        let placed = place(&bed, "switching.dns-spoof", &arguments);
        let told = dig(&bed, "10.90.0.2", "shop.example", &["+noall", "+answer"]);
        let words: Vec<&str> = told.split_whitespace().collect();
        assert_eq!(words[1], expected, "{told}");
        placed.revert();
    }
}
