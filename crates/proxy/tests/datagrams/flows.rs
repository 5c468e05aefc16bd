use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use firedrill_proxy::{FlowLimits, Upstream};

use crate::bed::{ANY, Bed, ask, echo, eventually};

#[test]
fn datagrams_of_any_size_pass_as_they_are() {
    let bed = Bed::echo(&[]);
    let client = bed.client();
    let text: Vec<u8> = (0..65_507_u32).map(|at| (at % 251) as u8).collect();
    for size in [0, 1, 2, 100, 1472, 1473, 9000, 65_507] {
        assert!(ask(&client, &text[..size]) == text[..size], "{size}");
    }
    let passed = bed.passed();
    assert_eq!((passed.connections, passed.open, passed.failed), (1, 1, 0));
    assert_eq!(passed.upstream.received, 77_555);
    // The client may have its answer before it is counted.
    assert!(eventually(|| bed.passed().downstream.sent == 77_555));
}

#[test]
fn datagrams_keep_their_order_and_their_borders() {
    let bed = Bed::echo(&[]);
    let client = bed.client();
    let mut buffer = [0; 100];
    for round in 0..100_u8 {
        for each in 0..20_u8 {
            client
                .send(&vec![each; usize::from(each) + 1])
                .expect("sent");
        }
        for each in 0..20_u8 {
            let length = client.recv(&mut buffer).expect("an answer");
            assert_eq!(
                buffer[..length],
                vec![each; usize::from(each) + 1],
                "{round}"
            );
        }
    }
}

#[test]
fn each_client_has_a_flow_of_its_own() {
    let bed = Bed::echo(&[]);
    let clients: Vec<UdpSocket> = (0..50).map(|_| bed.client()).collect();
    for (number, client) in clients.iter().enumerate() {
        client.send(&number.to_be_bytes()).expect("sent");
    }
    for (number, client) in clients.iter().enumerate() {
        let mut answer = [0; 8];
        assert_eq!(client.recv(&mut answer).expect("an answer"), 8);
        assert_eq!(usize::from_be_bytes(answer), number);
    }
    assert_eq!(bed.passed().open, 50);
}

#[test]
fn a_flow_that_is_idle_ends_and_its_client_begins_another() {
    let flows = FlowLimits {
        idle: Duration::from_millis(200),
        most: 100,
    };
    let bed = Bed::to(Upstream::Addresses(vec![echo()]), &[], flows);
    let client = bed.client();
    ask(&client, b"question");
    assert!(eventually(|| bed.passed().open == 0));
    ask(&client, b"question");
    assert_eq!(bed.passed().connections, 2);
}

#[test]
fn no_more_flows_are_there_than_are_let() {
    let flows = FlowLimits {
        most: 32,
        ..FlowLimits::default()
    };
    let bed = Bed::to(Upstream::Addresses(vec![echo()]), &[], flows);
    let clients: Vec<UdpSocket> = (0..200).map(|_| bed.client()).collect();
    for client in &clients {
        assert_eq!(ask(client, b"question"), b"question");
        assert!(bed.passed().open <= 32);
    }
    // The first was idle for longest: it is another flow now.
    assert_eq!(ask(&clients[0], b"question"), b"question");
    assert_eq!(bed.passed().connections, 201);
}

#[test]
fn what_comes_before_the_address_is_known_waits_for_it() {
    let upstream = Upstream::Name {
        host: "localhost".into(),
        port: echo().port(),
    };
    let bed = Bed::to(upstream, &[], FlowLimits::default());
    let client = bed.client();
    for each in 0..10_u8 {
        client.send(&[each]).expect("sent");
    }
    for each in 0..10_u8 {
        let mut answer = [0; 8];
        assert_eq!(client.recv(&mut answer).expect("an answer"), 1);
        assert_eq!(answer[0], each);
    }
}

#[test]
fn an_upstream_that_is_not_there_yet_is_reached_when_it_is() {
    let place = UdpSocket::bind(ANY)
        .and_then(|s| s.local_addr())
        .expect("an address");
    let bed = Bed::to(Upstream::Addresses(vec![place]), &[], FlowLimits::default());
    let client = bed.client();
    client.send(b"lost").expect("sent");
    assert!(eventually(|| bed.passed().upstream.sent == 4));
    let server = UdpSocket::bind(place).expect("the address");
    client.send(b"question").expect("sent");
    let mut buffer = [0; 100];
    let (length, _) = server.recv_from(&mut buffer).expect("a question");
    assert_eq!(&buffer[..length], b"question");
}

#[test]
fn a_name_that_nobody_has_is_told_as_failed() {
    let upstream = Upstream::Name {
        host: "no-such-host.invalid".into(),
        port: 53,
    };
    let bed = Bed::to(upstream, &[], FlowLimits::default());
    bed.client().send(b"question").expect("sent");
    assert!(eventually(
        || bed.passed().failed == 1 && bed.passed().open == 0
    ));
}

#[test]
fn a_route_that_is_closed_frees_its_address() {
    let bed = Bed::echo(&[]);
    let client = bed.client();
    ask(&client, b"question");
    bed.fabric.close("route").expect("a route");
    UdpSocket::bind(bed.address).expect("a free address");
    // TCP never had it.
    TcpListener::bind(bed.address).expect("a free address");
}
