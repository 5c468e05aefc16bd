//! What is refused before anything is touched.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::bed::Bed;
use crate::owner::Owner;

fn refused(fault: &str, arguments: &Value) -> String {
    Owner::try_begin(fault, arguments).err().unwrap()
}

#[test]
fn what_is_not_there_or_does_not_fit_is_told() {
    let bed = Bed::new();
    let latency = |route, more| refused("application.latency", &bed.arguments(route, more));
    let delay = json!({"delay": "50ms"});
    let why = latency("wob", delay);
    assert!(why.contains("no route \"wob\"; it has raw, web"), "{why}");
    let why = latency("web", json!({"delay": "50ms", "arm": "experiment"}));
    assert!(why.contains("has no arms; divide it first"), "{why}");
    let why = latency("raw", json!({"delay": "50ms", "arm": "experiment"}));
    assert!(why.contains("speaks tcp"), "{why}");
    let why = latency("raw", json!({"delay": "50ms", "path": "/x"}));
    assert!(why.contains("speaks tcp"), "{why}");
    let why = refused("application.http-error", &bed.arguments("raw", json!({})));
    assert!(why.contains("speaks tcp"), "{why}");
    assert!(bed.toxics("web").is_empty() && bed.toxics("raw").is_empty());
}

#[test]
fn a_proxy_that_is_not_there_or_hangs_is_refused_in_bounded_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let arguments = json!({"proxy": proxy, "route": "web"});
    let why = refused("application.http-error", &arguments);
    assert!(
        why.contains("did not answer GET /proxies/web in time"),
        "{why}"
    );
    drop(listener);
    let why = refused("application.http-error", &arguments);
    assert!(why.contains("no proxy answers"), "{why}");
}
