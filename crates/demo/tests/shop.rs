//! The real shop, with real failures and real load. Only processes that a test started are ever
//! signalled, by their identity.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use firedrill_demo::{KeptShop, Shop, ShopConfig, ShopError, Stay, tour};
use firedrill_kernel::{Pidfd, Presence, ProcessIdentity, Signal};
use firedrill_load::{Arrival, LoadConfig, LoadHandle, Window, start};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

const EXE: &str = env!("CARGO_BIN_EXE_shop-process");

async fn open(config: &ShopConfig) -> (Shop, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::start(config, Stay::WithUs, Path::new(EXE), directory.path());
    (shop.await.unwrap(), directory)
}

fn signal(shop: &Shop, names: &[&str], signal: Signal) {
    for (name, pid) in shop.processes() {
        if names.contains(&name) {
            let identity = ProcessIdentity::of(pid).unwrap().unwrap();
            Pidfd::open(&identity)
                .unwrap()
                .unwrap()
                .send(signal)
                .unwrap();
        }
    }
}

/// The tour's load, with the moment it began.
struct Customers {
    began: Instant,
    load: LoadHandle,
    windows: mpsc::UnboundedReceiver<Window>,
}

/// Good, degraded and bad checkouts.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    good: u64,
    degraded: u64,
    bad: u64,
}

impl Counts {
    fn success_ratio(self) -> f64 {
        let served = self.good + self.degraded;
        served as f64 / (served + self.bad) as f64
    }
}

impl Customers {
    fn come(shop: &Shop) -> Self {
        let mut config = LoadConfig::get(shop.addresses().checkout_url(), tour::RATE);
        config.arrival = Arrival::Poisson;
        config.connections = 128;
        config.degraded_header = Some("x-degraded".to_owned());
        let (sender, windows) = mpsc::unbounded_channel();
        let load = start(&config, sender).unwrap();
        Customers {
            began: Instant::now(),
            load,
            windows,
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends the load, and counts what was sent within each of these stretches of time.
    async fn leave<const N: usize>(mut self, stretches: [(Duration, Duration); N]) -> [Counts; N] {
        self.load.stop().await;
        let mut counts = [Counts::default(); N];
        while let Some(window) = self.windows.recv().await {
            for ((from, until), counts) in stretches.iter().zip(&mut counts) {
                if window.start >= *from && window.start + window.length <= *until {
                    counts.good += window.good;
                    counts.degraded += window.degraded;
                    counts.bad += window.bad;
                }
            }
        }
        counts
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(
        address,
        &format!("GET {path} HTTP/1.0\r\nhost: shop\r\n\r\n"),
    )
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What the shop's proxy knows of the places that a route leads to.
fn endpoints(shop: &Shop, route: &str) -> Vec<Value> {
    let answer = get(
        shop.addresses().proxy,
        &format!("/proxies/{route}/endpoints"),
    );
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// What it knows of the web instances, by name.
fn instances(shop: &Shop) -> BTreeMap<String, Value> {
    let endpoints = endpoints(shop, "web");
    let web = shop.addresses().web.iter();
    let named = web.map(|(name, web)| {
        let address = Value::from(web.address.to_string());
        let mut endpoints = endpoints.iter();
        let endpoint = endpoints.find(|endpoint| endpoint["address"] == address);
        (name.clone(), endpoint.unwrap().clone())
    });
    named.collect()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Runs a trial of what the shop can bear, alone among these tests, and up to three times: a
/// machine that is busy with something else can only make the shop look worse than it is.
async fn best_of_three(trial: impl AsyncFn() -> Result<(), String>) {
    let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shop-under-load.lock");
    let lock = std::fs::File::create(lock).unwrap();
    lock.lock().unwrap();
    let mut failures = Vec::new();
    while failures.len() < 3 {
        match trial().await {
            Ok(()) => return,
            Err(failure) => failures.push(failure),
        }
    }
    panic!("three times in a row: {failures:#?}");
}

fn survived(what: &str, counts: Counts) -> Result<(), String> {
    if counts.success_ratio() >= 0.99 {
        Ok(())
    } else {
        Err(format!("{what}: {counts:?}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_a_zone_is_survived_after_the_transition_and_the_zone_comes_back() {
    best_of_three(lose_zone_2).await;
}

async fn lose_zone_2() -> Result<(), String> {
    let (shop, _directory) = open(&ShopConfig::default()).await;
    let customers = Customers::come(&shop);
    sleep(2 * SECOND).await;
    let zone = ["web-2-a", "web-2-b"];
    let lost = customers.now();
    signal(&shop, &zone, Signal::Stop);
    sleep(5 * SECOND).await;
    let during = instances(&shop);
    let returned = customers.now();
    signal(&shop, &zone, Signal::Cont);
    let healthy = || {
        zone.iter()
            .all(|name| instances(&shop)[*name]["healthy"] == true)
    };
    until("zone 2 is healthy again", healthy).await;
    let back = customers.now();
    sleep(2 * SECOND).await;
    let after = instances(&shop);
    let end = customers.now();
    let stretches = [
        (Duration::ZERO, lost),
        (lost + 2 * SECOND, returned),
        (back, end),
    ];
    let [before, without, again] = customers.leave(stretches).await;

    for name in zone {
        assert_eq!(during[name]["healthy"], false);
        let requests =
            |all: &BTreeMap<String, Value>| all[name]["connections_total"].as_u64().unwrap();
        assert!(requests(&during) > 0);
        assert!(
            requests(&after) > requests(&during),
            "{name} gets traffic again"
        );
    }
    assert_eq!(after["web-spare"]["healthy"], true);
    assert_eq!(after["web-spare"]["connections_total"], 0);
    shop.stop().unwrap();
    survived("before", before)?;
    survived("without zone 2", without)?;
    survived("with zone 2 again", again)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_two_zones_overloads_the_third() {
    best_of_three(async || {
        let without = lose_zones_1_and_2(2).await;
        assert!(without.success_ratio() < 0.99, "{without:?}");
        // Full, not dead: it goes on serving what it has the capacity for.
        if without.success_ratio() > 0.5 {
            Ok(())
        } else {
            Err(format!("{without:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_two_zones_is_survived_when_the_third_is_twice_as_large() {
    best_of_three(async || survived("with 4 instances", lose_zones_1_and_2(4).await)).await;
}

/// What became of checkouts from 2 s after the loss on.
async fn lose_zones_1_and_2(instances: u32) -> Counts {
    let (shop, _directory) = open(&ShopConfig {
        instances,
        ..ShopConfig::default()
    })
    .await;
    let names: Vec<String> = shop.processes().map(|(name, _)| name.to_owned()).collect();
    let lost_names: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with("web-1-") || name.starts_with("web-2-"))
        .collect();
    let customers = Customers::come(&shop);
    sleep(SECOND).await;
    let lost = customers.now();
    signal(&shop, &lost_names, Signal::Stop);
    sleep(5 * SECOND).await;
    let [without] = customers
        .leave([(lost + 2 * SECOND, lost + 5 * SECOND)])
        .await;
    shop.stop().unwrap();
    without
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_payments_checkouts_are_degraded_and_recover() {
    best_of_three(lose_payments).await;
}

async fn lose_payments() -> Result<(), String> {
    let (shop, _directory) = open(&ShopConfig::default()).await;
    let customers = Customers::come(&shop);
    sleep(SECOND).await;
    let lost = customers.now();
    signal(&shop, &["payments"], Signal::Stop);
    sleep(3 * SECOND).await;
    // About 38 calls wait at a time. If the proxy kept those that were given up, it would be 750.
    let waiting = endpoints(&shop, "payments")[0]["connections"].clone();
    assert!(waiting.as_u64().unwrap() < 300, "{waiting} connections");
    let returned = customers.now();
    signal(&shop, &["payments"], Signal::Cont);
    sleep(3 * SECOND).await;
    let end = customers.now();
    let half = Duration::from_millis(500);
    let stretches = [(lost + half, returned - half), (returned + SECOND, end)];
    let [without, again] = customers.leave(stretches).await;

    assert_eq!(without.good, 0, "{without:?}");
    assert!(without.degraded > 0, "{without:?}");
    shop.stop().unwrap();
    survived("without payments", without)?;
    let Counts {
        good,
        degraded,
        bad,
    } = again;
    survived(
        "in full again",
        Counts {
            good,
            degraded: 0,
            bad: bad + degraded,
        },
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_degraded_mode_a_checkout_needs_payments() {
    let config = ShopConfig {
        degraded_mode: false,
        ..ShopConfig::default()
    };
    let (shop, _directory) = open(&config).await;
    let gateway = shop.addresses().gateway;
    assert!(get(gateway, "/checkout").starts_with("HTTP/1.0 200"));
    signal(&shop, &["payments"], Signal::Stop);
    assert!(get(gateway, "/checkout").starts_with("HTTP/1.0 502"));
    shop.stop().unwrap();
}

/// Puts a toxic on one of the shop's routes, as anybody can.
fn disturb(shop: &Shop, route: &str, toxic: &Value) {
    let body = toxic.to_string();
    let length = body.len();
    let head = format!("POST /proxies/{route}/toxics HTTP/1.0\r\ncontent-length: {length}");
    let answer = ask(shop.addresses().proxy, &format!("{head}\r\n\r\n{body}"));
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_toxic_on_the_shops_proxy_is_on_its_live_requests() {
    // A busy machine is not to be what degrades a checkout.
    let patient = ShopConfig {
        payments_timeout: 5 * SECOND,
        try_timeout: 8 * SECOND,
        ..ShopConfig::default()
    };
    let (shop, _directory) = open(&patient).await;
    let gateway = shop.addresses().gateway;
    assert!(!get(gateway, "/checkout").contains("x-degraded"));
    disturb(&shop, "payments", &json!({"type": "http_abort"}));
    let degraded = get(gateway, "/checkout");
    assert!(degraded.starts_with("HTTP/1.0 200"), "{degraded}");
    assert!(degraded.contains("x-degraded: payments"), "{degraded}");
    let marked = json!({"status": 418, "headers": {"x-user": "7"}});
    disturb(
        &shop,
        "web",
        &json!({"type": "http_abort", "attributes": marked}),
    );
    let of_user = |user: u32| {
        let head = format!("GET /checkout HTTP/1.0\r\nx-user: {user}");
        ask(gateway, &format!("{head}\r\n\r\n"))
    };
    assert!(of_user(7).starts_with("HTTP/1.0 418"));
    assert!(of_user(8).starts_with("HTTP/1.0 200"));
    shop.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_is_labelled_for_selectors() {
    let (shop, _directory) = open(&ShopConfig::default()).await;
    for (name, pid) in shop.processes() {
        let environment = firedrill_kernel::process::environment(pid)
            .unwrap()
            .unwrap();
        let labels: Vec<&str> = environment
            .iter()
            .filter_map(|variable| variable.strip_prefix("FIREDRILL_LABELS="))
            .collect();
        let expected = match name {
            "payments" | "proxy" | "gateway" => format!("app=shop,role={name},instance={name}"),
            "web-spare" => "app=shop,role=web,zone=3,instance=web-spare".to_owned(),
            web => format!("app=shop,role=web,zone={},instance={web}", &web[4..5]),
        };
        assert_eq!(labels, [expected]);
    }
    shop.stop().unwrap();
}

#[test]
fn a_killed_parent_leaves_nothing_behind_not_even_what_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let mut parent = Command::new(EXE)
        .arg("start")
        .arg(directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let pids: Vec<u32> = serde_json::from_str(&line).unwrap();
    let identities: Vec<_> = pids
        .iter()
        .map(|pid| ProcessIdentity::of(*pid).unwrap().unwrap())
        .collect();
    assert_eq!(identities.len(), 10);
    let stopped = Pidfd::open(&identities[3]).unwrap().unwrap();
    stopped.send(Signal::Stop).unwrap();
    let watched: Vec<_> = identities
        .iter()
        .map(|identity| Pidfd::open(identity).unwrap().unwrap())
        .collect();

    parent.kill().unwrap();
    parent.wait().unwrap();

    for (process, identity) in watched.iter().zip(&identities) {
        assert!(
            process.wait_for_exit(Duration::from_secs(20)).unwrap(),
            "{identity}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_shop_goes_on_until_it_is_stopped_through_its_state_file() {
    let directory = tempfile::tempdir().unwrap();
    let (exe, config) = (Path::new(EXE), ShopConfig::default());
    let shop = Shop::start(&config, Stay::Kept, exe, directory.path())
        .await
        .unwrap();
    let gateway = shop.addresses().gateway;
    let identities: Vec<_> = shop
        .processes()
        .map(|(_, pid)| ProcessIdentity::of(pid).unwrap().unwrap())
        .collect();
    shop.keep().unwrap();
    assert!(get(gateway, "/checkout").starts_with("HTTP/1.0 200"));

    let again = Shop::start(&config, Stay::Kept, exe, directory.path()).await;
    assert!(matches!(again, Err(ShopError::StillKept { .. })));

    let kept = KeptShop::find(directory.path()).unwrap().unwrap();
    assert_eq!(kept.addresses().gateway, gateway);
    assert!(kept.is_running());
    assert_eq!(kept.stop().unwrap(), 10);
    for identity in identities {
        assert_eq!(identity.presence().unwrap(), Presence::Gone);
    }
    assert!(KeptShop::find(directory.path()).unwrap().is_none());
}

#[tokio::test]
async fn a_dropped_shop_ends_its_processes_and_cannot_be_kept() {
    for keep in [false, true] {
        let (shop, _directory) = open(&ShopConfig::default()).await;
        let processes = shop.processes();
        let identities: Vec<_> = processes
            .map(|(_, pid)| ProcessIdentity::of(pid).unwrap().unwrap())
            .collect();
        signal(&shop, &["web-1-a"], Signal::Stop);
        if keep {
            assert!(matches!(shop.keep(), Err(ShopError::NotKept { .. })));
        } else {
            drop(shop);
        }
        for identity in identities {
            assert_eq!(identity.presence().unwrap(), Presence::Gone);
        }
    }
}

#[tokio::test]
async fn a_process_that_does_not_start_is_named_with_the_end_of_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let config = ShopConfig::default();
    let taken = std::net::TcpListener::bind("127.0.100.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = ShopConfig { port, ..config };
    let failed = Shop::start(&config, Stay::WithUs, Path::new(EXE), directory.path()).await;
    let error = failed.unwrap_err().to_string();
    assert!(error.starts_with("payments ended by itself"), "{error}");
    assert!(error.contains("cannot listen on 127.0.100.1"), "{error}");
}
