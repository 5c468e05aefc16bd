//! Proxies that lead to several places.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bed::Bed;

/// Says its letter to everyone who connects, and then nothing until they leave.
fn server(letter: u8) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let _gone = stream.write_all(&[letter]);
                let _gone = stream.read(&mut [0; 16]);
            });
        }
    });
    address
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    listener.local_addr().expect("an address")
}

/// A proxy `group` to these, in a proxy that is in zone `a`.
fn group(upstream: &str) -> (Bed, SocketAddr) {
    let bed = Bed::in_zone("a");
    let body = json!({ "name": "group", "upstream": upstream });
    let made = bed.post("/proxies", &body.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["upstream"], upstream);
    let listen = made.json()["listen"].as_str().and_then(|a| a.parse().ok());
    (bed, listen.expect("an address"))
}

/// A connection, and the letter of who is at its other end.
fn ask(address: SocketAddr) -> (TcpStream, char) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let mut letter = [0];
    stream.read_exact(&mut letter).expect("a letter");
    (stream, letter[0].into())
}

fn endpoints(bed: &Bed) -> Vec<Value> {
    let all = bed.get("/proxies/group/endpoints").json();
    all.as_array().cloned().expect("a list")
}

/// Waits until the endpoints are so.
fn wait_for(bed: &Bed, what: &str, so: impl Fn(&[Value]) -> bool) {
    let begin = Instant::now();
    while !so(&endpoints(bed)) {
        let waited = begin.elapsed() > Duration::from_secs(20);
        assert!(!waited, "not {what}: {:?}", endpoints(bed));
    }
}

#[test]
fn a_zone_is_evacuated_and_comes_back() {
    let (a, b) = (server(b'a'), server(b'b'));
    let (bed, address) = group(&format!("{a}@a+{b}@b"));
    let (mut stays, letter) = ask(address);
    assert_eq!(letter, 'a', "the own zone");
    let drain = |body: Value| bed.post("/proxies/group/endpoints", &body.to_string());

    let drained = drain(json!({ "zone": "a" }));
    assert_eq!(drained.status, 200, "{drained:?}");
    assert_eq!(drained.json()[0]["drained"], true);
    assert_eq!(drained.json()[0]["connections"], 1);
    assert_eq!(drained.json()[0]["connections_total"], 1);
    assert_eq!(ask(address).1, 'b');
    stays.write_all(b"still here").expect("it stays");

    let (mut ends, _) = {
        assert_eq!(drain(json!({ "zone": "a", "back": true })).status, 200);
        ask(address)
    };
    assert_eq!(drain(json!({ "zone": "a", "reset": true })).status, 200);
    let error = ends.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(ask(address).1, 'b');

    let refused = drain(json!({ "address": b }));
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("no endpoint would be left"),
        "{refused:?}"
    );
    assert_eq!(drain(json!({ "zone": "a", "back": true })).status, 200);
    assert_eq!(ask(address).1, 'a');
}

#[test]
fn who_does_not_answer_is_passed_over_and_told() {
    let (dead, live) = (nobody(), server(b'b'));
    let (bed, address) = group(&format!("{dead}@a+{live}@b"));
    for _ in 0..5 {
        assert_eq!(ask(address).1, 'b');
    }
    wait_for(&bed, "known to be ill", |all| {
        all[0]["healthy"] == false && all[1]["healthy"] == true
    });
    assert_eq!(bed.get("/metrics").status, 200);
}

#[test]
fn it_fails_back_when_the_endpoint_is_there_again() {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let dead = held.local_addr().expect("an address");
    drop(held);
    let live = server(b'b');
    let (bed, address) = group(&format!("{dead}@a+{live}@b"));
    wait_for(&bed, "known to be ill", |all| all[0]["healthy"] == false);
    assert_eq!(ask(address).1, 'b');
    let back = TcpListener::bind(dead).expect("the same address");
    thread::spawn(move || {
        for mut stream in back.incoming().flatten() {
            let _gone = stream.write_all(b"a");
        }
    });
    wait_for(&bed, "well again", |all| {
        all[0]["healthy"] == true && all[0]["ejected"] == 0.0
    });
    assert_eq!(ask(address).1, 'a');
}

/// Answers a request for `/health` with this status while `open` says so; otherwise it takes the
/// connection and says nothing, as a process does that is stopped.
fn web(status: &'static str, open: &Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let open = Arc::clone(open);
    thread::spawn(move || {
        let mut silent = Vec::new();
        for mut stream in listener.incoming().flatten() {
            if !open.load(Ordering::Relaxed) {
                silent.push(stream);
                continue;
            }
            let mut asked = [0; 20];
            let is_check =
                stream.read_exact(&mut asked).is_ok() && asked == *b"GET /health HTTP/1.1";
            let status = if is_check { status } else { "404 No" };
            let _gone = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        }
    });
    address
}

#[test]
fn who_takes_connections_and_does_not_answer_is_found_by_a_request() {
    let (open, always) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicBool::new(true)),
    );
    let (hangs, fine) = (web("204 Well", &open), web("200 OK", &always));
    let bed = Bed::new();
    let body = json!({
        "name": "group", "upstream": format!("{hangs}@a+{fine}@b"), "protocol": "http",
        "check": { "path": "/health", "every": 20, "limit": 200 },
    });
    let made = bed.post("/proxies", &body.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["check"], body["check"]);
    let health =
        |first: bool| move |all: &[Value]| all[0]["healthy"] == first && all[1]["healthy"] == true;
    wait_for(&bed, "well", health(true));
    open.store(false, Ordering::Relaxed);
    wait_for(&bed, "known to hang", health(false));
    open.store(true, Ordering::Relaxed);
    wait_for(&bed, "well again", health(true));
}

#[test]
fn an_answer_that_is_an_error_is_not_well() {
    let always = Arc::new(AtomicBool::new(true));
    let (ill, fine) = (web("503 Busy", &always), web("302 Elsewhere", &always));
    let bed = Bed::new();
    let body = json!({
        "name": "group", "upstream": format!("{ill}@a+{fine}@b"),
        "check": { "path": "/health", "every": 20 },
    });
    assert_eq!(bed.post("/proxies", &body.to_string()).status, 201);
    wait_for(&bed, "told apart", |all| {
        all[0]["healthy"] == false && all[1]["healthy"] == true
    });
    let refused = bed.post("/proxies/group", r#"{"upstream":"127.0.0.1:1"}"#);
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("no group"), "{refused:?}");
}

#[test]
fn a_drain_that_means_nothing_is_refused() {
    let (bed, _) = group(&format!("{}@a+{}@b", server(b'a'), server(b'b')));
    for (body, why) in [
        (json!({}), "a zone or an address"),
        (json!({ "zone": "c" }), "no endpoint in a zone c"),
        (
            json!({ "address": "127.0.0.1:1" }),
            "no endpoint 127.0.0.1:1",
        ),
        (
            json!({ "zone": "a", "back": true, "reset": true }),
            "not both",
        ),
        (json!({ "zones": "a" }), "unknown field"),
    ] {
        let refused = bed.post("/proxies/group/endpoints", &body.to_string());
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.body.contains(why), "{refused:?}");
    }
    let (bed, _) = Bed::with_echo();
    let refused = bed.post("/proxies/echo/endpoints", r#"{"zone":"a"}"#);
    assert!(refused.body.contains("leads to one place"), "{refused:?}");
    assert_eq!(bed.get("/proxies/echo/endpoints").json(), json!([]));
}
