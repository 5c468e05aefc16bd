//! Canaries on a route of a real proxy, with clients and an upstream of the test's own.

mod front;
mod margin;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::place::{Place, wait_until};
use crate::proxy::Proxy;

/// Clients that ask as long as it lives: new users all the time.
pub(crate) struct Clients(Arc<AtomicBool>);

impl Clients {
    fn of(address: SocketAddr) -> Self {
        Self::asking(address, 1)
    }

    /// Each user so many times, each time on another connection.
    pub(crate) fn asking(address: SocketAddr, times: u32) -> Self {
        static USER: AtomicU64 = AtomicU64::new(1);
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..6 {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let user = USER.fetch_add(1, Ordering::Relaxed);
                    let request = format!(
                        "GET / HTTP/1.1\r\nHost: x\r\nCookie: user={user}\r\nConnection: close\r\n\r\n"
                    );
                    for _ in 0..times {
                        let _ = ask(address, &request);
                    }
                    pause(Duration::from_millis(5));
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

const LONG: Duration = Duration::from_secs(60);

pub(crate) fn ask(address: SocketAddr, request: &str) -> std::io::Result<String> {
    ask_within(address, request, LONG)
}

fn ask_within(address: SocketAddr, request: &str, patience: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A server that answers each request with 200; it ends with the test's process.
pub(crate) fn answering() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    address
}

#[expect(clippy::disallowed_methods, reason = "nothing here is to be halted")]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}

/// A route `web` of a proxy that may have all of its traffic in arms.
pub(crate) fn proxy(place: &Place, upstream: &str) -> Proxy {
    let route = format!("web=127.0.0.1:0,{upstream},protocol=http");
    Proxy::start(place, &route, &["--arms-most", "100"])
}

pub(crate) fn document(proxy: &Proxy, fault: &str, canary: &str) -> String {
    format!(
        "title: Users bear it
description: A fault for some of them.
blast-radius: {{targets-max: 1, duration-max: 10m}}
method:
  - type: action
    name: the fault
    provider:
      type: fault
      name: {fault}
canary:
  split: {{share: 0.5, by: 'cookie:user'}}
  baseline: 1s
{canary}"
    )
    .replace(
        "%on%",
        &format!(
            "proxy: 'http://{}', route: web, arm: experiment",
            proxy.interface
        ),
    )
}

pub(crate) const FAILING: &str = "application.http-error
      target: {host: true}
      duration: 2m
      arguments: {%on%, percent: 60}";

pub(crate) const LATE: &str = "application.latency
      target: {host: true}
      duration: 2m
      arguments: {%on%, delay: 5ms}";

/// Shows harm soon.
const STRICT: &str = "  kpis: [{name: answers, success-ratio: {tolerance: 0.01}}]
  duration: {max: 60s}";

/// Shows in some seconds that there is none.
const LENIENT: &str = "  kpis:
    - {name: answers, success-ratio: {tolerance: 0.3}}
    - {name: times, latency: {quantile: 0.5, tolerance: 30s}}
  duration: {min: 1s, max: 60s}";

pub(crate) fn canary(place: &Place, document: &str) -> (Output, Value) {
    place.file("canary.yaml", document);
    let output = place
        .command(&["canary", "canary.yaml", "--journal-path", "canary.json"])
        .output()
        .unwrap();
    let journal = std::fs::read(place.work().join("canary.json")).unwrap_or_default();
    (output, serde_json::from_slice(&journal).unwrap_or_default())
}

/// Neither toxic nor split.
pub(crate) fn is_clean(proxy: &Proxy) -> bool {
    let answer = ask(
        proxy.interface,
        "GET /proxies/web HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    let answer = answer.unwrap();
    answer.contains("\"toxics\":[]") && !answer.contains("split")
}

pub(crate) fn reason(journal: &Value) -> &str {
    journal["firedrill"]["reasons"][0].as_str().unwrap_or("")
}

#[test]
fn a_canary_stops_at_the_first_proof_of_harm_and_says_how_large_it_is() {
    let place = Place::new();
    let proxy = proxy(&place, &answering().to_string());
    let _clients = Clients::of(proxy.address);
    let (output, journal) = canary(&place, &document(&proxy, FAILING, STRICT));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(is_clean(&proxy));
    let drill = &journal["firedrill"];
    assert_eq!(
        (&drill["verdict"], &drill["effect"]),
        (&"broken".into(), &"observed".into())
    );
    assert!(
        reason(&journal).starts_with("success ratio of answers −0."),
        "{journal}"
    );
    let kpi = &drill["canary"]["kpis"][0];
    assert_eq!(kpi["standing"], "harmed");
    let (low, high) = (kpi["low"].as_f64().unwrap(), kpi["high"].as_f64().unwrap());
    assert!(low <= -0.6 + 0.2 && high < -0.01, "{kpi}");
    let arms = &drill["canary"]["arms"];
    assert_eq!(arms["control"]["bad"], 0);
    assert!(arms["experiment"]["bad"].as_u64().unwrap() > 0);
    // Far below the longest: it did not wait for its end.
    assert!(drill["canary"]["lasted"].as_f64().unwrap() < 50.0);
    let report = place
        .command(&["report", "canary.json", "-o", "canary.html"])
        .output()
        .unwrap();
    assert!(report.status.success(), "{report:?}");
    let page = std::fs::read_to_string(place.work().join("canary.html")).unwrap();
    assert!(page.contains("Two arms") && page.contains("harm is proven"));
}

#[test]
fn what_users_bear_is_proven_to_be_harmless_up_to_the_tolerance() {
    let place = Place::new();
    let proxy = proxy(&place, &answering().to_string());
    let _clients = Clients::of(proxy.address);
    let (output, journal) = canary(&place, &document(&proxy, LATE, LENIENT));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(journal["firedrill"]["verdict"], "held");
    for kpi in journal["firedrill"]["canary"]["kpis"].as_array().unwrap() {
        assert_eq!(kpi["standing"], "harmless", "{kpi}");
    }
    assert!(is_clean(&proxy));
}

#[test]
fn what_is_never_met_or_never_clear_proves_nothing() {
    let place = Place::new();
    let proxy = proxy(&place, &answering().to_string());
    {
        // Nobody comes.
        let (output, journal) = canary(&place, &document(&proxy, FAILING, STRICT));
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(
            reason(&journal).contains("no request came into an arm"),
            "{journal}"
        );
    }
    let _clients = Clients::of(proxy.address);
    // On a path that nobody asks for.
    let elsewhere = FAILING.replace("percent: 60", "path: /elsewhere");
    let (output, journal) = canary(&place, &document(&proxy, &elsewhere, LENIENT));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(
        reason(&journal).contains("no effect that was seen"),
        "{journal}"
    );
    let never =
        "  kpis: [{name: answers, success-ratio: {tolerance: 0.00001}}]\n  duration: {max: 1s}";
    let (output, journal) = canary(&place, &document(&proxy, LATE, never));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(
        reason(&journal).contains("neither harm nor its absence"),
        "{journal}"
    );
    assert!(is_clean(&proxy));
}

#[test]
fn a_canary_is_refused_out_of_its_window_beyond_the_cap_and_during_a_failover() {
    let place = Place::new();
    let upstream = answering();
    let groups = format!("{upstream}@a+{}@b", answering());
    let proxy = proxy(&place, &groups);
    let _clients = Clients::of(proxy.address);
    let refused = |canary_of: &str, says: &str| {
        let (output, journal) = canary(&place, &document(&proxy, FAILING, canary_of));
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        assert!(reason(&journal).contains(says), "{journal}");
        assert!(is_clean(&proxy));
    };
    // No minute of the day is in both.
    let closed = |from, to| {
        format!(
            "{STRICT}\n  window: {{days: [mon, tue, wed, thu, fri, sat, sun], from: '{from}', to: '{to}', zone: UTC}}"
        )
    };
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let other = if now.hour() < 12 {
        closed("13:00", "23:00")
    } else {
        closed("01:00", "11:00")
    };
    refused(&other, "its window is closed");
    let drain = format!("{{\"address\":\"{upstream}\"}}");
    let request = format!(
        "POST /proxies/web/endpoints HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{drain}",
        drain.len()
    );
    assert!(ask(proxy.interface, &request).unwrap().contains("200 OK"));
    refused(STRICT, "a failover is in progress");
    let known = format!("{STRICT}\n  standby: ['{upstream}']");
    let (output, _) = canary(&place, &document(&proxy, FAILING, &known));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    drop(proxy);
    let small = Proxy::start(
        &place,
        &format!("web=127.0.0.1:0,{upstream},protocol=http"),
        &[],
    );
    let (output, journal) = canary(&place, &document(&small, FAILING, STRICT));
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(reason(&journal).contains("would be in arms"), "{journal}");
}

#[test]
fn a_proxy_that_ends_stops_the_canary_and_proves_nothing() {
    let place = Place::new();
    let proxy = proxy(&place, &answering().to_string());
    let _clients = Clients::of(proxy.address);
    let patient = STRICT.replace("tolerance: 0.01", "tolerance: 1");
    place.file(
        "canary.yaml",
        &document(&proxy, LATE, &patient.replace("{max", "{min: 50s, max")),
    );
    let mut running = place
        .command(&["canary", "canary.yaml", "--journal-path", "canary.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(running.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("the experiment has the fault")));
    drop(proxy);
    let _unread = thread::spawn(move || said.count());
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let journal: Value =
        serde_json::from_slice(&std::fs::read(place.work().join("canary.json")).unwrap()).unwrap();
    assert!(
        reason(&journal).contains("the counters cannot be read"),
        "{journal}"
    );
}

fn has_toxic(proxy: &Proxy) -> bool {
    let request = "GET /proxies/web/toxics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    ask(proxy.interface, request).unwrap().contains("http_")
}

#[test]
fn whoever_kills_the_canary_everybody_is_treated_alike_again() {
    let place = Place::new();
    let proxy = proxy(&place, &answering().to_string());
    let _clients = Clients::of(proxy.address);
    let patient = LENIENT.replace("min: 1s", "min: 50s");
    place.file("canary.yaml", &document(&proxy, LATE, &patient));
    let mut running = place.command(&["canary", "canary.yaml"]).spawn().unwrap();
    assert!(wait_until(|| has_toxic(&proxy)));
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(wait_until(|| is_clean(&proxy)));
}

#[test]
fn canaries_are_proposed_for_what_has_traffic_and_written_as_valid_documents() {
    let place = Place::new();
    let proxy = proxy(&place, &answering().to_string());
    let _clients = Clients::of(proxy.address);
    let interface = format!("http://{}", proxy.interface);
    let words = [
        "canary", "propose", "--proxy", &interface, "--watch", "1s", "-o", "proposed",
    ];
    let output = place
        .command(&[&words[..], &["--timeout", "web=500ms"]].concat())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("time-out 500 ms"), "{told}");
    let files = std::fs::read_dir(place.work().join("proposed")).unwrap();
    let mut files: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!(files[0], "01-web-failure.json");
    for file in files {
        let path = format!("proposed/{file}");
        let valid = place.command(&["validate", &path]).output().unwrap();
        assert!(valid.status.success(), "{valid:?}");
    }
    assert!(is_clean(&proxy));
}
