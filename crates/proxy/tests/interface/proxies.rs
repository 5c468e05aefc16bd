use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::{Bed, echo};

#[test]
fn a_proxy_is_made_told_changed_and_deleted() {
    let bed = Bed::new();
    let upstream = echo().to_string();
    let body = json!({ "name": "echo", "listen": "127.0.0.1:0", "upstream": upstream });
    let made = bed.post("/proxies", &body.to_string());
    assert_eq!(made.status, 201);
    let proxy = made.json();
    assert_eq!(proxy["name"], "echo");
    assert_eq!(proxy["upstream"], upstream);
    assert_eq!(proxy["enabled"], true);
    assert_eq!(proxy["toxics"], json!([]));
    assert_ne!(proxy["listen"], "127.0.0.1:0");
    assert_eq!(bed.get("/proxies").json(), json!({ "echo": proxy }));
    assert_eq!(bed.get("/proxies/echo").json(), proxy);

    let listen = proxy["listen"].as_str().expect("an address").to_owned();
    assert!(TcpStream::connect(&listen).is_ok());
    for (method, enabled) in [("POST", false), ("PATCH", true)] {
        let body = json!({ "enabled": enabled }).to_string();
        let changed = bed.ask(method, "/proxies/echo", "", &body);
        assert_eq!(changed.status, 200);
        assert_eq!(changed.json()["enabled"], enabled);
        assert_eq!(TcpStream::connect(&listen).is_ok(), enabled);
    }

    let gone = bed.delete("/proxies/echo");
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert!(TcpStream::connect(&listen).is_err());
    assert_eq!(bed.get("/proxies").json(), json!({}));
}

#[test]
fn an_upstream_that_changes_is_where_connections_go() {
    let (bed, _) = Bed::with_echo();
    let body = json!({ "upstream": echo().to_string() }).to_string();
    let changed = bed.post("/proxies/echo", &body).json();
    let listen = changed["listen"].as_str().expect("an address");
    let port = listen.rsplit_once(':').expect("a port").1;
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a connection");
    stream.write_all(b"question").expect("sent");
    stream.read_exact(&mut [0; 8]).expect("an answer");
}

#[test]
fn a_population_makes_what_is_new_and_keeps_what_is_the_same() {
    let bed = Bed::new();
    let upstream = echo().to_string();
    let first = json!([
        { "name": "one", "upstream": upstream, "listen": "127.0.0.1:0" },
        { "name": "two", "upstream": upstream, "listen": "127.0.0.1:0", "enabled": false },
    ]);
    let made = bed.post("/populate", &first.to_string());
    assert_eq!(made.status, 201);
    let proxies = made.json();
    assert_eq!(proxies["proxies"][0]["enabled"], true);
    assert_eq!(proxies["proxies"][1]["enabled"], false);
    bed.post("/proxies/one/toxics", r#"{"type":"noop"}"#);

    let again = json!([{
        "name": "one",
        "upstream": upstream,
        "listen": proxies["proxies"][0]["listen"],
    }]);
    let kept = bed.post("/populate", &again.to_string()).json();
    assert_eq!(kept["proxies"][0]["toxics"][0]["name"], "noop_downstream");
    assert_eq!(
        bed.get("/proxies")
            .json()
            .as_object()
            .map(serde_json::Map::len),
        Some(2)
    );
}

#[test]
fn a_population_that_fails_in_the_middle_keeps_what_it_made() {
    let bed = Bed::new();
    let taken = bed.address.to_string();
    let body = json!([
        { "name": "one", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0" },
        { "name": "two", "upstream": "127.0.0.1:1", "listen": taken },
        { "name": "three", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0" },
    ]);
    let failed = bed.post("/populate", &body.to_string());
    assert_eq!(failed.status, 500);
    let answer = failed.json();
    assert_eq!(answer["status"], 500);
    assert_eq!(answer["proxies"][0]["name"], "one");
    assert_eq!(answer["proxies"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        bed.get("/proxies")
            .json()
            .as_object()
            .map(serde_json::Map::len),
        Some(1)
    );
}

#[test]
fn a_population_is_checked_before_anything_is_made() {
    let bed = Bed::new();
    let body = json!([
        { "name": "one", "upstream": "127.0.0.1:1" },
        { "name": "two" },
    ]);
    let refused = bed.post("/populate", &body.to_string());
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.json()["error"],
        "missing required field: upstream at proxy 2"
    );
    assert_eq!(bed.get("/proxies").json(), json!({}));
}

#[test]
fn a_reset_enables_every_proxy_and_takes_every_toxic() {
    let (bed, listen) = Bed::with_echo();
    bed.post("/proxies/echo/toxics", r#"{"type":"timeout"}"#);
    bed.post("/proxies/echo", r#"{"enabled":false}"#);
    let reset = bed.post("/reset", "");
    assert_eq!((reset.status, reset.body.as_str()), (204, ""));
    let proxy = bed.get("/proxies/echo").json();
    assert_eq!(
        (&proxy["enabled"], &proxy["toxics"]),
        (&json!(true), &json!([]))
    );
    let mut stream = TcpStream::connect(listen).expect("a connection");
    stream.write_all(b"question").expect("sent");
    stream.read_exact(&mut [0; 8]).expect("an answer");
}

#[test]
fn bytes_are_counted_while_the_connection_is_open() {
    let (bed, listen) = Bed::with_echo();
    let mut stream = TcpStream::connect(listen).expect("a connection");
    stream.write_all(b"question").expect("sent");
    stream.read_exact(&mut [0; 8]).expect("an answer");
    let value = |name: &str, direction: &str| {
        let text = bed.get("/metrics").body;
        let line = text.lines().find(|line| {
            line.starts_with(name) && line.contains(direction) && line.contains("proxy=\"echo\"")
        });
        let value = line
            .and_then(|line| line.rsplit_once(' '))
            .expect("a value")
            .1;
        value.parse::<u64>().expect("a number")
    };
    // The client may have its answer before the call that sent it has returned to the proxy.
    let sent = "toxiproxy_proxy_sent_bytes_total{";
    let begin = Instant::now();
    while value(sent, "\"downstream\"") == 0 && begin.elapsed() < Duration::from_secs(20) {}
    for direction in ["\"upstream\"", "\"downstream\""] {
        assert_eq!(value("toxiproxy_proxy_received_bytes_total{", direction), 8);
        assert_eq!(value(sent, direction), 8);
    }
    assert_eq!(value("firedrill_proxy_connections_open{", ""), 1);
}

#[test]
fn what_was_answered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.json");
    let before = Bed::kept_in(&path);
    let upstream = echo().to_string();
    let body = json!({ "name": "echo", "listen": "127.0.0.1:0", "upstream": upstream });
    before.post("/proxies", &body.to_string());
    let toxic = r#"{"type":"latency","attributes":{"latency":7},"toxicity":0.5}"#;
    before.post("/proxies/echo/toxics", toxic);
    before.post("/proxies/echo", r#"{"enabled":false}"#);
    let proxies = before.get("/proxies").json();

    let after = Bed::kept_in(&path);
    assert_eq!(after.get("/proxies").json(), proxies);
    after.delete("/proxies/echo");
    assert_eq!(Bed::kept_in(&path).get("/proxies").json(), json!({}));
}
