use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;

use firedrill_proxy::tls::Tls;
use firedrill_proxy::tls::authority::Authority;
use firedrill_proxy::tls::originate::Trust;
use firedrill_proxy::tls::pem;
use proptest::prelude::*;

use crate::bed::{
    Bed, NAME, ask, authority, echo, echo_tls, end, file, older, originate, rest, serve, serve_tls,
    terminate, text, trusting,
};

#[test]
fn what_ends_here_is_clear_to_the_upstream() {
    let authority = authority();
    let (tell, told) = mpsc::channel();
    let upstream = serve(move |mut stream| {
        let mut question = [0; 8];
        stream.read_exact(&mut question).expect("a question");
        tell.send(question).expect("told");
        stream.write_all(b"answer").expect("sent");
    });
    let bed = Bed::new(Tls::Terminate(terminate(&authority, &[])), upstream, vec![]);
    let mut client = bed.client(&trusting(&authority, &[]));
    client.write_all(b"question").expect("sent");
    assert_eq!(rest(&mut client).expect("an orderly end"), b"answer");
    assert_eq!(&told.recv().expect("a question"), b"question");
    let passed = bed.fabric.passed("route").expect("a route");
    assert_eq!((passed.upstream.sent, passed.downstream.received), (8, 6));
}

#[test]
fn a_certificate_is_made_for_whatever_name_or_address_is_asked_for() {
    let authority = authority();
    let bed = Bed::new(
        Tls::Terminate(terminate(&authority, &[])),
        serve(echo),
        vec![],
    );
    let config = trusting(&authority, &[]);
    for name in [NAME, "other.example.com", "127.0.0.1"] {
        let mut client = bed.client_of(name, &config);
        assert_eq!(ask(&mut client, b"question"), b"question", "{name}");
    }
}

#[test]
fn every_byte_passes_where_tls_ends_and_where_it_begins_again() {
    let authority = authority();
    let root = file(&authority);
    let trust = Trust::Only(pem::authorities(root.path()).expect("a root"));
    let ended = Tls::Terminate(terminate(&authority, &[]));
    let again = Tls::Reencrypt(terminate(&authority, &[]), originate(&trust, &[]));
    let clear = serve(echo);
    let secret = serve_tls(&authority, &[], echo_tls);
    for (tls, upstream) in [(ended, clear), (again, secret)] {
        let bed = Bed::new(tls, upstream, vec![]);
        let mut client = bed.client(&trusting(&authority, &[]));
        let sent = text(3_000_000);
        // One thread has the connection: it says and hears by turns, with more on its way than
        // one buffer holds.
        for part in sent.chunks(200_000) {
            assert!(ask(&mut client, part) == part);
        }
        client.write_all(&sent[..100_000]).expect("sent");
        end(&mut client);
        assert!(rest(&mut client).expect("all of it") == sent[..100_000]);
    }
}

#[test]
fn who_trusted_an_authority_trusts_the_one_that_goes_on_with_its_key() {
    let older = authority();
    let heir = Authority::of_key(&older.key_pem()).expect("an authority");
    let tls = Tls::Terminate(terminate(&heir.into(), &[]));
    let bed = Bed::new(tls, serve(echo), vec![]);
    let mut client = bed.client(&trusting(&older, &[]));
    assert_eq!(ask(&mut client, b"question"), b"question");
    assert!(Authority::of_key("no key").is_err());
}

#[test]
fn what_begins_here_is_clear_to_the_client() {
    let authority = authority();
    let root = file(&authority);
    let trust = Trust::Only(pem::authorities(root.path()).expect("a root"));
    let tls = Tls::Originate(originate(&trust, &[]));
    let bed = Bed::new(tls, serve_tls(&authority, &[], echo_tls), vec![]);
    let mut client = bed.connect();
    let mut writer = client.try_clone().expect("a clone");
    let sent = text(5_000_000);
    let to_send = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&to_send).expect("sent");
        writer.shutdown(Shutdown::Write).expect("ended");
    });
    let mut got = Vec::new();
    client.read_to_end(&mut got).expect("all of it");
    writing.join().expect("a writer");
    assert!(got == sent);
}

#[test]
fn an_upstream_that_is_not_believed_is_a_reset_unless_anybody_is() {
    let authority = authority();
    let stranger = file(&crate::bed::authority());
    let server = serve_tls(&authority, &[], echo_tls);
    let trust = Trust::Only(pem::authorities(stranger.path()).expect("a root"));
    let strict = originate(&trust, &[]);
    let bed = Bed::new(Tls::Originate(strict), server, vec![]);
    let error = bed.connect().read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(bed.failed(), 1);
    let [client, upstream] = bed.why();
    assert_eq!(client, "");
    assert_eq!(upstream, "invalid peer certificate: UnknownIssuer");
    let bed = Bed::new(
        Tls::Originate(originate(&Trust::Anybody, &[])),
        server,
        vec![],
    );
    assert_eq!(ask(&mut bed.connect(), b"question"), b"question");
}

#[test]
fn the_upstream_chooses_among_the_clients_protocols() {
    let authority = authority();
    for (theirs, chosen) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let server = serve_tls(&authority, theirs, echo_tls);
        let tls = Tls::Reencrypt(terminate(&authority, &[]), originate(&Trust::Anybody, &[]));
        let bed = Bed::new(tls, server, vec![]);
        let mut client = bed.client(&trusting(&authority, &["h2", "http/1.1"]));
        ask(&mut client, b"question");
        assert_eq!(client.conn.alpn_protocol(), chosen);
    }
}

#[test]
fn a_protocol_is_agreed_to_only_where_it_was_told() {
    let authority = authority();
    for (ours, chosen) in [(&["http/1.1"][..], Some(&b"http/1.1"[..])), (&[], None)] {
        let tls = Tls::Terminate(terminate(&authority, ours));
        let bed = Bed::new(tls, serve(echo), vec![]);
        let mut client = bed.client(&trusting(&authority, &["h2", "http/1.1"]));
        ask(&mut client, b"question");
        assert_eq!(client.conn.alpn_protocol(), chosen);
    }
}

#[test]
fn a_client_that_knows_only_the_older_version_is_served_too() {
    let authority = authority();
    let tls = Tls::Terminate(terminate(&authority, &["http/1.1"]));
    let bed = Bed::new(tls, serve(echo), vec![]);
    let config = older(&authority, &["http/1.1"]);
    for _ in 0..2 {
        let mut client = bed.client(&config);
        assert_eq!(ask(&mut client, b"question"), b"question");
        let version = client.conn.protocol_version();
        assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_2));
        client.write_all(b"last").expect("sent");
        end(&mut client);
        assert_eq!(rest(&mut client).expect("an orderly end"), b"last");
    }
}

#[test]
fn an_end_in_one_direction_leaves_the_other_open() {
    let authority = authority();
    let upstream = serve(|mut stream| {
        // Answers when it has heard everything, and not before.
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("a question");
        let length = all.len().to_be_bytes();
        stream.write_all(&length).expect("an answer");
    });
    let bed = Bed::new(Tls::Terminate(terminate(&authority, &[])), upstream, vec![]);
    let mut client = bed.client(&trusting(&authority, &[]));
    client.write_all(&text(100_000)).expect("sent");
    end(&mut client);
    let answer = rest(&mut client).expect("an answer and its end");
    assert_eq!(answer, 100_000_usize.to_be_bytes());
}

#[test]
fn a_client_that_breaks_off_without_a_word_is_a_reset_to_the_upstream() {
    let authority = authority();
    let (tell, told) = mpsc::channel();
    let upstream = serve(move |mut stream| {
        let mut all = Vec::new();
        let read = stream.read_to_end(&mut all);
        tell.send((read.map_err(|error| error.kind()), all))
            .expect("told");
    });
    let bed = Bed::new(Tls::Terminate(terminate(&authority, &[])), upstream, vec![]);
    let mut client = bed.client(&trusting(&authority, &[]));
    client.write_all(b"half a quest").expect("sent");
    client.sock.shutdown(Shutdown::Both).expect("ended");
    let (read, _part) = told.recv().expect("an end");
    assert_eq!(read, Err(ErrorKind::ConnectionReset));
}

#[test]
fn an_upstream_that_resets_is_a_reset_to_the_client() {
    let authority = authority();
    let upstream = serve(|mut stream| {
        stream.read_exact(&mut [0; 8]).expect("a question");
        let zero = Some(std::time::Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&stream, zero).expect("an option");
    });
    let bed = Bed::new(Tls::Terminate(terminate(&authority, &[])), upstream, vec![]);
    let mut client = bed.client(&trusting(&authority, &[]));
    client.write_all(b"question").expect("sent");
    let error = rest(&mut client).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn an_upstream_that_breaks_off_without_a_word_is_a_reset_to_the_client() {
    let authority = authority();
    let upstream = serve_tls(&authority, &[], |mut server| {
        server.read_exact(&mut [0; 8]).expect("a question");
        server.write_all(b"half an ans").expect("sent");
        server.sock.shutdown(Shutdown::Both).expect("ended");
    });
    let tls = Tls::Originate(originate(&Trust::Anybody, &[]));
    let bed = Bed::new(tls, upstream, vec![]);
    let mut client = bed.connect();
    client.write_all(b"question").expect("sent");
    let error = client.read_to_end(&mut Vec::new()).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Parts of any size, said and heard by turns, then an end: all of it is there, and nothing else.
    #[test]
    fn whatever_is_said_is_heard_as_it_was_through_both_ends(
        sizes in prop::collection::vec(1_usize..150_000, 1..10),
        last in 0_usize..100_000,
    ) {
        let authority = authority();
        let server = serve_tls(&authority, &[], echo_tls);
        let originate = originate(&Trust::Anybody, &[]);
        let tls = Tls::Reencrypt(terminate(&authority, &[]), originate);
        let bed = Bed::new(tls, server, vec![]);
        let mut client = bed.client(&trusting(&authority, &[]));
        let text = text(150_000);
        for size in &sizes {
            prop_assert!(ask(&mut client, &text[..*size]) == text[..*size]);
        }
        client.write_all(&text[..last]).expect("sent");
        end(&mut client);
        prop_assert!(rest(&mut client).expect("an orderly end") == text[..last]);
        let passed = bed.fabric.passed("route").expect("a route");
        let all = (sizes.iter().sum::<usize>() + last) as u64;
        prop_assert_eq!((passed.upstream.sent, passed.downstream.sent), (all, all));
    }
}
