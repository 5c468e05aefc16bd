use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use firedrill_proxy::tls::Tls;
use firedrill_proxy::tls::names::Names;

use crate::bed::{Bed, ask, authority, echo, serve, terminate, text, trusting};

fn passing() -> Tls {
    let names = Names::default();
    Tls::Pass {
        names,
        others: true,
    }
}

#[test]
fn who_does_not_speak_tls_is_told_so_in_tls_or_by_a_reset() {
    let authority = authority();
    let bed = Bed::new(
        Tls::Terminate(terminate(&authority, &[])),
        serve(echo),
        vec![],
    );
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 100],
        text(100_000),
    ] {
        let mut client = bed.connect();
        let _reset = client.write_all(&garbage);
        let mut answer = Vec::new();
        let end = client.read_to_end(&mut answer);
        // decode_error; with more on its way a RST may come with it.
        let told = answer == [21, 3, 3, 0, 2, 2, 50] || end.is_err();
        assert!(told, "{answer:?}");
    }
    let bed = Bed::new(passing(), serve(echo), vec![]);
    let mut client = bed.connect();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    let error = client.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn garbage_behind_a_good_beginning_ends_the_connection() {
    let authority = authority();
    let bed = Bed::new(
        Tls::Terminate(terminate(&authority, &[])),
        serve(echo),
        vec![],
    );
    let config = trusting(&authority, &[]);
    let mut client = bed.client(&config);
    ask(&mut client, b"question");
    client.sock.write_all(&[23, 3, 3, 0, 30]).expect("sent");
    client.sock.write_all(&[7; 30]).expect("sent");
    let mut rest = Vec::new();
    // bad_record_mac, which rustls tells as an error.
    client.read_to_end(&mut rest).expect_err("an alert");
    let mut client = bed.client(&config);
    assert_eq!(ask(&mut client, b"question"), b"question");
}

#[test]
fn a_hello_that_comes_byte_by_byte_does_not_stop_the_clock() {
    let authority = authority();
    let bed = Bed::new(
        Tls::Terminate(terminate(&authority, &[])),
        serve(echo),
        vec![],
    );
    let mut client = bed.connect();
    client
        .write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])
        .expect("sent");
    let begin = Instant::now();
    let pause = Some(Duration::from_millis(20));
    client.set_read_timeout(pause).expect("an option");
    while client.write_all(&[0]).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(60));
        let _nothing_yet = client.read(&mut [0]);
    }
    assert!(begin.elapsed() > Duration::from_secs(2));
    assert_eq!(bed.failed(), 1);
}

#[test]
fn a_client_that_says_hello_and_nothing_more_is_told_when_its_time_is_over() {
    let authority = authority();
    let tls = Tls::Terminate(terminate(&authority, &[]));
    let bed = Bed::new(tls, serve(echo), vec![]);
    let config = trusting(&authority, &[]);
    let mut client = bed.client(&config);
    client.conn.write_tls(&mut client.sock).expect("sent");
    let mut flight = Vec::new();
    let error = client.sock.read_to_end(&mut flight).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    // The server's part of the handshake was there.
    assert_eq!(flight.first(), Some(&22));
    let [why, _] = bed.why();
    assert_eq!(why, "it was not over in time");
}

#[test]
fn an_upstream_that_never_shakes_hands_holds_up_only_its_own() {
    let silent = serve(|mut stream| {
        let _until_it_ends = stream.read_to_end(&mut Vec::new());
    });
    let trust = firedrill_proxy::tls::originate::Trust::Anybody;
    let tls = Tls::Originate(crate::bed::originate(&trust, &[]));
    let bed = Bed::new(tls, silent, vec![]);
    let error = bed.connect().read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(bed.failed(), 1);
}
