//! Servers of our own, on ports and in directories of their own, and routes to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use firedrill_proxy::message::{Kind, MessageFault, Protocol};
use firedrill_proxy::stream::Latency;
use firedrill_proxy::{Fabric, Faults, Options, RouteConfig, Upstream};
use firedrill_worker::queue::distribution::Distribution;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// A busy host may take this long for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _child: Child,
    _home: tempfile::TempDir,
}

impl Server {
    /// Starts it, and waits until it listens.
    pub(crate) async fn start(
        mut command: Command,
        address: SocketAddr,
        home: tempfile::TempDir,
    ) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a server");
        let start = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "the server has ended: {ended:?}");
            assert!(start.elapsed() < PATIENCE, "nothing listens on {address}");
            sleep(Duration::from_millis(20)).await;
        }
        Self {
            address,
            _child: child,
            _home: home,
        }
    }
}

/// The first of these programs that is there.
pub(crate) fn program(name: &str, places: &[PathBuf]) -> Option<PathBuf> {
    let usual = ["/usr/bin", "/usr/sbin", "/usr/local/bin"].map(PathBuf::from);
    let all = places.iter().chain(&usual).map(|place| place.join(name));
    let found = all.into_iter().find(|file| file.exists());
    if found.is_none() {
        println!("skipped: {name} is not installed");
    }
    found
}

/// A port that nobody has just now.
pub(crate) fn free_address() -> SocketAddr {
    let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let listener = std::net::TcpListener::bind(any).expect("a listener");
    listener.local_addr().expect("an address")
}

pub(crate) fn fault(name: &str, share: f64, kind: Kind) -> MessageFault {
    MessageFault {
        name: name.into(),
        share,
        arm: None,
        kind,
    }
}

pub(crate) fn delay(delay: Duration) -> Latency {
    Latency {
        delay,
        jitter: Duration::ZERO,
        distribution: Distribution::Uniform,
        correlation: 0.0,
    }
}

pub(crate) fn fabric() -> Fabric {
    Fabric::start(&Options {
        threads: 1,
        seed: 7,
        arms_most: 1.0,
        busy_poll: Duration::ZERO,
    })
    .expect("a fabric")
}

/// A way to the server with these faults.
pub(crate) fn route(
    fabric: &Fabric,
    name: &str,
    server: &Server,
    protocol: Protocol,
    messages: Vec<MessageFault>,
) -> SocketAddr {
    fabric
        .open(RouteConfig {
            name: name.into(),
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
            upstream: Upstream::Addresses(vec![server.address]),
            connect_timeout: Duration::from_secs(5),
            tls: Default::default(),
            flows: Default::default(),
            protocol,
            faults: Faults {
                messages,
                ..Faults::default()
            },
        })
        .expect("a route")
}

/// Runs a client to its end.
pub(crate) async fn run(program: &Path, words: &[&str]) -> Output {
    run_with(program, words, "").await
}

/// Runs a client that reads this to its end.
pub(crate) async fn run_with(program: &Path, words: &[&str], input: &str) -> Output {
    let mut client = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("PGCONNECT_TIMEOUT", "30")
        .kill_on_drop(true)
        .spawn()
        .expect("a client");
    let mut stdin = client.stdin.take().expect("its input");
    let running = async {
        // One that has ended reads nothing.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        client.wait_with_output().await
    };
    let output = timeout(PATIENCE * 2, running).await;
    output.expect("an end in time").expect("an output")
}

pub(crate) fn told(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}
