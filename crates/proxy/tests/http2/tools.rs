//! Between curl, or h2load, and nginx: whole implementations of others, over real sockets.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use firedrill_proxy::Fabric;
use firedrill_proxy::message::{
    BodyChange, HeaderChange, HttpAction, HttpMatch, Kind, MessageFault,
};
use firedrill_proxy::stream::Direction;

use super::fabric::{chance, open};
use super::requests::{delay, fault};
use super::server::{Nginx, program};

/// Bytes of the large file: many windows, many frames.
const LARGE: usize = 3_000_000;

/// A server of HTTP/2 in clear text.
fn nginx() -> Option<Nginx> {
    let settings = "root files; location /hello {
                      default_type text/plain; return 200 'hello $http_x_added';
                    }";
    Nginx::start("http2", settings, |folder| {
        let large: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
        std::fs::create_dir(folder.join("files")).expect("a folder");
        std::fs::write(folder.join("files/large"), large).expect("written");
    })
}

/// nginx with a route to it, unless a program is missing.
fn stand(client: &str, faults: Vec<MessageFault>) -> Option<(Nginx, Fabric, SocketAddr)> {
    let (Some(nginx), Some(_)) = (nginx(), program(client)) else {
        eprintln!("skipped: nginx or {client} is not here");
        return None;
    };
    let (fabric, address) = open(nginx.address, faults);
    Some((nginx, fabric, address))
}

/// What curl wrote: bodies, each with its status and time behind it.
fn curl(address: SocketAddr, words: &[&str]) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["--silent", "--http2-prior-knowledge", "--noproxy", "*"])
        .args(["--max-time", "20", "--connect-to"])
        .arg(format!("::{address}"))
        .args(words)
        .output()
        .expect("curl");
    output.stdout
}

#[test]
fn curl_gets_from_nginx_what_the_faults_say() {
    let set = |name: &str, value: &str| HeaderChange::Set {
        name: name.into(),
        value: value.into(),
    };
    let header = |direction, change| HttpAction::Header { direction, change };
    let replace = BodyChange::Replace("another".into());
    let body = HttpAction::Body {
        direction: Direction::Downstream,
        change: replace,
    };
    let abort = HttpAction::Abort {
        status: 418,
        body: "drill\n".into(),
    };
    let faults = vec![
        fault("hello/abort", 1.0, abort),
        fault(
            "hello/added",
            1.0,
            header(Direction::Upstream, set("X-Added", "you")),
        ),
        fault(
            "hello/told",
            1.0,
            header(Direction::Downstream, set("X-Told", "us")),
        ),
        fault("hello/other", 1.0, body),
        fault("hello/late", 1.0, delay(Duration::from_millis(300))),
        fault("hello/gone", 1.0, HttpAction::Reset),
    ];
    let Some((nginx, _fabric, address)) = stand("curl", faults) else {
        return;
    };
    let told = |path: &str, what: &str| {
        let url = format!("http://shop.test/hello/{path}/");
        let out = curl(address, &["--include", "--write-out", what, &url]);
        String::from_utf8(out).expect("text").replace('\r', "")
    };
    let status = " %{http_code} %{http_version}";
    assert!(told("plain", status).ends_with("\n\nhello  200 2"));
    let aborted = "HTTP/2 418 \ncontent-length: 6\n\ndrill\n 418 2";
    assert_eq!(told("abort", status), aborted);
    assert!(told("added", status).ends_with("hello you 200 2"));
    assert!(told("told", status).contains("\nx-told: us\n"));
    let other = told("other", status);
    assert!(other.contains("\ncontent-length: 7\n") && other.ends_with("\n\nanother 200 2"));
    assert_eq!(
        told("gone", " %{exitcode}"),
        " 92",
        "a stream that was reset"
    );
    let late = told("late", "\n%{time_total}");
    let took: f64 = late
        .lines()
        .last()
        .and_then(|line| line.parse().ok())
        .expect("a time");
    assert!(took >= 0.3, "{took}");
    // A request for each connection: curl 7.88 breaks off at its second (curl/curl#10634).
    let file = std::fs::read(nginx.file("files/large")).expect("a file");
    assert!(
        curl(address, &["http://shop.test/large"]) == file,
        "another file"
    );
}

fn h2load(words: &[&str], url: &str) -> String {
    let output = Command::new("h2load").args(words).arg(url).output();
    String::from_utf8(output.expect("h2load").stdout).expect("text")
}

#[test]
fn large_files_and_large_answers_of_ours_share_the_windows_of_h2load() {
    const REQUESTS: u64 = 40;
    let abort = HttpAction::Abort {
        status: 503,
        body: vec![b'x'; 700_000].into(),
    };
    let mut faults = vec![fault("large", 0.5, abort)];
    if let Kind::Http(http) = &mut faults[0].kind {
        http.matching = HttpMatch::default();
    }
    let ours = (0..REQUESTS).filter(|n| faults[0].falls_on(chance(0), *n));
    let ours = ours.count();
    let Some((_nginx, _fabric, address)) = stand("h2load", faults) else {
        return;
    };
    // Windows of 64 KiB: each answer needs many, and the connection has one for all.
    let words = ["-n", &REQUESTS.to_string(), "-c1", "-m10", "-w16", "-W16"];
    let told = h2load(&words, &format!("http://{address}/large"));
    let theirs = REQUESTS as usize - ours;
    let data = format!("({}) data", theirs * LARGE + ours * 700_000);
    assert!(told.contains(&data), "not {data}: {told}");
    assert!(told.contains("0 errored, 0 timeout"), "{told}");
}

#[test]
fn h2load_gets_exactly_the_aborts_that_the_seed_says() {
    const REQUESTS: u64 = 3000;
    let abort = HttpAction::Abort {
        status: 503,
        body: vec![b'x'; 5000].into(),
    };
    let late = delay(Duration::from_millis(2));
    let faults = vec![
        fault("hello", 0.3, abort),
        MessageFault {
            name: "late".into(),
            ..fault("hello", 0.2, late)
        },
    ];
    let aborted = |connection| {
        let chance = chance(connection);
        (0..REQUESTS / 3)
            .filter(|n| faults[0].falls_on(chance, *n))
            .count()
    };
    let expected: usize = (0..3).map(aborted).sum();
    let Some((_nginx, fabric, address)) = stand("h2load", faults.clone()) else {
        return;
    };
    let words = ["-n", &REQUESTS.to_string(), "-c3", "-m20"];
    let told = h2load(&words, &format!("http://{address}/hello/1"));
    let well = REQUESTS as usize - expected;
    let statuses = format!("status codes: {well} 2xx, 0 3xx, 0 4xx, {expected} 5xx");
    assert!(told.contains(&statuses), "not {statuses}: {told}");
    assert!(told.contains("0 errored, 0 timeout"), "{told}");
    let counted = fabric.requests("shop", None).expect("a route");
    assert_eq!(
        (counted.well, counted.badly),
        (well as u64, expected as u64)
    );
    assert_eq!(counted.ours, expected as u64);
}
