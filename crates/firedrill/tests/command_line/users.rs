//! Canaries that count users, of whom each comes more than once.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::thread;

use serde_json::Value;

use crate::canary::{
    Clients, FAILING, LATE, answering, ask, canary, document, is_clean, proxy, reason,
};
use crate::place::Place;

fn counting(document: &str) -> String {
    document.replace("'cookie:user'}", "'cookie:user', epoch: 1s}")
}

const STRICT: &str = "  kpis: [{name: shoppers, success-ratio: {tolerance: 0.01, of: users}}]
  duration: {max: 60s}";

const LENIENT: &str = "  kpis: [{name: shoppers, success-ratio: {tolerance: 0.3, of: users}}]
  duration: {min: 2s, max: 60s}";

fn count(arm: &Value, of: &str) -> u64 {
    arm[of].as_u64().unwrap_or_default()
}

#[test]
fn harm_to_users_is_proven_by_users_and_told_of_them() {
    let place = Place::new();
    let proxy = proxy(&place, &answering().to_string());
    let _users = Clients::asking(proxy.address, 3);
    let (output, journal) = canary(&place, &counting(&document(&proxy, FAILING, STRICT)));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(is_clean(&proxy));
    let says = reason(&journal);
    assert!(
        says.starts_with("share of users without a bad answer in shoppers −0."),
        "{says}"
    );
    assert!(says.contains(" users "), "{says}");
    let record = &journal["firedrill"]["canary"];
    assert_eq!(record["epoch"], 1.0);
    assert_eq!(record["kpis"][0]["standing"], "harmed");
    let [control, experiment] = ["control", "experiment"].map(|arm| &record["arms"][arm]);
    assert_eq!(count(&control["users"], "bad"), 0, "{record}");
    let users = &experiment["users"];
    let all = count(users, "good") + count(users, "bad");
    assert!(all > 0 && all < count(experiment, "good") + count(experiment, "bad"));
    // Of three requests each, 60 % fail; 3 epochs may cut the requests of a user in two.
    assert!(count(users, "bad") * 10 > all * 6, "{record}");
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("even: ") && told.contains("met a bad answer"),
        "{told}"
    );
    let report = place
        .command(&["report", "canary.json", "-o", "canary.html"])
        .output()
        .unwrap();
    assert!(report.status.success(), "{report:?}");
    let page = std::fs::read_to_string(place.work().join("canary.html")).unwrap();
    assert!(page.contains("Met a bad answer"));
}

#[test]
fn a_canary_of_users_ends_when_somebody_else_changes_the_arms() {
    let place = Place::new();
    let proxy = proxy(&place, &answering().to_string());
    let _users = Clients::asking(proxy.address, 3);
    let patient = LENIENT.replace("min: 2s", "min: 50s");
    let document = counting(&document(&proxy, LATE, &patient));
    place.file("canary.yaml", &document);
    let mut running = place
        .command(&["canary", "canary.yaml", "--journal-path", "canary.json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(running.stderr.take().unwrap()).lines();
    // A look with the fault is over, so that the change is none of its own.
    assert!(said.any(|line| line.unwrap().contains("users; shoppers")));
    let toxic = r#"{"type":"http_delay","arm":"control","attributes":{"latency":1}}"#;
    let request = format!(
        "POST /proxies/web/toxics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{toxic}",
        toxic.len()
    );
    let added = ask(proxy.interface, &request).unwrap();
    assert!(added.contains("200 OK"), "{added}");
    let _unread = thread::spawn(move || said.count());
    assert_eq!(running.wait().unwrap().code(), Some(3));
    let journal = std::fs::read(place.work().join("canary.json")).unwrap();
    let journal: Value = serde_json::from_slice(&journal).unwrap();
    assert!(reason(&journal).contains("somebody changed"), "{journal}");
}

#[test]
fn that_users_bear_it_is_proven_by_users() {
    let place = Place::new();
    let proxy = proxy(&place, &answering().to_string());
    let _users = Clients::asking(proxy.address, 3);
    let (output, journal) = canary(&place, &counting(&document(&proxy, LATE, LENIENT)));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(journal["firedrill"]["verdict"], "held");
    let says = reason(&journal);
    assert!(
        says.contains("share of users without a bad answer") && says.contains(" users "),
        "{says}"
    );
    let record = &journal["firedrill"]["canary"];
    assert_eq!(record["kpis"][0]["standing"], "harmless", "{record}");
    assert!(is_clean(&proxy));
}
