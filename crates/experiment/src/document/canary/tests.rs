use serde_json::json;

use super::*;
use crate::document::{Experiment, Strictness};

fn document(canary: &Value, arguments: &Value) -> Result<Experiment, String> {
    let document = json!({
        "title": "t", "description": "d",
        "blast-radius": {"targets-max": 1, "duration-max": "10m"},
        "method": [{
            "type": "action", "name": "late",
            "provider": {
                "type": "fault", "name": "application.latency", "target": {"host": true},
                "duration": "5m", "arguments": arguments,
            },
        }],
        "canary": canary,
    });
    Experiment::from_value(document, Strictness::Strict)
        .map_err(|mistakes| mistakes.lines().join("; "))
}

fn arm() -> Value {
    json!({"route": "web", "delay": "80ms", "arm": "experiment"})
}

fn canary() -> Value {
    json!({
        "split": {"share": 0.05, "by": "cookie:session"},
        "kpis": [
            {"name": "checkouts", "success-ratio": {"tolerance": 0.02}},
            {"name": "times", "latency": {"quantile": 0.95, "tolerance": "100ms"}},
        ],
        "duration": {"min": "5s", "max": "1m"},
        "window": {"days": ["mon", "fri"], "from": "09:00", "to": "17:30", "zone": "Europe/Berlin"},
    })
}

#[test]
fn a_canary_is_read_with_what_was_left_out() {
    let read = document(&canary(), &arm()).unwrap().canary.unwrap();
    assert_eq!(read.activity, "late");
    let by = "cookie:session".to_owned();
    assert_eq!(read.arms, CanaryArms::Split { share: 0.05, by });
    assert_eq!(read.baseline, BASELINE_DEFAULT);
    assert_eq!(read.confidence, 0.95);
    let window = read.window.unwrap();
    assert_eq!((window.from, window.to), (540, 1050));
    assert_eq!(window.days, [0, 4]);
    assert_eq!(
        read.kpis[1].asks,
        CanaryAsk::Latency {
            quantile: 0.95,
            tolerance: Duration::from_millis(100),
        }
    );
}

#[test]
fn a_front_is_divided_as_the_fault_is_unless_it_says_otherwise() {
    let front = |front: Value| {
        let mut canary = canary();
        canary["front"] = front;
        document(&canary, &arm()).unwrap().canary.unwrap()
    };
    let read = front(json!({"route": "web"})).front.unwrap();
    assert_eq!(
        (read.route.as_str(), read.by.as_str()),
        ("web", "cookie:session")
    );
    let own = front(json!({"route": "web", "by": "header:x-user"}));
    assert_eq!(own.arms.by(), Some("cookie:session"));
    assert_eq!(own.front.unwrap().by, "header:x-user");
    assert_eq!(front(Value::Null).front, None);
}

#[test]
fn a_front_is_refused_where_nobody_could_be_the_same_behind() {
    for by in [json!(null), json!("client"), json!("connection")] {
        let mut wrong = canary();
        wrong["split"] = json!({"share": 0.05, "by": by});
        wrong["front"] = json!({"route": "web"});
        let error = document(&wrong, &arm()).unwrap_err();
        assert!(error.contains("nobody is the same"), "{by}: {error}");
    }
    let mut of_users = canary();
    of_users["front"] = json!({"route": "web"});
    of_users["kpis"] = json!([{"name": "users", "success-ratio": {"of": "users"}}]);
    let error = document(&of_users, &arm()).unwrap_err();
    assert!(error.contains("counted anew"), "{error}");
}

#[test]
fn users_are_counted_where_the_split_tells_them_apart_and_an_epoch_fits_in() {
    let of = |split: Value, more: Value| {
        let mut wanted = canary();
        wanted["split"] = split;
        wanted["kpis"] = json!([{"name": "users", "success-ratio": {"of": "users"}}]);
        for (key, value) in more.as_object().unwrap() {
            wanted[key] = value.clone();
        }
        document(&wanted, &arm()).map(|read| read.canary.unwrap())
    };
    let by_cookie = json!({"share": 0.05, "by": "cookie:session"});
    let read = of(by_cookie.clone(), json!({})).unwrap();
    assert_eq!(read.kpis[0].asks, CanaryAsk::UserRatio { tolerance: 0.01 });
    assert_eq!(read.epoch, Some(Duration::from_secs(5)));
    let slow = json!({"share": 0.05, "by": "client", "epoch": "20s"});
    let read = of(slow.clone(), json!({})).unwrap();
    assert_eq!(read.epoch, Some(Duration::from_secs(20)));
    assert_eq!(
        read.baseline,
        Duration::from_secs(20),
        "no less than an epoch"
    );
    for (split, more, says) in [
        (json!({"share": 0.05}), json!({}), "does not say whose"),
        (
            slow.clone(),
            json!({"baseline": "10s"}),
            "`baseline` ends before",
        ),
        (
            slow,
            json!({"duration": {"min": "1s", "max": "9s"}}),
            "`duration` ends before",
        ),
        (
            json!({"share": 0.05, "by": "client", "epoch": "2h"}),
            json!({"baseline": "3h", "duration": {"max": "3h"}}),
            "100 ms to an hour",
        ),
        (
            by_cookie,
            json!({"kpis": [{"name": "x", "success-ratio": {"of": "sessions"}}]}),
            "requests or users",
        ),
        (
            json!({"share": 0.05, "by": "client", "epoch": "2s"}),
            json!({"kpis": [{"name": "x", "success-ratio": {"of": "requests"}}]}),
            "no KPI is `of: users`",
        ),
    ] {
        let error = of(split.clone(), more.clone()).unwrap_err();
        assert!(error.contains(says), "{split} {more}: {error}");
    }
}

#[test]
fn what_would_not_do_as_it_says_is_refused() {
    let everybody = json!({"route": "web", "delay": "80ms"});
    let error = document(&canary(), &everybody).unwrap_err();
    assert!(error.contains("not for the experiment arm"), "{error}");
    for (key, value, says) in [
        ("split", json!({"share": 0.6}), "at most 0.5"),
        (
            "split",
            json!({"share": 0.1, "by": "cookie:"}),
            "cookie:NAME",
        ),
        ("front", json!({}), "`route` is needed"),
        ("front", json!({"route": ""}), "name of a route"),
        (
            "front",
            json!({"route": "web", "by": "client"}),
            "of a front is header:NAME",
        ),
        ("front", json!({"route": "web", "api": "x"}), "no such key"),
        ("kpis", json!([]), "at least one KPI"),
        ("kpis", json!([{"name": "x"}]), "one of `success-ratio`"),
        (
            "kpis",
            json!([{"name": "x", "latency": {"quantile": 1, "tolerance": "1s"}}]),
            "both excluded",
        ),
        ("duration", json!({"min": "2m", "max": "1m"}), "not shorter"),
        ("confidence", json!(0.5), "0.5 and 1"),
        ("activity", json!("other"), "no fault called"),
        ("standby", json!(["shop"]), "address with its port"),
        ("limit", json!(1), "no such key"),
        (
            "window",
            json!({"from": "17:00", "to": "09:00", "zone": "UTC"}),
            "before it ends",
        ),
        (
            "window",
            json!({"from": "9:00", "to": "17:00", "zone": "UTC"}),
            "time of day",
        ),
        (
            "window",
            json!({"from": "09:60", "to": "17:00", "zone": "UTC"}),
            "time of day",
        ),
        (
            "window",
            json!({"from": "09:00", "to": "24:01", "zone": "UTC"}),
            "time of day",
        ),
        (
            "window",
            json!({"from": "09:00", "to": "17:00"}),
            "`zone` is needed",
        ),
        (
            "window",
            json!({"days": ["someday"], "from": "09:00", "to": "17:00", "zone": "UTC"}),
            "mon",
        ),
    ] {
        let mut wrong = canary();
        wrong[key] = value.clone();
        let error = document(&wrong, &arm()).unwrap_err();
        assert!(error.contains(says), "{key} {value}: {error}");
    }
}

fn endpoint(port: u16) -> Value {
    json!({"type": "http", "url": format!("http://127.0.0.1:{port}/stats"),
        "good": "$.good", "bad": "$.bad"})
}

fn histogram(instance: &str) -> Value {
    json!({"type": "prometheus", "url": "http://127.0.0.1:9090",
        "good": format!("ok_total{{instance='{instance}'}}"), "bad": "bad_total",
        "latency": "took_bucket"})
}

fn load(port: u16, rate: u32) -> Value {
    json!({"type": "load", "url": format!("http://127.0.0.1:{port}/"), "rate": rate})
}

/// Asked of a fault that no arm of a route has.
fn apart(arms: &Value, kpis: &Value) -> Result<Experiment, String> {
    let document = json!({
        "title": "t", "description": "d",
        "blast-radius": {"targets-max": 1, "duration-max": "10m"},
        "method": [{
            "type": "action", "name": "still",
            "provider": {
                "type": "fault", "name": "infrastructure.process-pause",
                "target": {"name": "shop"}, "duration": "5m",
            },
        }],
        "canary": {"arms": arms, "kpis": kpis},
    });
    Experiment::from_value(document, Strictness::Strict)
        .map_err(|mistakes| mistakes.lines().join("; "))
}

fn answers() -> Value {
    json!([{"name": "answers", "success-ratio": {"tolerance": 0.02}}])
}

fn times() -> Value {
    json!([{"name": "times", "latency": {"quantile": 0.9, "tolerance": "100ms"}}])
}

#[test]
fn two_places_have_the_keys_of_a_kpi_s_source_and_any_fault() {
    for (control, experiment, kpis) in [
        (endpoint(1), endpoint(2), answers()),
        (histogram("a"), histogram("b"), times()),
        (load(1, 20), load(2, 20), times()),
    ] {
        let arms = json!({"control": control, "experiment": experiment});
        let read = apart(&arms, &kpis).unwrap().canary.unwrap();
        assert_eq!(read.activity, "still");
        let CanaryArms::Apart { experiment, .. } = read.arms else {
            panic!("{arms}")
        };
        assert_eq!(Value::Object(experiment), arms["experiment"]);
    }
}

#[test]
fn two_places_that_cannot_be_compared_are_refused() {
    for (control, experiment, kpis, says) in [
        (endpoint(1), endpoint(1), answers(), "the same requests"),
        (histogram("a"), histogram("a"), times(), "the same requests"),
        (load(1, 20), load(1, 20), answers(), "the same requests"),
        (load(1, 20), load(2, 30), answers(), "different rates"),
        (load(1, 20), endpoint(2), answers(), "have to be alike"),
        (
            endpoint(1),
            endpoint(2),
            times(),
            "nobody measures latencies",
        ),
        (
            endpoint(1),
            json!({"type": "python"}),
            answers(),
            "provider type",
        ),
        (
            endpoint(1),
            json!({"type": "http", "url": "http://h"}),
            answers(),
            "good",
        ),
    ] {
        let arms = json!({"control": control, "experiment": experiment});
        let error = apart(&arms, &kpis).unwrap_err();
        assert!(error.contains(says), "{arms}: {error}");
    }
    let error = apart(&json!({"control": endpoint(1)}), &answers()).unwrap_err();
    assert!(error.contains("`experiment` is needed"), "{error}");
    for (arms, says) in [
        (
            json!({"split": {"share": 0.1}, "arms": {}}),
            "has one of `split` and `arms`",
        ),
        (json!({}), "needs its two arms"),
    ] {
        let mut canary = canary();
        canary.as_object_mut().unwrap().remove("split");
        let canary = canary.as_object().unwrap().clone().into_iter();
        let canary: Value = canary.chain(arms.as_object().unwrap().clone()).collect();
        let error = document(&canary, &arm()).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
