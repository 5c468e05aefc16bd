//! HTTP proxies, in front of the interface itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bed::Bed;

fn add(bed: &Bed, toxic: &Value) {
    let added = bed.post("/proxies/api/toxics", &toxic.to_string());
    assert_eq!(added.status, 200, "{added:?}");
}

#[test]
fn a_proxy_says_what_it_speaks_and_others_say_nothing_of_it() {
    let (bed, _) = Bed::with_http();
    assert_eq!(bed.get("/proxies/api").json()["protocol"], "http");
    let (bed, _) = Bed::with_echo();
    assert_eq!(bed.get("/proxies/echo").json().get("protocol"), None);
    let body = json!({ "name": "x", "upstream": "a:1", "protocol": "smtp" }).to_string();
    let refused = bed.post("/proxies", &body);
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("smtp"), "{refused:?}");
}

#[test]
fn a_toxic_on_requests_is_refused_where_there_are_none() {
    let (bed, _) = Bed::with_echo();
    let refused = bed.post("/proxies/echo/toxics", r#"{"type":"http_abort"}"#);
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("protocol is tcp"), "{refused:?}");
}

#[test]
fn only_the_requests_that_are_meant_get_another_answer() {
    let (bed, through) = Bed::with_http();
    add(
        &bed,
        &json!({ "type": "http_abort", "attributes": {
            "status": 418, "body": "short", "path": "/ver*", "methods": ["GET"],
            "headers": { "X-User": "7*" },
        }}),
    );
    let answer = through.ask("GET", "/version?x", "x-user: 71\r\n", "");
    assert_eq!((answer.status, answer.body.as_str()), (418, "short"));
    for (method, path, header) in [
        ("GET", "/version", "x-user: 17\r\n"),
        ("GET", "/version", ""),
        ("GET", "/metrics", "x-user: 7\r\n"),
        ("POST", "/reset/no", "x-user: 7\r\n"),
    ] {
        let answer = through.ask(method, path, header, "");
        assert_ne!(answer.status, 418, "{method} {path} {header}");
    }
}

#[test]
fn a_request_that_is_delayed_delays_no_other() {
    let (bed, through) = Bed::with_http();
    let delay = 300;
    let attributes = json!({ "latency": delay, "path": "/version" });
    add(
        &bed,
        &json!({ "type": "http_delay", "attributes": attributes }),
    );
    let begin = Instant::now();
    assert_eq!(through.get("/version").status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(delay));
    // The quickest of some: a busy host delays requests too.
    let took = (0..20).map(|_| {
        let begin = Instant::now();
        assert_eq!(through.get("/metrics").status, 200);
        begin.elapsed()
    });
    assert!(took.min() < Some(Duration::from_millis(delay)));
}

#[test]
fn the_arms_are_counted_apart_and_only_the_experiment_meets_the_fault() {
    let (bed, through) = Bed::with_http();
    let abort = json!({ "type": "http_abort", "arm": "experiment", "name": "down" });
    add(&bed, &abort);
    assert_eq!(through.get("/version").status, 200, "nobody is in an arm");
    let split = json!({ "share": 0.3, "by": "header:x-user" }).to_string();
    let divided = bed.post("/proxies/api/split", &split);
    assert_eq!(divided.status, 200, "{divided:?}");
    let mut hit = Vec::new();
    for user in 0..100 {
        let header = format!("X-User: {user}\r\n");
        let first = through.ask("GET", "/version", &header, "").status;
        let second = through.ask("GET", "/version", &header, "").status;
        assert_eq!(first, second, "a user stays in its arm");
        hit.push(first == 503);
    }
    let experiment = 2 * hit.iter().filter(|hit| **hit).count();
    let arms = &bed.get("/proxies/api/split").json()["arms"];
    assert_eq!(arms["experiment"]["badly"], experiment);
    assert_eq!(arms["experiment"]["by_faults"], experiment);
    assert_eq!(arms["experiment"]["well"], 0);
    assert_eq!(arms["control"]["badly"], 0);
    let control = arms["control"]["well"].as_u64().expect("a count");
    let none = arms["none"]["well"].as_u64().expect("a count");
    assert_eq!(experiment as u64 + control + none, 201);
    // Six deviations of a binomial of 100 at 30 %, two requests each.
    assert!((5..=115).contains(&experiment), "{experiment}");
    assert!((5..=115).contains(&control), "{control}");
    let times = arms["control"]["times"].as_array().expect("times");
    let counted = times.iter().filter_map(|pair| pair[1].as_u64());
    assert_eq!(counted.sum::<u64>(), control);
    let mut ends = times.iter().filter_map(|pair| pair[0].as_f64());
    assert!(
        ends.all(|end| end > 0.0),
        "no answer takes no time: {times:?}"
    );
    let metrics = bed.get("/metrics").body;
    let line = format!(
        "firedrill_proxy_requests_total{{arm=\"experiment\",outcome=\"badly\",proxy=\"api\"}} \
         {experiment}"
    );
    assert!(metrics.contains(&line), "{metrics}");

    assert_eq!(bed.delete("/proxies/api/split").status, 204);
    for user in 0..100 {
        let header = format!("x-user: {user}\r\n");
        assert_eq!(through.ask("GET", "/version", &header, "").status, 200);
    }
}

#[test]
fn a_split_that_cannot_be_is_refused() {
    let (bed, _) = Bed::with_http();
    for (body, why) in [
        (json!({ "share": 0.6 }), "share is 0.6"),
        (json!({ "share": 0 }), "share is 0"),
        (
            json!({ "share": 0.1, "by": "user" }),
            "it is connection, client",
        ),
        (json!({ "share": 0.1, "of": "user" }), "unknown field"),
        (
            json!({ "share": 0.1, "by": "client", "draw": "both" }),
            "the service in between",
        ),
        (
            json!({ "share": 0.1, "draw": "both" }),
            "the service in between",
        ),
        (
            json!({ "share": 0.1, "by": "cookie:a", "draw": "" }),
            "not empty",
        ),
    ] {
        let refused = bed.post("/proxies/api/split", &body.to_string());
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.body.contains(why), "{refused:?}");
    }
    let (bed, _) = Bed::with_echo();
    let refused = bed.post("/proxies/echo/split", r#"{"share":0.1,"by":"cookie:a"}"#);
    assert!(refused.body.contains("protocol is http"), "{refused:?}");
}

#[test]
fn all_splits_together_have_a_limit() {
    let (bed, _) = Bed::with_http();
    let split = |share: f64| json!({ "share": share }).to_string();
    assert_eq!(bed.post("/proxies/api/split", &split(0.3)).status, 200);
    let other = json!({ "name": "other", "upstream": "127.0.0.1:9" }).to_string();
    assert_eq!(bed.post("/proxies", &other).status, 201);
    let refused = bed.post("/proxies/other/split", &split(0.21));
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("102.00 % of the traffic"),
        "{refused:?}"
    );
    assert_eq!(bed.get("/proxies/other").json().get("split"), None);
    assert_eq!(bed.post("/proxies/other/split", &split(0.2)).status, 200);
    // A proxy's own split is replaced, not added to.
    assert_eq!(bed.post("/proxies/api/split", &split(0.2)).status, 200);
}

/// The numbers of the users who meet a fault of the experiment through this route.
fn hit(through: &Bed) -> Vec<u32> {
    let meets = |user: &u32| {
        let header = format!("x-user: {user}\r\n");
        through.ask("GET", "/version", &header, "").status == 503
    };
    (0..60).filter(meets).collect()
}

#[test]
fn two_routes_with_one_draw_have_the_same_users_in_the_experiment() {
    let (bed, web) = Bed::with_http();
    let payments = json!({
        "name": "payments", "upstream": bed.address.to_string(), "protocol": "http",
    });
    let made = bed.post("/proxies", &payments.to_string()).json();
    let payments = Bed {
        address: made["listen"]
            .as_str()
            .expect("a place")
            .parse()
            .expect("an address"),
    };
    let divide = |draw: Option<&str>| {
        for (route, name) in [("api", "one"), ("payments", "two")] {
            let mut split = json!({ "share": 0.25, "by": "header:x-user", "name": name });
            if let Some(draw) = draw {
                split["draw"] = json!(draw);
            }
            let divided = bed.post(&format!("/proxies/{route}/split"), &split.to_string());
            assert_eq!(divided.status, 200, "{divided:?}");
            assert_eq!(
                divided.json()["split"].get("draw"),
                draw.map(|draw| json!(draw)).as_ref()
            );
        }
    };
    divide(Some("both"));
    for route in ["api", "payments"] {
        let down = json!({ "type": "http_abort", "arm": "experiment" }).to_string();
        assert_eq!(
            bed.post(&format!("/proxies/{route}/toxics"), &down).status,
            200
        );
    }
    let both = hit(&web);
    assert!(!both.is_empty());
    assert_eq!(both, hit(&payments));
    // Each for itself: with this seed they differ, as all but one in 10^15 do.
    divide(None);
    assert_ne!(hit(&web), hit(&payments));
    divide(Some("other"));
    assert_ne!(both, hit(&web));
}
