use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use firedrill_proxy::group::{Endpoint, Group, Which};
use firedrill_proxy::{Drained, RouteError, Upstream};

use crate::bed::{Bed, ask, connect, echo, eventually, route, serve};

#[test]
fn a_route_that_is_closed_resets_its_connections_and_frees_its_address() {
    let bed = Bed::echo(vec![]);
    let mut client = bed.connect();
    ask(&mut client, b"question");
    bed.fabric.close("route").expect("a route");
    let error = client.read(&mut [0; 8]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(TcpStream::connect(bed.address).is_err());
    TcpListener::bind(bed.address).expect("a free address");
}

#[test]
fn a_name_is_taken_once_and_an_address_too() {
    let bed = Bed::echo(vec![]);
    let upstream = Upstream::Addresses(vec![bed.address]);
    let again = bed.fabric.open(route(upstream.clone(), vec![]));
    assert!(matches!(again, Err(RouteError::Exists { .. })));
    let mut other = route(upstream, vec![]);
    other.name = "other".into();
    other.listen = bed.address;
    assert!(matches!(
        bed.fabric.open(other),
        Err(RouteError::Listen { .. })
    ));
}

#[test]
fn what_is_not_there_is_said_not_to_be() {
    let bed = Bed::echo(vec![]);
    for unknown in [
        bed.fabric.close("other").err(),
        bed.fabric.change("other", vec![]).err(),
        bed.fabric.passed("other").err(),
    ] {
        assert!(matches!(unknown, Some(RouteError::Unknown { .. })));
    }
}

#[test]
fn a_name_is_looked_up_beside_the_connections_that_run() {
    let server = serve(echo);
    let upstream = Upstream::Name {
        host: "localhost".into(),
        port: server.port(),
    };
    let bed = Bed::open(upstream, vec![], 1);
    assert_eq!(ask(&mut bed.connect(), b"question"), b"question");
}

#[test]
fn a_name_that_nobody_has_is_a_reset() {
    let upstream = Upstream::Name {
        host: "no-such-host.invalid".into(),
        port: 80,
    };
    let bed = Bed::open(upstream, vec![], 1);
    let error = bed.connect().read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(bed.fabric.passed("route").expect("a route").failed, 1);
}

/// An address whose queue of connections is full: a SYN is dropped there, and nobody answers. For as
/// long as both are kept.
fn silent() -> (SocketAddr, (OwnedFd, TcpStream)) {
    let full = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .expect("a socket");
    rustix::net::bind(&full, &crate::bed::ANY).expect("an address");
    rustix::net::listen(&full, 0).expect("a queue");
    let address = rustix::net::getsockname(&full).expect("a name");
    let address = SocketAddr::try_from(address).expect("an address");
    let fill = TcpStream::connect(address).expect("the only place");
    (address, (full, fill))
}

#[test]
fn an_upstream_that_does_not_answer_holds_up_only_its_own() {
    let (address, _full) = silent();
    let bed = Bed::to(address, vec![]);
    let stuck = bed.connect();
    let mut other = route(Upstream::Addresses(vec![serve(echo)]), vec![]);
    other.name = "other".into();
    let other = bed.fabric.open(other).expect("a route");
    assert_eq!(ask(&mut connect(other), b"question"), b"question");
    // Two seconds later it is told.
    let error = (&stuck).read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_drain_with_a_reset_ends_dials_under_way_too() {
    let (address, _full) = silent();
    let endpoint = |address, zone: &str| Endpoint {
        address,
        zone: Some(zone.into()),
    };
    let endpoints = vec![endpoint(address, "a"), endpoint(serve(echo), "b")];
    let group = Arc::new(Group::new(endpoints, Some("a"), None));
    let bed = Bed::open(Upstream::Group(Arc::clone(&group)), vec![], 1);
    let mut client = bed.connect();
    assert!(eventually(|| group.states()[0].connections == 1));
    let zone = Which::Zone("a".into());
    let drained = bed.fabric.drain("route", &zone, Drained::AndReset);
    drained.expect("another zone is left");
    let states = group.states();
    // Nobody waits until the silent one has had its second.
    assert_eq!((states[0].connections, states[1].connections), (0, 1));
    assert_eq!(ask(&mut client, b"question"), b"question");
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    let closed = TcpListener::bind(crate::bed::ANY)
        .and_then(|l| l.local_addr())
        .expect("a port");
    let upstream = Upstream::Addresses(vec![closed, serve(echo)]);
    let bed = Bed::open(upstream, vec![], 1);
    assert_eq!(ask(&mut bed.connect(), b"question"), b"question");
}

#[test]
fn a_fabric_that_is_dropped_leaves_nothing_open() {
    let bed = Bed::echo(vec![]);
    let mut client = bed.connect();
    ask(&mut client, b"question");
    drop(bed.fabric);
    let _reset = client.write_all(b"question");
    assert!(eventually(|| client.write_all(b"?").is_err()));
}
