//! What clients get of a route with a fault, and what the proxy counted of it.

use std::time::Duration;

use serde_json::json;

use crate::bed::Bed;
use crate::owner::Owner;

const LATENCY: &str = "application.latency";
const ERROR: &str = "application.http-error";
const RESET: &str = "application.reset";

/// Far above what the upstream takes, far below what a test may.
const DELAY: Duration = Duration::from_millis(300);

#[test]
fn answers_come_later_by_the_delay_and_at_once_again_when_it_is_over() {
    let bed = Bed::new();
    for _ in 0..20 {
        assert!(bed.get("/", "u").took < DELAY);
    }
    let arguments = bed.arguments("web", json!({"delay": "300ms"}));
    let mut owner = Owner::begin(LATENCY, &arguments);
    assert_eq!(bed.toxics("web").len(), 1);
    assert!(bed.toxics("web")[0].ends_with("-one"), "the drill's id");
    let seen = owner.ask("look");
    assert_eq!(
        (&seen["achieved"], &seen["requested"]),
        (&json!(1), &json!(1))
    );
    assert!(
        seen["idle"][0]
            .as_str()
            .unwrap()
            .contains("no request has come")
    );
    for _ in 0..12 {
        let got = bed.get("/", "u");
        assert!(got.status == 200 && got.took >= DELAY, "{got:?}");
    }
    let share = owner.figure("share-met");
    assert_eq!(
        (&share["achieved"], &share["samples"]),
        (&json!(1.0), &json!(12))
    );
    let added = owner.figure("added-delay");
    assert_eq!(added["requested"], json!(300.0));
    let (low, high) = (
        added["low"].as_f64().unwrap(),
        added["high"].as_f64().unwrap(),
    );
    assert!(low > 200.0 && high < 2000.0, "{added}");
    assert_eq!(owner.revert(), (1, vec![]));
    assert_eq!(bed.toxics("web"), Vec::<String>::new());
    assert!(bed.get("/", "u").took < DELAY);
}

#[test]
fn a_jitter_spreads_the_delays() {
    let bed = Bed::new();
    let arguments = bed.arguments("web", json!({"delay": "200ms", "jitter": "200ms"}));
    let mut owner = Owner::begin(LATENCY, &arguments);
    let mut took: Vec<Duration> = (0..30).map(|_| bed.get("/", "u").took).collect();
    took.sort_unstable();
    // Evenly between 0 and 400 ms: one in 2^30 that no half has any.
    assert!(took[0] < Duration::from_millis(200), "{took:?}");
    assert!(took[29] >= Duration::from_millis(200), "{took:?}");
    assert_eq!(owner.revert(), (1, vec![]));
}

#[test]
fn only_one_arm_of_a_divided_route_is_late_and_the_other_is_what_it_is_compared_with() {
    let bed = Bed::new();
    bed.divide();
    let users: Vec<String> = (0..32).map(|user| format!("u{user}")).collect();
    let arms: Vec<&str> = users.iter().map(|user| bed.arm_of(user)).collect();
    assert!(arms.contains(&"control") && arms.contains(&"experiment"));
    let arguments = bed.arguments("web", json!({"delay": "300ms", "arm": "experiment"}));
    let mut owner = Owner::begin(LATENCY, &arguments);
    for (user, arm) in users.iter().zip(&arms) {
        let is_late = bed.get("/", user).took >= DELAY;
        assert_eq!(is_late, *arm == "experiment", "{user}");
    }
    let asked = arms.iter().filter(|arm| **arm == "experiment").count();
    let share = owner.figure("share-met");
    assert_eq!(
        (&share["achieved"], &share["samples"]),
        (&json!(1.0), &json!(asked))
    );
    assert!(owner.figure("added-delay")["low"].as_f64().unwrap() > 200.0);
    assert_eq!(owner.revert(), (1, vec![]));
}

#[test]
fn requests_get_the_status_and_others_none_of_it() {
    let bed = Bed::new();
    let arguments = bed.arguments("web", json!({"status": 429, "path": "/pay/*"}));
    let mut owner = Owner::begin(ERROR, &arguments);
    for _ in 0..5 {
        assert_eq!(bed.get("/pay/now", "u").status, 429);
        assert_eq!(bed.get("/", "u").status, 200);
    }
    let share = owner.figure("share-met");
    assert_eq!(
        (&share["achieved"], &share["requested"]),
        (&json!(0.5), &json!(null))
    );
    assert_eq!(owner.revert(), (1, vec![]));
    assert_eq!(bed.get("/pay/now", "u").status, 200);
}

#[test]
fn a_share_of_the_requests_meets_it() {
    let bed = Bed::new();
    let mut owner = Owner::begin(ERROR, &bed.arguments("web", json!({"percent": 30})));
    let bad = (0..200).filter(|_| bed.get("/", "u").status == 503).count();
    // Six deviations of a binomial of 200 at 30 %: 6.5 each.
    assert!(bad.abs_diff(60) < 39, "{bad}");
    let share = owner.figure("share-met");
    assert_eq!(share["requested"], json!(0.3));
    assert_eq!(share["achieved"], json!(bad as f64 / 200.0));
    assert_eq!(owner.revert(), (1, vec![]));
}

#[test]
fn a_share_of_the_requests_is_reset() {
    let bed = Bed::new();
    let mut owner = Owner::begin(RESET, &bed.arguments("web", json!({"percent": 30})));
    let reset = (0..200).filter(|_| bed.get("/", "u").status == 0).count();
    // Six deviations of a binomial of 200 at 30 %: 6.5 each.
    assert!(reset.abs_diff(60) < 39, "{reset}");
    let share = owner.figure("share-met");
    assert_eq!(share["achieved"], json!(reset as f64 / 200.0));
    assert_eq!(owner.revert(), (1, vec![]));
}

#[test]
fn a_share_of_the_requests_at_a_path_is_late() {
    let bed = Bed::new();
    let arguments = json!({"delay": "100ms", "percent": 50, "path": "/pay"});
    let mut owner = Owner::begin(LATENCY, &bed.arguments("web", arguments));
    let is_late = |path| bed.get(path, "u").took >= Duration::from_millis(100);
    let late = (0..60).filter(|_| is_late("/pay")).count();
    // Six deviations of a binomial of 60 at 50 %: 3.9 each.
    assert!(late.abs_diff(30) < 24, "{late}");
    let quickest = (0..20).map(|_| bed.get("/", "u").took).min().unwrap();
    assert!(quickest < Duration::from_millis(100));
    assert!(owner.figure("share-met")["achieved"].as_f64().unwrap() > 0.0);
    assert_eq!(owner.revert(), (1, vec![]));
}

#[test]
fn errors_are_for_one_arm_where_that_is_asked_for() {
    let bed = Bed::new();
    bed.divide();
    let arms: Vec<&str> = (0..16)
        .map(|user| bed.arm_of(&format!("u{user}")))
        .collect();
    let arguments = bed.arguments("web", json!({"arm": "experiment"}));
    let mut owner = Owner::begin(ERROR, &arguments);
    for (user, arm) in arms.iter().enumerate() {
        let expected = if *arm == "experiment" { 503 } else { 200 };
        assert_eq!(bed.get("/", &format!("u{user}")).status, expected);
    }
    assert_eq!(owner.figure("share-met")["achieved"], json!(1.0));
    assert_eq!(owner.revert(), (1, vec![]));
}

#[test]
fn requests_end_with_a_reset_in_one_arm_or_at_a_path_or_for_a_share() {
    let bed = Bed::new();
    bed.divide();
    let arms: Vec<&str> = (0..16)
        .map(|user| bed.arm_of(&format!("u{user}")))
        .collect();
    let arguments = json!({"arm": "control", "path": "*/pay", "percent": 100});
    let mut owner = Owner::begin(RESET, &bed.arguments("web", arguments));
    for (user, arm) in arms.iter().enumerate() {
        let user = format!("u{user}");
        let expected = if *arm == "control" { 0 } else { 200 };
        assert_eq!(bed.get("/a/pay", &user).status, expected, "{user}");
        assert_eq!(bed.get("/a/look", &user).status, 200, "{user}");
    }
    assert_eq!(owner.figure("share-met")["achieved"], json!(0.5));
    assert_eq!(owner.revert(), (1, vec![]));
}

#[test]
fn bytes_of_a_route_that_knows_no_requests_are_late_or_their_connections_reset() {
    let bed = Bed::new();
    let mut owner = Owner::begin(LATENCY, &bed.arguments("raw", json!({"delay": "300ms"})));
    assert!(bed.ask("raw", "/", "u").took >= DELAY);
    assert!(owner.figure("bytes-met")["achieved"].as_f64().unwrap() > 0.0);
    assert_eq!(owner.revert(), (1, vec![]));
    assert_eq!(bed.ask("raw", "/", "u").status, 200);
    let mut owner = Owner::begin(RESET, &bed.arguments("raw", json!({})));
    assert_eq!(bed.ask("raw", "/", "u").status, 0);
    assert_eq!(owner.revert(), (1, vec![]));
}
