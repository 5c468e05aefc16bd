use serde_json::json;

use crate::bed::Bed;
use crate::drill::Drill;

const REJECT: &str = "switching.reject";

/// What `ping` is told, over IPv4 and IPv6.
fn told(bed: &Bed) -> (String, String) {
    let ping = |to| bed.near.ask("ping", &["-c", "1", "-W", "0.7", to]);
    (ping("10.90.0.2"), ping("fd90::2"))
}

#[test]
fn packets_are_answered_with_the_error_that_was_asked_for() {
    let Some(bed) = Bed::lay() else { return };
    for (with, v4, v6) in [
        ("auto", "Destination Port Unreachable", "Port unreachable"),
        (
            "port-unreachable",
            "Destination Port Unreachable",
            "Port unreachable",
        ),
        (
            "host-unreachable",
            "Destination Host Unreachable",
            "Address unreachable",
        ),
        ("no-route", "Destination Net Unreachable", "No route"),
        (
            "prohibited",
            "Packet filtered",
            "Administratively prohibited",
        ),
    ] {
        let before = bed.snapshot();
        let arguments = json!({ "with": with });
        let placed = Drill::begin().apply(REJECT, &arguments, &[bed.near.target()]);
        let told = told(&bed);
        assert!(
            told.0.contains(v4) && told.1.contains(v6),
            "{with}: {told:?}"
        );
        placed.revert();
        assert_eq!(bed.snapshot(), before);
    }
}

#[test]
fn a_reset_is_for_tcp_alone() {
    let Some(bed) = Bed::lay() else { return };
    let at = "10.90.0.2:5432".parse().unwrap();
    let _listener = bed.far.listen(at);
    for with in ["auto", "reset"] {
        let arguments = json!({ "with": with, "protocol": "tcp" });
        let placed = Drill::begin().apply(REJECT, &arguments, &[bed.near.target()]);
        let refused = bed.near.connect(at).unwrap_err();
        assert_eq!(
            refused.kind(),
            std::io::ErrorKind::ConnectionRefused,
            "{with}"
        );
        assert!(bed.far_answers());
        placed.revert();
        assert!(bed.near.connect(at).is_ok());
    }
    let reset = json!({"with": "reset"});
    let placed = Drill::begin().apply(REJECT, &reset, &[bed.near.target()]);
    assert!(bed.far_answers() && told(&bed).0.contains(" 1 received"));
    placed.revert();
}
