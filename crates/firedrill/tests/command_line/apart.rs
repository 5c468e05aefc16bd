//! Canaries whose arms are two servers of the test's own, in processes of their own, with traffic that
//! nobody of ours divides and counters that a gateway keeps of each.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::guard::Victim;
use crate::place::Place;

const SERVES: &str = "FIREDRILL_TEST_SERVES";

/// The process of a server: answers 200 until it is killed. As a test of its own it does nothing.
#[test]
fn serves() {
    if std::env::var_os(SERVES).is_none() {
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "serves {}", listener.local_addr().unwrap()).unwrap();
    for mut stream in listener.incoming().map_while(Result::ok) {
        thread::spawn(move || {
            head(&stream);
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
            let _ = stream.write_all(answer.as_bytes());
        });
    }
}

/// The first line of a request, when the head is there.
fn head(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let _ = lines.find(String::is_empty);
    first
}

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "apart::serves", "--nocapture"])
            .env(SERVES, "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, address) = line.split_once("serves ")?;
            address.parse().ok()
        });
        Self {
            address: address.unwrap(),
            process,
        }
    }

    /// Whether it goes on.
    fn answers(&self) -> bool {
        let answer = ask(self.address, "/", Duration::from_secs(60));
        answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ends of the buckets, in milliseconds.
const ENDS_MS: [u64; 3] = [100, 500, 2_000];

/// What the gateway counts of one arm.
#[derive(Default)]
struct Counted {
    good: AtomicU64,
    bad: AtomicU64,
    /// Up to each end, and in all.
    took: [AtomicU64; 4],
    /// What it said when it stopped to move.
    still: std::sync::Mutex<Option<Value>>,
    is_gone: AtomicBool,
}

impl Counted {
    fn count(&self, well: bool, took: Duration) {
        let of = if well { &self.good } else { &self.bad };
        of.fetch_add(1, Ordering::SeqCst);
        for (at, bucket) in self.took.iter().enumerate() {
            let end = ENDS_MS.get(at).map(|end| Duration::from_millis(*end));
            if end.is_none_or(|end| took <= end) {
                bucket.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn stats(&self) -> Value {
        let still = self.still.lock().unwrap();
        still.clone().unwrap_or_else(|| self.now())
    }

    fn now(&self) -> Value {
        let count = |of: &AtomicU64| of.load(Ordering::SeqCst);
        let took: Vec<u64> = self.took.iter().map(count).collect();
        json!({"good": count(&self.good), "bad": count(&self.bad), "took": took})
    }

    fn stand_still(&self) {
        let now = self.now();
        *self.still.lock().unwrap() = Some(now);
    }
}

/// Of one client: a request and a rest. Whoever gives up within it asks as often as ever.
const EVERY: Duration = Duration::from_millis(300);

/// Leads requests to both servers, control first, and counts what came back.
struct Gateway {
    servers: [Server; 2],
    counted: [Arc<Counted>; 2],
    metrics: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Gateway {
    /// Several clients for the control and fewer for the experiment, each of which gives up then.
    fn start(clients: [usize; 2], patience: Duration) -> Self {
        let servers = [Server::start(), Server::start()];
        let counted: [Arc<Counted>; 2] = Default::default();
        let ended = Arc::new(AtomicBool::new(false));
        for ((server, counted), clients) in servers.iter().zip(&counted).zip(clients) {
            for _ in 0..clients {
                let (address, counted) = (server.address, Arc::clone(counted));
                let ended = Arc::clone(&ended);
                thread::spawn(move || {
                    while !ended.load(Ordering::SeqCst) {
                        let began = Instant::now();
                        let answer = ask(address, "/", patience).unwrap_or_default();
                        counted.count(answer.starts_with("HTTP/1.1 200"), began.elapsed());
                        let rest = EVERY.saturating_sub(began.elapsed());
                        thread::park_timeout(rest);
                    }
                });
            }
        }
        let metrics = tell(counted.clone());
        Self {
            servers,
            counted,
            metrics,
            ended,
        }
    }

    fn json(&self, arm: &str, stamp: bool) -> Value {
        let mut source = json!({
            "type": "http", "url": format!("http://{}/{arm}", self.metrics),
            "good": "$.good", "bad": "$.bad", "interval": "200ms", "timeout": "2s",
            "silence-max": "4s", "idle-max": "3s",
        });
        if stamp {
            source["stamp"] = "$.now".into();
            source["idle-max"] = "60s".into();
        }
        source
    }

    fn prometheus(&self, arm: &str) -> Value {
        json!({
            "type": "prometheus", "url": format!("http://{}", self.metrics),
            "good": format!("good_total{{arm=\"{arm}\"}}"),
            "bad": format!("bad_total{{arm=\"{arm}\"}}"),
            "latency": format!("took_bucket{{arm=\"{arm}\"}}"),
            "interval": "200ms", "timeout": "2s", "scrape": 0, "silence-max": "4s",
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

fn ask(address: SocketAddr, path: &str, patience: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Counters as JSON at `/control` and `/experiment`, and by Prometheus' instant queries.
fn tell(counted: [Arc<Counted>; 2]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let line = head(&stream);
            let arm = &counted[usize::from(line.contains("experiment"))];
            if arm.is_gone.load(Ordering::SeqCst) {
                continue;
            }
            let body = match line.contains("/api/v1/query") {
                true => queried(&line, &arm.stats()),
                false => {
                    let mut stats = arm.stats();
                    stats["now"] = seconds().into();
                    stats
                }
            };
            let body = body.to_string();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

fn seconds() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs_f64()
}

fn queried(line: &str, stats: &Value) -> Value {
    // Where a time is asked for, it is the first query's own.
    let at = match line.split_once("time=") {
        Some((_, rest)) => rest.split([' ', '&']).next().unwrap().parse().unwrap(),
        None => seconds(),
    };
    let series = |le: Option<String>, value: &Value| {
        let metric = le.map_or(json!({}), |le| json!({ "le": le }));
        json!({"metric": metric, "value": [at, value.to_string()]})
    };
    let result = if line.contains("took_bucket") {
        let ends = ENDS_MS.iter().map(|ms| (*ms as f64 / 1e3).to_string());
        let ends = ends.chain(["+Inf".to_owned()]);
        let took = stats["took"].as_array().unwrap();
        ends.zip(took)
            .map(|(le, count)| series(Some(le), count))
            .collect()
    } else {
        let name = if line.contains("good_total") {
            "good"
        } else {
            "bad"
        };
        vec![series(None, &stats[name])]
    };
    json!({"status": "success", "data": {"resultType": "vector", "result": result}})
}

fn document(paused: u32, control: &Value, experiment: &Value, kpis: &Value) -> Value {
    json!({
        "title": "The new version bears it", "description": "Its process stands still.",
        "blast-radius": {"targets-max": 1, "duration-max": "2m"},
        "method": [{"type": "action", "name": "a pause", "provider": {
            "type": "fault", "name": "infrastructure.process-pause",
            "target": {"pid": paused}, "duration": "1m",
        }}],
        "canary": {
            "arms": {"control": control, "experiment": experiment},
            "kpis": kpis, "baseline": "3s", "duration": {"min": "1s", "max": "60s"},
        },
    })
}

fn answers(tolerance: f64) -> Value {
    json!([{"name": "answers", "success-ratio": {"tolerance": tolerance}}])
}

/// Status and journal; what is given is done once the fault is in place.
fn canary(place: &Place, document: &Value, then: impl FnOnce()) -> (i32, Value) {
    place.file("canary.json", &document.to_string());
    let mut running = place
        .command(&["canary", "canary.json", "--journal-path", "journal.json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in lines.by_ref().map_while(Result::ok) {
        said.push(line);
        if said.last().unwrap().contains("has the fault") {
            then();
            break;
        }
    }
    said.extend(lines.map_while(Result::ok));
    let status = running.wait().unwrap().code().unwrap_or(-1);
    let journal = std::fs::read(place.work().join("journal.json"));
    let journal = journal.unwrap_or_else(|error| panic!("{error}: {said:?}"));
    (status, serde_json::from_slice(&journal).unwrap())
}

fn reason(journal: &Value) -> &str {
    journal["firedrill"]["reasons"][0].as_str().unwrap_or("")
}

#[test]
fn a_fault_that_harms_the_experiment_is_proven_whoever_divides_the_traffic() {
    let place = Place::new();
    // The experiment gets a quarter of the traffic.
    let gateway = Gateway::start([24, 8], Duration::from_millis(250));
    let server = &gateway.servers[1];
    let [control, experiment] = ["control", "experiment"].map(|arm| gateway.json(arm, false));
    let document = document(server.process.id(), &control, &experiment, &answers(0.05));
    let (status, journal) = canary(&place, &document, || ());
    assert_eq!(status, 1, "{}", reason(&journal));
    assert!(server.answers());
    let said = reason(&journal);
    assert!(said.starts_with("success ratio of answers −"), "{said}");
    let drill = &journal["firedrill"];
    assert_eq!(drill["effect"], "observed");
    let canary = &drill["canary"];
    assert_eq!(canary["traffic"], "live");
    assert_eq!(canary["arms"]["control"]["bad"], 0);
    let before = |arm: &str| canary["baseline"][arm]["good"].as_u64().unwrap();
    assert!(before("control") > before("experiment"), "{canary}");
    assert!(canary["lasted"].as_f64().unwrap() < 50.0);
    let source = canary["sources"]["experiment"].as_str().unwrap();
    assert!(source.contains(&gateway.metrics.to_string()), "{source}");
    let report = place.run(&["report", "journal.json", "-o", "canary.html"]);
    assert!(report.status.success(), "{report:?}");
    let page = std::fs::read_to_string(place.work().join("canary.html")).unwrap();
    assert!(page.contains("was not divided by Firedrill"), "{page}");
}

#[test]
fn a_fault_that_harms_nobody_is_held_by_counters_and_histograms_of_prometheus() {
    let (place, helper) = (Place::new(), Victim::start());
    let gateway = Gateway::start([24, 8], Duration::from_secs(5));
    let [control, experiment] = ["control", "experiment"].map(|arm| gateway.prometheus(arm));
    let kpis = json!([
        {"name": "answers", "success-ratio": {"tolerance": 0.2}},
        {"name": "times", "latency": {"quantile": 0.5, "tolerance": "1s"}},
    ]);
    let document = document(helper.0.id(), &control, &experiment, &kpis);
    let (status, journal) = canary(&place, &document, || ());
    assert_eq!(status, 0, "{}", reason(&journal));
    let canary = &journal["firedrill"]["canary"];
    for kpi in canary["kpis"].as_array().unwrap() {
        assert_eq!(kpi["standing"], "harmless", "{kpi}");
    }
}

#[test]
fn requests_of_the_experiment_that_hang_are_missed_by_the_rates_before() {
    let place = Place::new();
    let gateway = Gateway::start([24, 12], Duration::from_secs(120));
    let server = &gateway.servers[1];
    let [control, experiment] = ["control", "experiment"].map(|arm| gateway.json(arm, true));
    let document = document(server.process.id(), &control, &experiment, &answers(0.05));
    let (status, journal) = canary(&place, &document, || ());
    assert_eq!(status, 1, "{}", reason(&journal));
    let said = reason(&journal);
    assert!(
        said.starts_with("requests of the experiment get no answers"),
        "{said}"
    );
    assert_eq!(
        journal["firedrill"]["canary"]["arms"]["experiment"]["bad"],
        0
    );
}

#[test]
fn a_sensor_of_either_arm_that_stands_still_or_is_gone_proves_nothing() {
    for (arm, name) in ["control", "experiment"].into_iter().enumerate() {
        for is_gone in [false, true] {
            let (place, helper) = (Place::new(), Victim::start());
            let gateway = Gateway::start([8, 8], Duration::from_secs(5));
            let counted = &gateway.counted[arm];
            let [control, experiment] =
                ["control", "experiment"].map(|arm| gateway.json(arm, false));
            // What cannot be proven before the sensor is missed.
            let kpis = answers(0.000_001);
            let document = document(helper.0.id(), &control, &experiment, &kpis);
            let (status, journal) = canary(&place, &document, || match is_gone {
                true => counted.is_gone.store(true, Ordering::SeqCst),
                false => counted.stand_still(),
            });
            let said = reason(&journal);
            assert_eq!(status, 3, "{name} {is_gone}: {said}");
            let says = match is_gone {
                true => "nothing could be read for",
                false => "the sensor is stuck",
            };
            let whose = format!("the {name}'s sensor is not believed");
            assert!(said.contains(&whose) && said.contains(says), "{said}");
        }
    }
}

#[test]
fn two_addresses_are_compared_by_loads_of_ours() {
    let place = Place::new();
    let servers = [Server::start(), Server::start()];
    let [control, experiment] = servers.each_ref().map(|server| {
        json!({"type": "load", "url": format!("http://{}/", server.address), "rate": 50,
            "timeout": "500ms"})
    });
    let document = document(
        servers[1].process.id(),
        &control,
        &experiment,
        &answers(0.05),
    );
    let (status, journal) = canary(&place, &document, || ());
    assert_eq!(status, 1, "{}", reason(&journal));
    let canary = &journal["firedrill"]["canary"];
    assert_eq!(canary["traffic"], "synthetic");
    assert!(canary["arms"]["experiment"]["bad"].as_u64().unwrap() > 0);
    assert!(servers[1].answers());
}

#[test]
fn what_could_prove_nothing_is_refused_before_anything_is_touched() {
    let (place, helper) = (Place::new(), Victim::start());
    let source = |port: u16| {
        json!({"type": "http", "url": format!("http://127.0.0.1:{port}/"), "good": "$.a",
            "bad": "$.b", "interval": "10s"})
    };
    let short = document(helper.0.id(), &source(1), &source(2), &answers(0.1));
    place.file("short.json", &short.to_string());
    let output = place.run(&["canary", "short.json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("make it 40s or longer"), "{said}");
    let same = document(helper.0.id(), &source(1), &source(1), &answers(0.1));
    place.file("same.json", &same.to_string());
    let output = place.run(&["canary", "same.json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("both arms count the same requests"), "{said}");
}
