use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use firedrill_proxy::stream::Direction;
use firedrill_proxy::tls::Tls;
use firedrill_proxy::tls::authority::Authority;
use firedrill_proxy::tls::flaw::{Flaw, HandshakeFault, Kind};
use rustls::{CertificateError, ClientConfig, Error};

use crate::bed::{Bed, NAME, ask, authority, echo, eventually, file, serve, terminate, trusting};

fn fault(kind: Kind, toxicity: f64) -> HandshakeFault {
    HandshakeFault {
        name: "fault".into(),
        direction: Direction::Downstream,
        toxicity,
        arm: None,
        kind,
    }
}

fn bed(authority: &Arc<Authority>, faults: Vec<HandshakeFault>) -> Bed {
    Bed::new(
        Tls::Terminate(terminate(authority, &[])),
        serve(echo),
        faults,
    )
}

/// What rustls says to the certificate it is shown.
fn shown(bed: &Bed, config: &Arc<ClientConfig>) -> Option<Error> {
    let mut client = bed.client(config);
    let told = client
        .write_all(b"question")
        .and_then(|()| client.read_exact(&mut [0; 8]));
    let error = told.err()?;
    error
        .into_inner()?
        .downcast::<Error>()
        .ok()
        .map(|error| *error)
}

fn is_certificate(error: Option<Error>, of: fn(&CertificateError) -> bool) -> bool {
    matches!(error, Some(Error::InvalidCertificate(error)) if of(&error))
}

#[test]
fn each_flaw_is_the_error_that_it_is_to_rustls() {
    let authority = authority();
    let config = trusting(&authority, &[]);
    type Expected = fn(&CertificateError) -> bool;
    let flaws: [(Flaw, Expected); 4] = [
        (Flaw::Expired, |e| {
            matches!(e, CertificateError::ExpiredContext { .. })
        }),
        (Flaw::NotYetValid, |e| {
            matches!(e, CertificateError::NotValidYetContext { .. })
        }),
        (Flaw::SelfSigned, |e| {
            matches!(e, CertificateError::UnknownIssuer)
        }),
        (Flaw::WrongName, |e| {
            matches!(e, CertificateError::NotValidForNameContext { .. })
        }),
    ];
    for (flaw, expected) in flaws {
        let bed = bed(&authority, vec![fault(Kind::Certificate(flaw), 1.0)]);
        let error = shown(&bed, &config);
        let told = || bed.why()[0].contains("received fatal alert");
        assert!(eventually(told), "{:?}", bed.why());
        assert!(
            is_certificate(error.clone(), expected),
            "{flaw:?}: {error:?}"
        );
    }
}

/// What openssl says to the certificate it is shown: the number and words of its verdict.
fn openssl(address: SocketAddr, root: &std::path::Path) -> Option<String> {
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-brief",
            "-verify_return_error",
            "-verify_hostname",
            NAME,
        ])
        .args([
            "-servername",
            NAME,
            "-connect",
            &address.to_string(),
            "-CAfile",
        ])
        .arg(root)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn each_flaw_is_the_error_that_it_is_to_openssl() {
    let authority = authority();
    let root = file(&authority);
    for (flaw, says) in [
        (None, "Verification: OK"),
        (Some(Flaw::Expired), "certificate has expired"),
        (Some(Flaw::NotYetValid), "certificate is not yet valid"),
        (Some(Flaw::SelfSigned), "self-signed certificate"),
        (Some(Flaw::WrongName), "hostname mismatch"),
    ] {
        let faults = flaw.map(|flaw| fault(Kind::Certificate(flaw), 1.0));
        let bed = bed(&authority, faults.into_iter().collect());
        let Some(said) = openssl(bed.address, root.path()) else {
            eprintln!("skipped: there is no openssl here");
            return;
        };
        assert!(said.contains(says), "{flaw:?}: {said}");
    }
}

#[test]
fn curl_is_served_and_told_what_is_wrong() {
    let authority = authority();
    let root = file(&authority);
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
    let upstream = serve(move |mut stream| {
        let _question = stream.read(&mut [0; 4096]);
        let _gone = stream.write_all(answer.as_bytes());
    });
    let tls = Tls::Terminate(terminate(&authority, &[]));
    let bed = Bed::new(tls, upstream, vec![]);
    let port = bed.address.port();
    let curl = || {
        Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--max-time",
                "20",
                "--cacert",
            ])
            .arg(root.path())
            .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
            .arg(format!("https://{NAME}:{port}/"))
            .output()
    };
    let Ok(output) = curl() else {
        eprintln!("skipped: there is no curl here");
        return;
    };
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "hello",
        "{output:?}"
    );
    let expired = fault(Kind::Certificate(Flaw::Expired), 1.0);
    bed.change(vec![expired]);
    let output = curl().expect("curl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("certificate has expired"), "{said}");
    assert_eq!(output.status.code(), Some(60));
}

#[test]
fn a_flaw_comes_and_goes_with_new_connections_even_for_one_that_could_resume() {
    let authority = authority();
    let config = trusting(&authority, &[]);
    let bed = bed(&authority, vec![]);
    let mut before = bed.client(&config);
    ask(&mut before, b"question");
    assert_eq!(shown(&bed, &config), None);
    let expired = fault(Kind::Certificate(Flaw::Expired), 1.0);
    bed.change(vec![expired]);
    let error = shown(&bed, &config);
    let is_expired = |e: &CertificateError| matches!(e, CertificateError::ExpiredContext { .. });
    assert!(is_certificate(error.clone(), is_expired), "{error:?}");
    assert_eq!(ask(&mut before, b"question"), b"question");
    bed.change(vec![]);
    assert_eq!(shown(&bed, &config), None);
}

#[test]
fn a_share_of_the_connections_meets_the_flaw_and_the_same_ones_each_time() {
    let authority = authority();
    let config = trusting(&authority, &[]);
    let run = |toxicity: f64| -> Vec<bool> {
        let flaw = fault(Kind::Certificate(Flaw::WrongName), toxicity);
        let bed = bed(&authority, vec![flaw]);
        (0..200).map(|_| shown(&bed, &config).is_some()).collect()
    };
    let first = run(0.3);
    assert_eq!(first, run(0.3));
    // 200 draws of 0.3: outside of 29 to 96 by chance less than once in a million.
    let hit = first.iter().filter(|hit| **hit).count();
    assert!((29..=96).contains(&hit), "{hit}");
    // With a greater share the same connections meet it, and others.
    let more = run(0.6);
    assert!(first.iter().zip(&more).all(|(less, more)| *more || !less));
}

#[test]
fn an_alert_is_one_and_a_stall_leaves_the_client_waiting() {
    let authority = authority();
    let config = trusting(&authority, &[]);
    let bed = bed(&authority, vec![fault(Kind::Alert, 1.0)]);
    let alert = Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
    assert_eq!(shown(&bed, &config), Some(alert));

    bed.change(vec![fault(Kind::Stall, 1.0)]);
    let mut client = bed.client(&config);
    // Longer than the route gives a handshake.
    let patience = std::time::Duration::from_secs(4);
    client
        .sock
        .set_read_timeout(Some(patience))
        .expect("an option");
    let error = client
        .write_all(b"question")
        .and_then(|()| client.read_exact(&mut [0]));
    assert_eq!(error.expect_err("nothing").kind(), ErrorKind::WouldBlock);
    let open = || bed.fabric.passed("route").expect("a route").open;
    assert_eq!(open(), 1);
    drop(client);
    assert!(eventually(|| open() == 0));
}
