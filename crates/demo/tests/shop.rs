//! The real shop, with real failures and real load. Only processes that a test started are ever
//! signalled, by their identity.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use firedrill_demo::{KeptShop, Shop, ShopConfig, ShopError, Stay, tour};
use firedrill_kernel::{Pidfd, Presence, ProcessIdentity, Signal};
use firedrill_load::{Arrival, LoadConfig, LoadHandle, Window, start};
use serde_json::Value;
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
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nhost: shop\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn backends(shop: &Shop) -> Value {
    let answer = get(shop.addresses().admin, "/backends");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_a_zone_is_survived_after_the_transition_and_the_zone_comes_back() {
    let (shop, _directory) = open(&ShopConfig::default()).await;
    let customers = Customers::come(&shop);
    sleep(2 * SECOND).await;
    let zone = ["web-2-a", "web-2-b"];
    let lost = customers.now();
    signal(&shop, &zone, Signal::Stop);
    sleep(5 * SECOND).await;
    let during = backends(&shop);
    let returned = customers.now();
    signal(&shop, &zone, Signal::Cont);
    let healthy = || {
        zone.iter()
            .all(|name| backends(&shop)[*name]["healthy"] == true)
    };
    until("zone 2 is healthy again", healthy).await;
    let back = customers.now();
    sleep(2 * SECOND).await;
    let after = backends(&shop);
    let end = customers.now();
    let stretches = [
        (Duration::ZERO, lost),
        (lost + 2 * SECOND, returned),
        (back, end),
    ];
    let [before, without, again] = customers.leave(stretches).await;

    assert!(before.success_ratio() >= 0.99, "{before:?}");
    assert!(without.success_ratio() >= 0.99, "{without:?}");
    assert!(again.success_ratio() >= 0.99, "{again:?}");
    for name in zone {
        assert_eq!(during[name]["healthy"], false);
        let requests = |report: &Value| report[name]["requests"].as_u64().unwrap();
        assert!(requests(&during) > 0);
        assert!(
            requests(&after) > requests(&during),
            "{name} gets traffic again"
        );
    }
    assert_eq!(after["web-spare"]["healthy"], true);
    assert_eq!(after["web-spare"]["requests"], 0);
    shop.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_two_zones_overloads_the_third_unless_it_is_twice_as_large() {
    let zones = ["web-1-", "web-2-"];
    for (instances, survives) in [(2, false), (4, true)] {
        let (shop, _directory) = open(&ShopConfig {
            instances,
            ..ShopConfig::default()
        })
        .await;
        let names: Vec<String> = shop.processes().map(|(name, _)| name.to_owned()).collect();
        let lost_names: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| zones.iter().any(|zone| name.starts_with(zone)))
            .collect();
        let customers = Customers::come(&shop);
        sleep(SECOND).await;
        let lost = customers.now();
        signal(&shop, &lost_names, Signal::Stop);
        sleep(5 * SECOND).await;
        let [without] = customers
            .leave([(lost + 2 * SECOND, lost + 5 * SECOND)])
            .await;

        let ratio = without.success_ratio();
        assert_eq!(
            ratio >= 0.99,
            survives,
            "{instances} instances: {without:?}"
        );
        // Full, not dead: it goes on serving what it has the capacity for.
        assert!(ratio > 0.5, "{instances} instances: {without:?}");
        shop.stop().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_payments_checkouts_are_degraded_and_recover() {
    let (shop, _directory) = open(&ShopConfig::default()).await;
    let customers = Customers::come(&shop);
    sleep(SECOND).await;
    let lost = customers.now();
    signal(&shop, &["payments"], Signal::Stop);
    sleep(3 * SECOND).await;
    let returned = customers.now();
    signal(&shop, &["payments"], Signal::Cont);
    sleep(3 * SECOND).await;
    let end = customers.now();
    let half = Duration::from_millis(500);
    let [without, again] = customers
        .leave([(lost + half, returned - half), (returned + SECOND, end)])
        .await;

    assert_eq!(without.good, 0, "{without:?}");
    assert!(without.success_ratio() >= 0.99, "{without:?}");
    assert!(
        again.good as f64 >= 0.99 * (again.good + again.degraded + again.bad) as f64,
        "{again:?}"
    );
    shop.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_degraded_mode_a_checkout_needs_payments() {
    let config = ShopConfig {
        degraded_mode: false,
        ..ShopConfig::default()
    };
    let (shop, _directory) = open(&config).await;
    let router = shop.addresses().router;
    assert!(get(router, "/checkout").starts_with("HTTP/1.0 200"));
    signal(&shop, &["payments"], Signal::Stop);
    assert!(get(router, "/checkout").starts_with("HTTP/1.0 502"));
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
            "payments" | "router" => format!("app=shop,role={name},instance={name}"),
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
    assert_eq!(identities.len(), 9);
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
    let router = shop.addresses().router;
    let identities: Vec<_> = shop
        .processes()
        .map(|(_, pid)| ProcessIdentity::of(pid).unwrap().unwrap())
        .collect();
    shop.keep().unwrap();
    assert!(get(router, "/checkout").starts_with("HTTP/1.0 200"));

    let again = Shop::start(&config, Stay::Kept, exe, directory.path()).await;
    assert!(matches!(again, Err(ShopError::StillKept { .. })));

    let kept = KeptShop::find(directory.path()).unwrap().unwrap();
    assert_eq!(kept.addresses().router, router);
    assert!(kept.is_running());
    assert_eq!(kept.stop().unwrap(), 9);
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
