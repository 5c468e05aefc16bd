//! A margin that is searched on one arm of live traffic: a delay on the route behind, judged at the
//! front, for a quarter of the users.

use serde_json::json;

use super::front::{NO_FALLBACK, Service, are_clean, beds, call};
use super::*;

/// How long the service waits for payments.
const PATIENCE: Duration = Duration::from_millis(200);

fn document(proxy: &Proxy) -> Value {
    let interface = format!("http://{}", proxy.interface);
    json!({
        "title": "How late payments may be", "description": "For some of the users.",
        // Generous, for a host that is busy.
        "kpis": [{"name": "answers", "objective": {"success-ratio": 0.9}, "provider": {
            "type": "proxy", "url": interface, "proxy": "web", "arm": "experiment",
            "interval": "200ms", "timeout": "2s", "silence-max": "4s", "idle-max": "20s"}}],
        "phases": {"baseline": "2s"}, "recovery": {"within": "20s"},
        "blast-radius": {"targets-max": 1, "duration-max": "60s", "exclusive-host": true},
        "margin": {
            "vary": {"activity": "payments are late", "argument": "delay"},
            "from": "20ms", "to": "640ms", "resolution": "40%",
            "dwell": {"min": "500ms", "max": "30s"},
            "budget": {"bad-events": 40_000, "bad-events-per-trial": 5_000, "trials": 40},
            "search": {"arm": {"share": 0.25, "by": "header:x-user", "front-by": "cookie:user"}},
        },
        "method": [{"type": "action", "name": "payments are late", "provider": {
            "type": "fault", "name": "application.latency", "target": {"host": true},
            "duration": "10s", "arguments": {"proxy": interface, "route": "payments",
                "delay": "20ms", "arm": "experiment"},
        }}],
    })
}

fn margin(place: &Place, document: &Value) -> (Output, String) {
    place.file("margin-of-an-arm.json", &document.to_string());
    let output = place.run(&["margin", "margin-of-an-arm.json", "--seed", "1"]);
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output, said)
}

#[test]
fn a_search_on_one_arm_finds_the_time_out_and_nobody_else_meets_it() {
    let place = Place::new();
    let service = Service {
        patience: PATIENCE,
        ..NO_FALLBACK
    };
    let (proxy, web) = beds(&place, service, "100");
    let _clients = Clients::of(web);
    let (output, said) = margin(&place, &document(&proxy));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(are_clean(&proxy));
    let kept = std::fs::read(place.work().join("margin.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    let found = &kept["answer"]["break-point"];
    let [low, high] = ["low", "high"].map(|end| found[end].as_f64().unwrap());
    // What a call takes anyway is some ms on a busy host.
    assert!(low <= 200.0 && (150.0..400.0).contains(&high), "{found}");
    let source = kept["context"]["source"].as_str().unwrap();
    assert!(source.contains("the experiment arm of"), "{source}");
    let arms = call(&proxy, "GET", "/proxies/web/split", &Value::Null);
    let arms: Value = serde_json::from_str(arms.rsplit_once("\r\n\r\n").unwrap().1).unwrap();
    let bad = ["experiment", "control", "none"].map(|arm| arms["arms"][arm]["badly"].as_u64());
    assert!(bad[0] > Some(0), "{arms}");
    assert_eq!([bad[1], bad[2]], [Some(0), Some(0)], "{arms}");
}

#[test]
fn an_arm_that_is_not_what_is_broken_or_not_what_is_watched_is_refused() {
    let place = Place::new();
    let (proxy, web) = beds(&place, NO_FALLBACK, "60");
    let _clients = Clients::of(web);
    let refused = |place_of: &str, value: Value, code: i32, says: &str| {
        let mut document = document(&proxy);
        *document.pointer_mut(place_of).unwrap() = value;
        let (output, said) = margin(&place, &document);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(are_clean(&proxy));
        let _never_begun = std::fs::remove_file(place.work().join("margin.json"));
    };
    let fault = "/method/0/provider/arguments/arm";
    refused(fault, json!("control"), 2, "not for the experiment arm");
    let watched = "/kpis/0/provider/arm";
    refused(
        watched,
        json!("all"),
        2,
        "does not count the experiment arm",
    );
    let search = "/margin/search";
    let arm = json!({"share": 0.25, "by": "header:x-user"});
    let both = json!({"non-production": true, "arm": arm});
    refused(search, both, 2, "leave one of both out");
    refused(search, json!({}), 2, "on which `arm` of it");
    // 2 arms of both routes are more than may be in arms.
    refused(search, json!({"arm": arm}), 4, "100.00 % of the traffic");
}

#[test]
fn a_search_whose_users_are_not_passed_on_shows_nothing() {
    let place = Place::new();
    let service = Service {
        says_who: false,
        ..NO_FALLBACK
    };
    let (proxy, web) = beds(&place, service, "100");
    let _clients = Clients::of(web);
    let (output, said) = margin(&place, &document(&proxy));
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("had no effect that was seen"), "{said}");
    assert!(are_clean(&proxy));
}

#[test]
fn whoever_kills_a_search_both_routes_are_whole_again() {
    let place = Place::new();
    let (proxy, web) = beds(&place, NO_FALLBACK, "100");
    let _clients = Clients::of(web);
    place.file("margin-of-an-arm.json", &document(&proxy).to_string());
    let mut command = place.command(&["margin", "margin-of-an-arm.json"]);
    let mut running = command.stdout(Stdio::null()).spawn().unwrap();
    let all = || call(&proxy, "GET", "/proxies", &Value::Null);
    assert!(wait_until(|| all().contains("http_delay")));
    assert_eq!(all().matches("\"split\"").count(), 2);
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(wait_until(|| are_clean(&proxy)));
}
