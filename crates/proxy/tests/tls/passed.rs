use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use firedrill_proxy::Upstream;
use firedrill_proxy::tls::Tls;
use firedrill_proxy::tls::names::Names;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::bed::{
    Bed, NAME, PATIENCE, ask, authority, echo_tls, end, rest, serve, serve_tls, text, trusting,
};

fn names(all: &[(&str, SocketAddr)]) -> Names {
    let mut names = Names::default();
    for (name, address) in all {
        assert!(names.add(name, Upstream::Addresses(vec![*address])));
    }
    names
}

/// What a client says first to a server of this name.
fn hello(name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let config = trusting(&authority(), &["h2"]);
    let mut client = ClientConnection::new(config, name).expect("a client");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("bytes");
    bytes
}

/// An upstream that tells its name and what it hears.
fn listening(name: &'static str, tell: mpsc::Sender<(&'static str, Vec<u8>)>) -> SocketAddr {
    serve(move |mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("an orderly end");
        tell.send((name, all)).expect("told");
        stream.write_all(b"whatever").expect("sent");
    })
}

#[test]
fn a_name_leads_and_not_a_byte_is_another() {
    let (tell, told) = mpsc::channel();
    let [one, other, rest_of_them] =
        ["one", "other", "rest"].map(|name| listening(name, tell.clone()));
    let names = names(&[(NAME, one), ("*.example.org", other)]);
    let bed = Bed::new(
        Tls::Pass {
            names,
            others: true,
        },
        rest_of_them,
        vec![],
    );
    let asked = BTreeMap::from([
        (NAME, "one"),
        ("cart.example.org", "other"),
        ("example.com", "rest"),
        ("127.0.0.1", "rest"),
    ]);
    for (name, expected) in asked {
        let mut bytes = hello(name);
        bytes.extend(text(300_000));
        let mut client = bed.connect();
        // In parts that have nothing to do with it.
        for part in bytes[..600].chunks(100) {
            client.write_all(part).expect("sent");
            let pause = Some(Duration::from_millis(1));
            client.set_read_timeout(pause).expect("an option");
            client.read(&mut [0]).expect_err("nothing yet");
        }
        client.set_read_timeout(Some(PATIENCE)).expect("an option");
        client.write_all(&bytes[600..]).expect("sent");
        client.shutdown(std::net::Shutdown::Write).expect("ended");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("an answer");
        assert_eq!(answer, b"whatever");
        let (came_to, heard) = told.recv().expect("a client");
        assert_eq!(came_to, expected, "{name}");
        assert!(heard == bytes, "{name}");
    }
}

#[test]
fn a_session_goes_straight_through_to_the_server_of_its_name() {
    let authority = authority();
    let server = serve_tls(&authority, &["h2"], echo_tls);
    let names = names(&[(NAME, server)]);
    let nowhere = serve(drop);
    let bed = Bed::new(
        Tls::Pass {
            names,
            others: false,
        },
        nowhere,
        vec![],
    );
    let mut client = bed.client(&trusting(&authority, &["h2"]));
    assert_eq!(ask(&mut client, b"question"), b"question");
    assert_eq!(client.conn.alpn_protocol(), Some(&b"h2"[..]));
    client.write_all(b"last").expect("sent");
    end(&mut client);
    assert_eq!(rest(&mut client).expect("an orderly end"), b"last");
}

#[test]
fn a_name_that_leads_nowhere_is_a_reset() {
    let reached = serve(|_| panic!("nobody is to come here"));
    let names = names(&[("other.example.org", reached)]);
    let bed = Bed::new(
        Tls::Pass {
            names,
            others: false,
        },
        reached,
        vec![],
    );
    for name in [NAME, "127.0.0.1"] {
        let mut client = bed.connect();
        client.write_all(&hello(name)).expect("sent");
        let error = client.read(&mut [0]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(bed.failed(), 2);
    let [client, _] = bed.why();
    assert_eq!(
        client,
        "there is no upstream for a client that names nobody"
    );
}
