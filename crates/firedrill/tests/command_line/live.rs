//! Margins whose KPI is counters of live traffic: of a real proxy, of what speaks Prometheus'
//! interface, of an endpoint. The users, a service with a time-out on its dependency and the
//! dependency are here; the fault is a delay on the route to the dependency, of a second proxy.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{Place, wait_until};
use crate::proxy::Proxy;

/// How long the service waits for its dependency.
const PATIENCE: Duration = Duration::from_millis(200);

const WELL: u8 = 0;
/// Nobody answers for the counters any more.
const SILENT: u8 = 1;
/// They answer, and stand still.
const FROZEN: u8 = 2;
/// They count from zero again.
const ANEW: u8 = 3;
/// They are no counts.
const CORRUPT: u8 = 4;

#[derive(Default)]
struct Counters {
    good: AtomicU64,
    bad: AtomicU64,
    is: AtomicU8,
    /// What they stood at when they began anew, or froze.
    good_then: AtomicU64,
}

impl Counters {
    fn fall_ill(&self, how: u8) {
        let good = self.good.load(Ordering::Relaxed);
        self.good_then.store(good, Ordering::Relaxed);
        self.is.store(how, Ordering::Relaxed);
    }

    fn stand(&self) -> Option<Value> {
        let good = self.good.load(Ordering::Relaxed);
        let bad = self.bad.load(Ordering::Relaxed);
        let then = self.good_then.load(Ordering::Relaxed);
        Some(match self.is.load(Ordering::Relaxed) {
            SILENT => return None,
            FROZEN => json!({"good": then, "bad": 0}),
            ANEW => json!({"good": good - then, "bad": 0}),
            CORRUPT => json!({"good": 12.5, "bad": bad}),
            _ => json!({"good": good, "bad": bad}),
        })
    }
}

/// Everything but Firedrill.
struct World {
    counters: Arc<Counters>,
    front: Proxy,
    /// The way to the dependency, where the fault is.
    behind: Proxy,
    #[expect(dead_code, reason = "they go when it is dropped")]
    users: Users,
}

impl World {
    fn new(place: &Place) -> Self {
        let dependency = serve(|stream| respond(stream, "200 OK", ""));
        let route = format!("dependency=127.0.0.1:0,{dependency},protocol=http");
        let behind = Proxy::start(place, &route, &[]);
        let counters = Arc::new(Counters::default());
        let (upstream, counted) = (behind.address, Arc::clone(&counters));
        let service = serve(move |stream| {
            let is_good = asks(upstream, PATIENCE);
            let (counter, status) = match is_good {
                true => (&counted.good, "200 OK"),
                false => (&counted.bad, "503 Late"),
            };
            counter.fetch_add(1, Ordering::Relaxed);
            respond(stream, status, "");
        });
        let route = format!("shop=127.0.0.1:0,{service},protocol=http");
        let front = Proxy::start(place, &route, &[]);
        let users = Users::of(front.address);
        Self {
            counters,
            front,
            behind,
            users,
        }
    }

    fn document(&self, provider: &Value, asked: &Value, dwell_min: &str) -> Value {
        let mut margin = json!({
            "vary": {"activity": "it is late", "argument": "delay"},
            "from": "20ms", "to": "640ms", "resolution": "40%",
            "dwell": {"min": dwell_min, "max": "30s"},
            "budget": {"bad-events": 40_000, "bad-events-per-trial": 5_000, "trials": 40},
        });
        margin
            .as_object_mut()
            .unwrap()
            .extend(asked.as_object().unwrap().clone());
        json!({
            "title": "How late the dependency may be", "description": "d",
            "kpis": [{"name": "customers", "provider": provider,
                "objective": {"success-ratio": 0.9}}],
            "phases": {"baseline": "2s"}, "recovery": {"within": "20s"},
            "blast-radius": {"targets-max": 1, "duration-max": "60s", "exclusive-host": true},
            "margin": margin,
            "method": [{"type": "action", "name": "it is late", "provider": {
                "type": "fault", "name": "application.latency", "target": {"host": true},
                "duration": "10s", "arguments": {
                    "proxy": format!("http://{}", self.behind.interface),
                    "route": "dependency", "delay": "20ms"},
            }}],
        })
    }

    fn has_fault(&self) -> bool {
        let toxics = get(self.behind.interface, "/proxies/dependency/toxics");
        toxics.contains("http_delay")
    }
}

/// Each answers on a connection of its own.
fn serve(each: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = each.clone();
            thread::spawn(move || {
                if !head(&stream).is_empty() {
                    each(stream);
                }
            });
        }
    });
    address
}

/// The first line of a request, when the head is there.
fn head(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let _ = lines.find(String::is_empty);
    first
}

fn respond(mut stream: TcpStream, status: &str, body: &str) {
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
}

/// Whether there is an answer in time.
fn asks(address: SocketAddr, patience: Duration) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    stream.set_read_timeout(Some(patience)).unwrap();
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    asked.is_ok() && stream.read_exact(&mut [0]).is_ok()
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// People, each of whom asks again after a pause; until this is dropped.
struct Users {
    are_gone: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Users {
    fn of(address: SocketAddr) -> Self {
        let are_gone = Arc::new(AtomicBool::new(false));
        let threads = (0..12).map(|_| {
            let are_gone = Arc::clone(&are_gone);
            thread::spawn(move || {
                while !are_gone.load(Ordering::Relaxed) {
                    asks(address, Duration::from_secs(5));
                    thread::park_timeout(Duration::from_millis(80));
                }
            })
        });
        Self {
            threads: threads.collect(),
            are_gone,
        }
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.are_gone.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}

/// Generous, for a host that is busy: how soon a source that is well answers is not asked here.
fn of_proxy(world: &World) -> Value {
    json!({"type": "proxy", "url": format!("http://{}", world.front.interface), "proxy": "shop",
        "interval": "200ms", "timeout": "2s", "silence-max": "4s", "idle-max": "20s"})
}

fn of_endpoint(world: &World, silence_max: &str) -> Value {
    let counters = Arc::clone(&world.counters);
    let address = serve(move |stream| {
        if let Some(stand) = counters.stand() {
            respond(stream, "200 OK", &stand.to_string());
        }
    });
    json!({"type": "http", "url": format!("http://{address}/"), "good": "$.good", "bad": "$.bad",
        "interval": "200ms", "timeout": "2s", "silence-max": silence_max, "idle-max": "3s"})
}

/// What it knows is as old as its last scrape.
fn of_prometheus(world: &World) -> Value {
    const SCRAPE: Duration = Duration::from_millis(500);
    let counters = Arc::clone(&world.counters);
    let scraped = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let last = Arc::clone(&scraped);
    thread::spawn(move || {
        loop {
            last[0].store(counters.good.load(Ordering::Relaxed), Ordering::Relaxed);
            last[1].store(counters.bad.load(Ordering::Relaxed), Ordering::Relaxed);
            thread::park_timeout(SCRAPE);
        }
    });
    let began = Instant::now();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let line = head(&stream);
            let at = match line.split_once("time=") {
                Some((_, rest)) => rest.split([' ', '&']).next().unwrap().parse().unwrap(),
                None => began.elapsed().as_secs_f64(),
            };
            let of = usize::from(line.contains("bad_total"));
            let value = scraped[of].load(Ordering::Relaxed).to_string();
            let body = json!({"status": "success", "data": {"resultType": "vector",
                "result": [{"metric": {}, "value": [at, value]}]}});
            respond(stream, "200 OK", &body.to_string());
        }
    });
    json!({"type": "prometheus", "url": format!("http://{address}"), "good": "good_total",
        "bad": "bad_total", "interval": "300ms", "scrape": "1s", "timeout": "2s",
        "silence-max": "4s", "idle-max": "20s"})
}

fn record(place: &Place) -> Value {
    let text = std::fs::read(place.work().join("margin.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn margin(place: &Place, document: &Value) -> (Option<i32>, String) {
    place.file("late.json", &document.to_string());
    let ended = place.run(&["margin", "late.json", "--seed", "1"]);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    (
        ended.status.code(),
        said + &String::from_utf8_lossy(&ended.stderr),
    )
}

/// Bad requests of trials and of the waits after them.
fn spent(record: &Value) -> u64 {
    let journal = record["journal"].as_array().unwrap();
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let of = |entry: &Value| {
        let (trial, recovery) = (&entry["trial"], &entry["recovery"]);
        count(&trial["bad"]) + count(&trial["bad-before"]) + count(&recovery["bad"])
    };
    journal.iter().map(of).sum()
}

#[test]
fn a_search_on_what_passes_a_proxy_finds_the_time_out_and_counts_all_that_it_cost() {
    let place = Place::new();
    let world = World::new(&place);
    let asked = json!({"search": {"non-production": true}});
    let mut document = world.document(&of_proxy(&world), &asked, "500ms");
    let bad_before = world.counters.bad.load(Ordering::Relaxed);
    let (code, said) = margin(&place, &document);
    assert_eq!(code, Some(0), "{said}");
    let kept = record(&place);
    let bad = world.counters.bad.load(Ordering::Relaxed) - bad_before;
    let found = &kept["answer"]["break-point"];
    let (low, high) = (
        found["low"].as_f64().unwrap(),
        found["high"].as_f64().unwrap(),
    );
    // What is added breaks it with what a call takes anyway, which on a busy host is some ms.
    assert!(
        low <= 0.2 * 1e3 && (150.0..400.0).contains(&high),
        "{found}"
    );
    assert!(!world.has_fault());
    assert_eq!(kept["context"]["traffic"], "live");
    let source = kept["context"]["source"].as_str().unwrap();
    assert!(source.contains("counters of the proxy `shop`"), "{source}");
    assert!(said.contains("requests/s of live traffic"), "{said}");
    // None was missed, and none was counted twice, but for those that the proxy tells of later.
    let counted = spent(&kept);
    assert!(counted > 0 && counted <= bad, "{counted} of {bad}");
    assert!(counted * 10 >= bad * 9, "{counted} of {bad}");

    // The same with a budget that cannot hold what is spent between two reads.
    document["margin"]["budget"]["bad-events-per-trial"] = json!(20);
    let (code, said) = margin(&place, &document);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("a trial may spend 20"), "{said}");
    assert_eq!(record(&place)["trials"], json!([]));
}

#[test]
fn a_certificate_is_proven_and_disproven_by_prometheus_as_old_as_its_scrape() {
    let place = Place::new();
    let world = World::new(&place);
    let provider = of_prometheus(&world);
    for (target, code, word) in [("60ms", 0, "proven"), ("600ms", 1, "disproven")] {
        let asked = json!({"at-least": target, "risk": 0.3});
        let document = world.document(&provider, &asked, "500ms");
        let (ended, said) = margin(&place, &document);
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains(&format!("\n{word} ")), "{said}");
        let kept = record(&place);
        for trial in kept["trials"].as_array().unwrap() {
            // It was in place until a scrape of its own time was read, however clear that was.
            let time = trial["reverted"].as_f64().unwrap() - trial["applied"].as_f64().unwrap();
            assert!(time >= 1.0 + 0.3, "{trial}");
        }
        assert!(!world.has_fault());
    }
}

#[test]
fn a_certificate_is_proven_by_an_endpoint() {
    let place = Place::new();
    let world = World::new(&place);
    let provider = of_endpoint(&world, "4s");
    let asked = json!({"at-least": "60ms", "risk": 0.3});
    let (code, said) = margin(&place, &world.document(&provider, &asked, "500ms"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("requests/s of live traffic"), "{said}");
    // A quantile of latencies that it does not count is no normal.
    let asked = json!({"at-least": "3x", "normal": {"quantile": 0.5}});
    let (code, said) = margin(&place, &world.document(&provider, &asked, "500ms"));
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("counts no latencies"), "{said}");
}

/// A search whose first trial is in place, and lasts.
fn in_its_first_trial(place: &Place, world: &World, provider: &Value) -> Child {
    let asked = json!({"at-least": "60ms", "risk": 0.3});
    let document = world.document(provider, &asked, "20s");
    place.file("late.json", &document.to_string());
    let search = place
        .command(&["margin", "late.json", "--seed", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(wait_until(|| world.has_fault()));
    search
}

fn blind(place: &Place, world: &World, ended: ExitStatus, why: &str) {
    let stopped = &record(place)["stopped"];
    assert_eq!(ended.code(), Some(3), "{stopped}");
    assert_eq!(stopped["why"], "sensor", "{stopped}");
    let text = stopped["text"].as_str().unwrap();
    assert!(text.contains(why), "{text}");
    assert!(!world.has_fault(), "it was taken back");
    assert_eq!(record(place)["trials"], json!([]), "it proves nothing");
}

#[test]
fn a_source_that_falls_ill_during_a_trial_ends_it_and_nothing_is_left() {
    let place = Place::new();
    let world = World::new(&place);
    for (how, why) in [
        (SILENT, "nothing could be read for"),
        (FROZEN, "the sensor is stuck"),
        (ANEW, "began anew"),
        (CORRUPT, "the sensor is corrupt"),
    ] {
        world.counters.is.store(WELL, Ordering::Relaxed);
        let provider = of_endpoint(&world, "1s");
        let mut search = in_its_first_trial(&place, &world, &provider);
        world.counters.fall_ill(how);
        blind(&place, &world, search.wait().unwrap(), why);
    }
}

#[test]
fn a_proxy_that_ends_during_a_trial_ends_it_and_nothing_is_left() {
    let place = Place::new();
    let world = World::new(&place);
    let mut search = in_its_first_trial(&place, &world, &of_proxy(&world));
    world.front.signal(Signal::KILL);
    let ended = search.wait().unwrap();
    blind(&place, &world, ended, "nothing could be read for");
}

#[test]
fn a_plan_says_what_a_margin_takes_at_its_source_s_interval() {
    let place = Place::new();
    let world = World::new(&place);
    let mut provider = of_proxy(&world);
    provider["rate"] = json!(100);
    let asked = json!({"search": {"non-production": true}});
    let mut document = world.document(&provider, &asked, "500ms");
    let plan = |document: &Value| {
        place.file("late.json", &document.to_string());
        let planned = place.run(&["plan", "late.json", "--output", "json"]);
        let told: Value = serde_json::from_slice(&planned.stdout).unwrap();
        (planned.status.code(), told)
    };
    // Of the drill itself, a fault of ten seconds, nothing is refused either.
    let (code, told) = plan(&document);
    assert_eq!(code, Some(0), "{told}");
    let margin = &told["margins"][0];
    assert_eq!(margin["unseen"], 100 * (4 + 2), "{margin}");
    assert_eq!(margin["traffic"], "live");
    assert!(margin["seconds"].as_f64().unwrap() > 10.0, "{margin}");
    assert!(margin["trials"][1].as_u64().unwrap() > 0, "{margin}");

    document["margin"]["budget"]["bad-events-per-trial"] = json!(500);
    let (code, told) = plan(&document);
    assert_eq!(code, Some(4), "{told}");
    let why = told["refusals"][0].as_str().unwrap();
    assert!(why.contains("600 until they are seen (6.0 s"), "{why}");

    // So little traffic that the longest trial proves nothing.
    document["kpis"][0]["provider"]["rate"] = json!(0.5);
    document["phases"]["baseline"] = json!("2m");
    document["method"][0]["provider"]["duration"] = json!("2m");
    document["blast-radius"]["duration-max"] = json!("2m");
    let (code, told) = plan(&document);
    assert_eq!(code, Some(4), "{told}");
    let why = told["refusals"].to_string();
    assert!(why.contains("the longest trial sees about 15"), "{why}");
}
