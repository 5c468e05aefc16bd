//! KPIs on counters of others: of a real proxy with traffic through it, and of what speaks
//! Prometheus' interface.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::guard::{Victim, reasons};
use crate::place::Place;
use crate::proxy::Proxy;

const FAULT_S: u64 = 60;

/// A service that answers well until it is told not to.
struct Service {
    address: SocketAddr,
    is_bad: Arc<AtomicBool>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_bad = Arc::new(AtomicBool::new(false));
        let bad = Arc::clone(&is_bad);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let status = match bad.load(Ordering::Relaxed) {
                    true => "503 No",
                    false => "200 OK",
                };
                if !head(&stream).is_empty() {
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    );
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        });
        Self { address, is_bad }
    }
}

/// The first line of a request, when the head is there.
fn head(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let _ = lines.find(String::is_empty);
    first
}

/// People who use it, until this is dropped.
struct Users(#[expect(dead_code, reason = "its end is what they wait for")] mpsc::Sender<()>);

impl Users {
    fn of(address: SocketAddr) -> Self {
        let (end, ended) = mpsc::channel();
        thread::spawn(move || use_it(address, &ended));
        Self(end)
    }
}

fn use_it(address: SocketAddr, ended: &Receiver<()>) {
    let pause = Duration::from_millis(5);
    while ended.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
        let Ok(mut stream) = TcpStream::connect(address) else {
            continue;
        };
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

fn document(provider: &Value, objective: &Value, victim: &Victim, fault_s: u64) -> Value {
    json!({
        "title": "watched", "description": "d",
        "phases": {"baseline": "2s"}, "recovery": {"within": "3s"},
        "blast-radius": {"targets-max": 1, "duration-max": format!("{FAULT_S}s")},
        "kpis": [{"name": "customers", "provider": provider, "objective": objective}],
        "method": [{"type": "action", "name": "pause", "provider": {
            "type": "fault", "name": "infrastructure.process-pause",
            "target": {"pid": victim.0.id()}, "duration": format!("{fault_s}s"),
        }}],
    })
}

fn journal(place: &Place, document: &Value) -> (Value, i32) {
    place.file("drill.json", &document.to_string());
    let output = place.run(&["run", "drill.json", "--journal-path", "journal.json"]);
    let text = std::fs::read_to_string(place.work().join("journal.json"));
    let text =
        text.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (
        serde_json::from_str(&text).unwrap(),
        output.status.code().unwrap_or(-1),
    )
}

fn of_proxy(proxy: &Proxy) -> Value {
    json!({"type": "proxy", "url": format!("http://{}", proxy.interface), "proxy": "shop",
        "interval": "200ms", "timeout": "1s", "silence-max": "2s", "idle-max": "10s"})
}

fn shop(place: &Place, service: &Service) -> Proxy {
    let route = format!("shop=127.0.0.1:0,{},protocol=http", service.address);
    Proxy::start(place, &route, &[])
}

#[test]
fn what_passed_through_a_proxy_is_judged_with_its_latencies() {
    let (place, service, victim) = (Place::new(), Service::start(), Victim::start());
    let proxy = shop(&place, &service);
    let _users = Users::of(proxy.address);
    let objective = json!({"success-ratio": 0.9, "latency": {"quantile": 0.5, "max": "10s"},
        "bad-events-max": 0});
    let document = document(&of_proxy(&proxy), &objective, &victim, 3);
    let (journal, status) = journal(&place, &document);
    assert_eq!(status, 0, "{}", reasons(&journal));
    let phases = journal["firedrill"]["phases"].as_array().unwrap();
    for phase in phases {
        let kpi = &phase["kpis"][0];
        assert!(kpi["requests"].as_u64().unwrap() > 10, "{phase}");
        assert!(kpi["latency"]["p50"].as_f64().unwrap() > 0.0, "{phase}");
    }
}

#[test]
fn a_proxy_that_sees_errors_breaks_the_guardrail_on_its_kpi() {
    let (place, service, victim) = (Place::new(), Service::start(), Victim::start());
    let proxy = shop(&place, &service);
    let _users = Users::of(proxy.address);
    // The KPI itself forgives all; the guardrail does not.
    let mut document = document(
        &of_proxy(&proxy),
        &json!({"success-ratio": 0.01}),
        &victim,
        FAULT_S,
    );
    document["guardrails"] = json!([{"kpi": "customers", "objective": {"success-ratio": 0.9}}]);
    let is_bad = Arc::clone(&service.is_bad);
    let paused = victim.0.id();
    thread::spawn(move || {
        until_stopped(paused);
        is_bad.store(true, Ordering::Relaxed);
    });
    let (journal, status) = journal(&place, &document);
    let said = reasons(&journal);
    assert_eq!(status, 5, "{said}");
    assert!(said.contains("guardrail `customers` is broken"), "{said}");
    assert!(!victim.is_stopped());
}

#[test]
fn a_proxy_that_ends_leaves_the_drill_blind() {
    let (place, service, victim) = (Place::new(), Service::start(), Victim::start());
    let proxy = shop(&place, &service);
    let _users = Users::of(proxy.address);
    let document = document(
        &of_proxy(&proxy),
        &json!({"success-ratio": 0.5}),
        &victim,
        FAULT_S,
    );
    let paused = victim.0.id();
    let killer = thread::spawn(move || {
        until_stopped(paused);
        proxy.signal(Signal::KILL);
        proxy
    });
    let (journal, status) = journal(&place, &document);
    drop(killer.join());
    let said = reasons(&journal);
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("nothing could be read for"), "{said}");
    assert!(!victim.is_stopped());
}

fn until_stopped(pid: u32) {
    crate::place::wait_until(|| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    });
}

/// What speaks Prometheus' interface, as far as instant queries go, and remembers what was asked.
struct Prometheus {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Prometheus {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            let began = Instant::now();
            for mut stream in listener.incoming().map_while(Result::ok) {
                let line = head(&stream);
                let ms = began.elapsed().as_millis() as u64;
                let body = answer(&line, ms).to_string();
                log.lock().unwrap().push(line);
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { address, asked }
    }
}

fn answer(line: &str, ms: u64) -> Value {
    // Where a time is asked for, it is the first query's own.
    let at = match line.split_once("time=") {
        Some((_, rest)) => rest.split([' ', '&']).next().unwrap().parse().unwrap(),
        None => 1_000.0 + ms as f64 / 1e3,
    };
    let good = ((at - 1_000.0) * 1e3).round() as u64;
    let series = |le: Option<&str>, value: u64| {
        let metric = le.map_or(json!({}), |le| json!({ "le": le }));
        json!({"metric": metric, "value": [at, value.to_string()]})
    };
    let result = if line.contains("good_total") {
        json!([series(None, good / 2), series(None, good / 2)])
    } else if line.contains("took_bucket") {
        json!([
            series(Some("0.1"), good / 2),
            series(Some("0.5"), good),
            series(Some("+Inf"), good)
        ])
    } else {
        // No error yet, so no series of them.
        json!([])
    };
    json!({"status": "success", "data": {"resultType": "vector", "result": result}})
}

fn of_prometheus(prometheus: &Prometheus) -> Value {
    json!({"type": "prometheus", "url": format!("http://{}", prometheus.address),
        "good": "good_total", "bad": "bad_total", "latency": "took_bucket",
        "interval": "200ms", "timeout": "1s", "scrape": 0, "silence-max": "2s"})
}

#[test]
fn counters_in_prometheus_are_read_at_one_moment_and_judged_with_their_histogram() {
    let (place, prometheus, victim) = (Place::new(), Prometheus::start(), Victim::start());
    let objective = json!({"success-ratio": 0.9, "latency": {"quantile": 0.9, "max": "500ms"}});
    let document = document(&of_prometheus(&prometheus), &objective, &victim, 3);
    let (journal, status) = journal(&place, &document);
    assert_eq!(status, 0, "{}", reasons(&journal));
    let asked = prometheus.asked.lock().unwrap();
    let mut threes = asked.chunks_exact(3);
    let first = threes.next().unwrap();
    assert!(
        first[0].contains("good_total") && !first[0].contains("time="),
        "{first:?}"
    );
    let time = |line: &str| line.split_once("time=").map(|(_, rest)| rest.to_owned());
    assert!(
        time(&first[1]).is_some() && time(&first[1]) == time(&first[2]),
        "{first:?}"
    );
}

#[test]
fn a_limit_that_prometheus_histogram_cannot_judge_lets_nothing_be_broken() {
    let (place, prometheus, victim) = (Place::new(), Prometheus::start(), Victim::start());
    let objective = json!({"latency": {"quantile": 0.9, "max": "300ms"}});
    let document = document(&of_prometheus(&prometheus), &objective, &victim, 3);
    let (journal, status) = journal(&place, &document);
    let said = reasons(&journal);
    assert_eq!(status, 3, "{said}");
    assert!(
        said.contains("no bucket of the histogram ends at 300ms")
            && said.contains("nothing was broken"),
        "{said}"
    );
}

#[test]
fn a_drill_that_the_baseline_s_traffic_cannot_answer_is_refused_before_anything_is_broken() {
    let (place, service, victim) = (Place::new(), Service::start(), Victim::start());
    let proxy = shop(&place, &service);
    let _users = Users::of(proxy.address);
    // About two hundred a second at the most: enough for nine in ten, in the baseline.
    let mut document = document(
        &of_proxy(&proxy),
        &json!({"success-ratio": 0.9}),
        &victim,
        3,
    );
    document["kpis"][0]["phases"] = json!({"fault": {"success-ratio": 0.9999}});
    let (journal, status) = journal(&place, &document);
    let said = reasons(&journal);
    assert_eq!(status, 4, "{said}");
    assert!(
        said.contains("cannot answer") && said.contains("takes 29956 at the least"),
        "{said}"
    );
    assert_eq!(journal["firedrill"]["faults"], json!([]));
}
