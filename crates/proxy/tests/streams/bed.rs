//! A fabric with one route, and an upstream that does as the test says.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use firedrill_proxy::message::Protocol;
use firedrill_proxy::stream::{Direction, Kind, StreamFault};
use firedrill_proxy::{Fabric, Options, RouteConfig, Upstream};

pub(crate) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Long enough for anything that is to happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Bed {
    pub(crate) fabric: Fabric,
    pub(crate) address: SocketAddr,
}

impl Bed {
    /// A route to this address.
    pub(crate) fn to(upstream: SocketAddr, faults: Vec<StreamFault>) -> Self {
        Self::open(Upstream::Addresses(vec![upstream]), faults, 1)
    }

    pub(crate) fn open(upstream: Upstream, faults: Vec<StreamFault>, threads: usize) -> Self {
        let fabric = Fabric::start(&Options {
            threads,
            seed: 1,
            arms_most: 1.0,
            busy_poll: Duration::ZERO,
        })
        .expect("a fabric");
        let address = fabric.open(route(upstream, faults)).expect("a route");
        Self { fabric, address }
    }

    /// A route to a server that sends back what it gets.
    pub(crate) fn echo(faults: Vec<StreamFault>) -> Self {
        Self::to(serve(echo), faults)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }
}

pub(crate) fn route(upstream: Upstream, faults: Vec<StreamFault>) -> RouteConfig {
    RouteConfig {
        name: "route".into(),
        listen: ANY,
        upstream,
        connect_timeout: Duration::from_secs(2),
        tls: Default::default(),
        protocol: Protocol::Tcp,
        flows: Default::default(),
        faults: faults.into(),
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream
}

/// A server whose connections are each given to a thread.
pub(crate) fn serve(each: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(ANY).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let each = Arc::new(each);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = Arc::clone(&each);
            thread::spawn(move || each(stream));
        }
    });
    address
}

/// Sends back what comes, and ends when the client has.
pub(crate) fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

pub(crate) fn fault(direction: Direction, kind: Kind) -> StreamFault {
    StreamFault {
        name: "fault".into(),
        direction,
        toxicity: 1.0,
        arm: None,
        kind,
    }
}

/// Bytes that differ from place to place.
pub(crate) fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at % 251) as u8 ^ (at >> 13) as u8)
        .collect()
}

pub(crate) fn ask(stream: &mut TcpStream, question: &[u8]) -> Vec<u8> {
    stream.write_all(question).expect("sent");
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer).expect("an answer");
    answer
}

/// Waits until it is so, at most as long as patience lasts.
pub(crate) fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let begin = std::time::Instant::now();
    while begin.elapsed() < PATIENCE {
        if is_so() {
            return true;
        }
        thread::yield_now();
    }
    false
}
