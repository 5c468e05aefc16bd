//! A fabric with one route for datagrams, and an upstream that does as the test says.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use firedrill_proxy::datagram::{DatagramFault, Kind};
use firedrill_proxy::message::Protocol;
use firedrill_proxy::stream::Direction;
use firedrill_proxy::{Fabric, Faults, FlowLimits, Options, Passed, RouteConfig, Upstream};

pub(crate) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Long enough for anything that is to happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Bed {
    pub(crate) fabric: Fabric,
    pub(crate) address: SocketAddr,
}

impl Bed {
    /// A route to a server that sends back what it gets.
    pub(crate) fn echo(kinds: &[(Direction, Kind)]) -> Self {
        Self::to(
            Upstream::Addresses(vec![echo()]),
            kinds,
            FlowLimits::default(),
        )
    }

    pub(crate) fn to(upstream: Upstream, kinds: &[(Direction, Kind)], flows: FlowLimits) -> Self {
        let options = Options {
            threads: 2,
            seed: 1,
            arms_most: 1.0,
            busy_poll: Duration::ZERO,
        };
        let fabric = Fabric::start(&options).expect("a fabric");
        let address = fabric
            .open(RouteConfig {
                name: "route".into(),
                listen: ANY,
                upstream,
                connect_timeout: Duration::from_secs(2),
                tls: Default::default(),
                protocol: Protocol::Udp,
                flows,
                faults: faults(kinds),
            })
            .expect("a route");
        Self { fabric, address }
    }

    pub(crate) fn change(&self, kinds: &[(Direction, Kind)]) {
        let changed = self.fabric.change("route", faults(kinds));
        changed.expect("a route");
    }

    pub(crate) fn passed(&self) -> Passed {
        self.fabric.passed("route").expect("a route")
    }

    pub(crate) fn client(&self) -> UdpSocket {
        let client = UdpSocket::bind(ANY).expect("a socket");
        client.connect(self.address).expect("an address");
        client.set_read_timeout(Some(PATIENCE)).expect("an option");
        client
    }
}

fn faults(kinds: &[(Direction, Kind)]) -> Faults {
    let datagrams = kinds
        .iter()
        .enumerate()
        .map(|(at, (direction, kind))| DatagramFault {
            name: format!("fault {at}").into(),
            direction: *direction,
            toxicity: 1.0,
            arm: None,
            kind: *kind,
        });
    Faults {
        datagrams: datagrams.collect(),
        ..Faults::default()
    }
}

pub(crate) fn echo() -> SocketAddr {
    let server = UdpSocket::bind(ANY).expect("a socket");
    let address = server.local_addr().expect("an address");
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            let _gone = server.send_to(&buffer[..length], from);
        }
    });
    address
}

pub(crate) fn ask(client: &UdpSocket, question: &[u8]) -> Vec<u8> {
    client.send(question).expect("sent");
    let mut answer = vec![0; 1 << 16];
    let length = client.recv(&mut answer).expect("an answer");
    answer.truncate(length);
    answer
}

/// Sends so many numbers, and says which came back. A few at a time, so that no buffer overflows,
/// with so many markers behind them that one comes: then all that is to come has come.
pub(crate) fn come_back(client: &UdpSocket, count: u32) -> Vec<u32> {
    const MARKER: u32 = u32::MAX;
    let mut all = Vec::new();
    for (round, few) in (0..count).collect::<Vec<_>>().chunks(20).enumerate() {
        let marker = MARKER - round as u32;
        for number in few.iter().chain(&[marker; 20]) {
            client.send(&number.to_be_bytes()).expect("sent");
        }
        loop {
            let mut answer = [0; 4];
            client.recv(&mut answer).expect("at least a marker");
            match u32::from_be_bytes(answer) {
                number if number == marker => break,
                number if number < count => all.push(number),
                _marker_of_before => {}
            }
        }
    }
    all
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
