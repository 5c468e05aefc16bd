//! The same through real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use firedrill_proxy::chance::Chance;
use firedrill_proxy::message::{MessageFault, Protocol};
use firedrill_proxy::{Fabric, Faults, Options, RouteConfig, Upstream};
use tokio::net::{TcpListener, TcpStream};

use super::peers::{begin, serve};
use super::requests::{busy, faults, text};

/// Keeps the draws of a connection's messages apart.
const MESSAGES: u64 = 2;

pub(crate) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The messages of a connection.
pub(crate) fn chance(connection: u64) -> Chance {
    Chance::new(3).named("shop").of(connection).of(MESSAGES)
}

/// A fabric with a route to there.
pub(crate) fn open(upstream: SocketAddr, messages: Vec<MessageFault>) -> (Fabric, SocketAddr) {
    let fabric = Fabric::start(&Options {
        threads: 1,
        seed: 3,
        arms_most: 1.0,
        busy_poll: Duration::ZERO,
    });
    let fabric = fabric.expect("a fabric");
    let config = RouteConfig {
        name: "shop".into(),
        listen: ANY,
        upstream: Upstream::Addresses(vec![upstream]),
        connect_timeout: Duration::from_secs(5),
        tls: Default::default(),
        flows: Default::default(),
        protocol: Protocol::Http2,
        faults: Faults {
            messages,
            ..Faults::default()
        },
    };
    let address = fabric.open(config).expect("a route");
    (fabric, address)
}

#[tokio::test]
async fn requests_through_real_sockets_meet_the_same_faults() {
    let listener = TcpListener::bind(ANY).await.expect("a listener");
    let upstream = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, 65_535));
        }
    });
    let page = Bytes::from(text(0, 100_000));
    let messages = faults(&page);
    let (fabric, address) = open(upstream, messages.clone());
    for number in 0..3 {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let mut client = begin(stream, 65_535).await;
        busy(&mut client, chance(number), &messages, &page, 100).await;
    }
    let requests = fabric.requests("shop", None).expect("a route");
    assert_eq!(requests.well + requests.badly, 300, "{requests:?}");
    assert!(requests.ours > 0 && requests.ours < requests.badly + requests.well);
}
