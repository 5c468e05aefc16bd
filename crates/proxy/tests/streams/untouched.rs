use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::Duration;

use firedrill_proxy::stream::Direction::Downstream;
use firedrill_proxy::stream::Kind;

use crate::bed::{ANY, Bed, ask, eventually, fault, serve, text};

#[test]
fn every_byte_passes_as_it_is_in_both_directions_at_once() {
    for faults in [vec![], vec![fault(Downstream, Kind::Noop)]] {
        let bed = Bed::echo(faults);
        let mut client = bed.connect();
        let sent = text(30_000_000);
        let mut writer = client.try_clone().expect("a clone");
        let to_send = sent.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&to_send).expect("sent");
            writer.shutdown(Shutdown::Write).expect("ended");
        });
        let mut got = Vec::new();
        client.read_to_end(&mut got).expect("all of it");
        writing.join().expect("a writer");
        assert!(got == sent);
        let passed = bed.fabric.passed("route").expect("a route");
        assert_eq!(passed.upstream.received, 30_000_000);
        assert_eq!(passed.downstream.sent, 30_000_000);
    }
}

#[test]
fn an_end_in_one_direction_leaves_the_other_open() {
    let server = serve(|mut stream| {
        // Answers when it has heard everything, and not before.
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("a question");
        stream
            .write_all(&all.len().to_be_bytes())
            .expect("an answer");
    });
    let bed = Bed::to(server, vec![]);
    let mut client = bed.connect();
    client.write_all(&text(100_000)).expect("sent");
    client.shutdown(Shutdown::Write).expect("ended");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an answer");
    assert_eq!(answer, 100_000_usize.to_be_bytes());
}

#[test]
fn the_end_of_the_server_reaches_a_client_that_goes_on_sending() {
    let (tell, told) = std::sync::mpsc::channel();
    let server = serve(move |mut stream| {
        stream.write_all(b"that was all").expect("sent");
        stream.shutdown(Shutdown::Write).expect("ended");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("a question");
        tell.send(all).expect("told");
    });
    let bed = Bed::to(server, vec![]);
    let mut client = bed.connect();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an answer");
    assert_eq!(answer, b"that was all");
    client.write_all(b"but I go on").expect("sent");
    client.shutdown(Shutdown::Write).expect("ended");
    assert_eq!(told.recv().expect("told"), b"but I go on");
}

#[test]
fn a_server_that_is_done_at_once_ends_for_each_of_many_clients() {
    let server = serve(|mut stream| {
        stream.write_all(b"that was all").expect("sent");
        stream.shutdown(Shutdown::Write).expect("ended");
        stream.read_to_end(&mut Vec::new()).expect("an end");
    });
    let bed = Bed::to(server, vec![]);
    // While the proxy dials for the last, the server is done with the first.
    for _ in 0..10 {
        let clients: Vec<_> = (0..100).map(|_| bed.connect()).collect();
        for mut client in clients {
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect("an answer");
            assert_eq!(answer, b"that was all");
        }
    }
}

#[test]
fn a_reset_of_the_server_is_a_reset_for_the_client() {
    let server = serve(|stream| {
        let mut byte = [0];
        (&stream).read_exact(&mut byte).expect("a byte");
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("an option");
    });
    let bed = Bed::to(server, vec![]);
    let mut client = bed.connect();
    client.write_all(b"?").expect("sent");
    let error = client.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_reset_of_the_client_is_a_reset_for_the_server() {
    let (tell, told) = std::sync::mpsc::channel();
    let server = serve(move |mut stream| {
        stream.write_all(b"!").expect("sent");
        tell.send(stream.read(&mut [0]).map_err(|e| e.kind()))
            .expect("told");
    });
    let bed = Bed::to(server, vec![]);
    let mut client = bed.connect();
    client.read_exact(&mut [0]).expect("a byte");
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("an option");
    drop(client);
    assert_eq!(told.recv().expect("told"), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_dead_upstream_is_a_reset_and_holds_up_nobody() {
    let closed = TcpListener::bind(ANY)
        .and_then(|l| l.local_addr())
        .expect("a port");
    let bed = Bed::to(closed, vec![]);
    let mut client = bed.connect();
    let error = client.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(bed.fabric.passed("route").expect("a route").failed, 1);
}

#[test]
fn live_connections_are_counted_while_they_are_open() {
    let bed = Bed::echo(vec![]);
    let mut client = bed.connect();
    ask(&mut client, b"question");
    let passed = || bed.fabric.passed("route").expect("a route");
    assert_eq!((passed().connections, passed().open), (1, 1));
    // What arrived is counted a moment later.
    assert!(eventually(|| {
        let passed = passed();
        (passed.upstream.sent, passed.downstream.sent) == (8, 8)
    }));
    drop(client);
    assert!(eventually(|| passed().open == 0));
}

#[test]
fn a_reader_that_is_slow_slows_its_sender_and_loses_nothing() {
    let bed = Bed::echo(vec![]);
    let mut client = bed.connect();
    let sent = text(8_000_000);
    let mut writer = client.try_clone().expect("a clone");
    let to_send = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&to_send).expect("sent");
        writer.shutdown(Shutdown::Write).expect("ended");
    });
    let mut got = Vec::new();
    let mut buffer = [0; 1000];
    loop {
        match client.read(&mut buffer).expect("bytes") {
            0 => break,
            length => got.extend_from_slice(&buffer[..length]),
        }
    }
    writing.join().expect("a writer");
    assert!(got == sent);
}

#[test]
fn many_connections_at_once_each_get_their_own() {
    let bed = Bed::open(
        firedrill_proxy::Upstream::Addresses(vec![serve(crate::bed::echo)]),
        vec![],
        3,
    );
    let clients: Vec<_> = (0..50_u8).map(|c| (c, bed.connect())).collect();
    let asking = clients.into_iter().map(|(c, mut client)| {
        thread::spawn(move || {
            (0..200).all(|at: usize| ask(&mut client, &vec![c; at + 1]) == vec![c; at + 1])
        })
    });
    let asking: Vec<_> = asking.collect();
    assert!(
        asking
            .into_iter()
            .all(|thread| thread.join().expect("a client"))
    );
}
