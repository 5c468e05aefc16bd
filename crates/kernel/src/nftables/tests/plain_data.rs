//! Without a kernel: what is refused before it is asked, and that nothing is lost on the way.

use std::net::IpAddr;

use proptest::prelude::*;

use super::super::*;
use super::lab::{filter, not, rule, udp_to};

fn problem(matches: Vec<Match>, action: Action) -> RuleProblem {
    match filter(Hook::Input, vec![rule(matches, action)]).validate() {
        Err(RulesetError::Rule { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_are_checked() {
    for name in ["", "a b", "a/b", "\n", "é", &"x".repeat(32)] {
        let mut ruleset = filter(Hook::Input, Vec::new());
        ruleset.table = name.to_owned();
        assert!(
            matches!(ruleset.validate(), Err(RulesetError::Name { .. })),
            "{name:?}"
        );
    }
    let mut ruleset = filter(Hook::Input, Vec::new());
    ruleset.table = "x".repeat(31);
    assert_eq!(ruleset.validate(), Ok(()));
    ruleset.chains.push(ruleset.chains[0].clone());
    assert!(matches!(
        ruleset.validate(),
        Err(RulesetError::SameName { .. })
    ));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let share = |share| problem(vec![Match::Random { share }], Action::Drop);
    for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(share(bad), RuleProblem::Share { .. }), "{bad}");
    }
    let range = PortRange { first: 9, last: 8 };
    let mut ports = udp_to(1);
    ports.push(not(Match::SourcePort(range)));
    assert!(matches!(
        problem(ports, Action::Drop),
        RuleProblem::Ports { .. }
    ));
    let alone = vec![Match::DestinationPort(PortRange::one(1))];
    assert!(matches!(
        problem(alone, Action::Drop),
        RuleProblem::Protocol { .. }
    ));
    assert!(matches!(
        problem(udp_to(1), Action::RejectReset),
        RuleProblem::Protocol { .. }
    ));
    assert_eq!(
        problem(udp_to(1), Action::Redirect(2)),
        RuleProblem::Redirect
    );
    let twice = vec![not(not(Match::UserId(0)))];
    assert_eq!(problem(twice, Action::Drop), RuleProblem::DoubleNot);
    let empty = vec![Match::SourceSet(Vec::new())];
    assert_eq!(problem(empty, Action::Drop), RuleProblem::Empty);
    for name in ["", ".", "a/b", "sixteen-bytes-xx"] {
        let interface = vec![Match::InInterface(name.to_owned())];
        assert!(matches!(
            problem(interface, Action::Drop),
            RuleProblem::Interface { .. }
        ));
    }
    let mark = vec![Match::Mark { mask: 1, value: 2 }];
    assert!(matches!(
        problem(mark, Action::Drop),
        RuleProblem::OutsideMask { .. }
    ));
    let mut nat = filter(Hook::Forward, Vec::new());
    nat.chains[0].kind = ChainKind::Nat;
    assert!(matches!(nat.validate(), Err(RulesetError::Hook { .. })));
}

#[test]
fn a_ruleset_travels_as_json() {
    let json = r#"{"table":"t","chains":[{"name":"c","hook":"output","kind":"filter","priority":-5,
        "rules":[{"matches":[{"protocol":"tcp"},{"destination-port":{"first":1,"last":2}},
        {"not":{"source-set":["10.0.0.0/8","fd00::/8"]}},{"random":{"share":0.25}},
        {"connection-state":["new"]},{"cgroup-v2":{"path":"/x","level":2}}],
        "action":{"queue":{"number":3,"bypass":true}}},{"matches":[],"action":"drop"}]}],"lease":true}"#;
    let ruleset: Ruleset = serde_json::from_str(json).unwrap();
    assert_eq!(ruleset.validate(), Ok(()));
    let again = serde_json::to_string(&ruleset).unwrap();
    assert_eq!(serde_json::from_str::<Ruleset>(&again).unwrap(), ruleset);
    assert_eq!(again, json.split_whitespace().collect::<String>());
}

#[test]
fn prefixes_are_read_and_cleared() {
    let read = |text: &str| text.parse::<Prefix>().map(|p| p.to_string());
    assert_eq!(read("10.1.2.3/8").unwrap(), "10.0.0.0/8");
    assert_eq!(read("10.1.2.3").unwrap(), "10.1.2.3/32");
    assert_eq!(read("fd00:1::/16").unwrap(), "fd00::/16");
    assert_eq!(read("::1/0").unwrap(), "::/0");
    for bad in [
        "",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/-1",
        "x/8",
        "10.0.0.0/8/8",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn garbage_is_no_rule_of_ours() {
    for bytes in [
        &b""[..],
        b"\0",
        b"\0\xff",
        b"\0\x05firedrill rule \0",
        b"\0\x11theirs\0",
    ] {
        assert_eq!(message::rule_index(bytes), None);
    }
    assert_eq!(message::rule_index(&message::rule_comment(12)), Some(12));
}

fn contains(prefix: &Prefix, address: IpAddr) -> bool {
    let (first, last) = prefix.range();
    match (prefix.address(), address) {
        (IpAddr::V4(_), IpAddr::V4(v4)) => (first..=last).contains(&u128::from(v4.to_bits())),
        (IpAddr::V6(_), IpAddr::V6(v6)) => (first..=last).contains(&v6.to_bits()),
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_prefix_holds_what_begins_like_it(address: u32, length in 0_u8..=32, other: u32) {
        let prefix = Prefix::new(IpAddr::V4(address.into()), length).unwrap();
        let alike = length == 0 || (address ^ other) >> (32 - length) == 0;
        prop_assert_eq!(contains(&prefix, IpAddr::V4(other.into())), alike);
        prop_assert!(contains(&prefix, IpAddr::V4(address.into())));
    }

    #[test]
    fn merged_ranges_hold_the_same_addresses(prefixes in proptest::collection::vec((any::<u32>(), 24_u8..=32), 1..40), nearby in 0_u32..600) {
        // Close together, so that they overlap and touch.
        let prefixes: Vec<_> = prefixes
            .into_iter()
            .map(|(address, length)| Prefix::new(IpAddr::V4((address % 600).into()), length).unwrap())
            .collect();
        let merged = sets::merge(&prefixes);
        let inside = merged.iter().any(|(first, last)| (first..=last).contains(&&u128::from(nearby)));
        let expected = prefixes.iter().any(|p| contains(p, IpAddr::V4(nearby.into())));
        prop_assert_eq!(inside, expected);
        prop_assert!(merged.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
    }
}
