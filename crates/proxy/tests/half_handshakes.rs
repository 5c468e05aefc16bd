//! Clients that begin to speak TLS and do not go on. Alone in its process, whose memory it looks at.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use firedrill_proxy::message::Protocol;
use firedrill_proxy::tls::Tls;
use firedrill_proxy::tls::authority::Authority;
use firedrill_proxy::tls::names::Names;
use firedrill_proxy::tls::terminate::{Clients, Shown, Terminate};
use firedrill_proxy::{Fabric, Faults, Options, RouteConfig, Upstream};
use rustix::process::{Resource, getrlimit, setrlimit};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const CLIENTS: u64 = 1000;
/// The first bytes of a ClientHello of 508 bytes.
const BEGINNING: [u8; 11] = [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

/// Lets this process have as many descriptors as it may.
fn many_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a limit");
}

/// Bytes that this process has in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("figures");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|text| text.parse::<usize>().ok())
        .expect("a number")
        << 10
}

fn route(name: &str, upstream: SocketAddr, tls: Tls) -> RouteConfig {
    RouteConfig {
        name: name.into(),
        listen: ANY,
        upstream: Upstream::Addresses(vec![upstream]),
        connect_timeout: Duration::from_secs(3),
        tls,
        protocol: Protocol::Tcp,
        flows: Default::default(),
        faults: Faults::default(),
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("an option");
    stream
}

#[test]
fn a_thousand_half_handshakes_cost_next_to_nothing_and_hold_up_nobody() {
    many_descriptors();
    let listener = TcpListener::bind(ANY).expect("a listener");
    let upstream = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _gone = stream.write_all(b"hello");
        }
    });
    let fabric = Fabric::start(&Options {
        threads: 1,
        seed: 1,
        arms_most: 1.0,
        busy_poll: Duration::ZERO,
    })
    .expect("a fabric");
    let clear = fabric
        .open(route("clear", upstream, Tls::None))
        .expect("a route");
    let authority = Arc::new(Authority::new().expect("an authority"));
    let shown = Shown::Made { name: None };
    let ends = Terminate::new(authority, shown, &Clients::All, vec![]).expect("a server");
    let passes = Tls::Pass {
        names: Names::default(),
        others: true,
    };
    for (name, tls) in [("ends", Tls::Terminate(ends.into())), ("passes", passes)] {
        let address = fabric.open(route(name, upstream, tls)).expect("a route");
        let begin = || {
            let mut client = connect(address);
            client.write_all(&BEGINNING).expect("sent");
            client
        };
        let first = begin();
        let before = resident();
        let half: Vec<_> = (1..CLIENTS).map(|_| begin()).collect();
        // The same thread serves others meanwhile.
        let mut answer = [0; 5];
        connect(clear).read_exact(&mut answer).expect("an answer");
        let cost = resident().saturating_sub(before);
        assert!(cost < 4 << 20, "{cost} bytes");
        // After the three seconds that the route gives them, all of them are told.
        for mut client in half.into_iter().chain([first]) {
            let error = client.read(&mut [0]).expect_err("a reset");
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        assert_eq!(fabric.passed(name).expect("a route").failed, CLIENTS);
    }
}
