//! Faults on requests inside TLS: what the two sides agreed on says which HTTP it is.

use std::path::Path;
use std::process::{Command, Output};

use firedrill_proxy::Faults;
use firedrill_proxy::message::{
    HttpAction, HttpFault, HttpMatch, Kind, MessageFault, Pattern, Protocol,
};
use firedrill_proxy::tls::Tls;
use firedrill_proxy::tls::names::Names;
use firedrill_proxy::tls::originate::{Originate, Trust};

use crate::bed::{ANY, Bed, NAME, authority, file, terminate};
use crate::nginx::{self, program};

fn curl(bed: &Bed, root: &Path, version: &str, path: &str) -> Output {
    let port = bed.address.port();
    Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "20",
        ])
        .args([version, "--write-out", " %{http_code}", "--cacert"])
        .arg(root)
        .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
        .arg(format!("https://{NAME}:{port}/{path}"))
        .output()
        .expect("curl")
}

fn aborted() -> Faults {
    let action = HttpAction::Abort {
        status: 503,
        body: "drill".into(),
    };
    let matching = HttpMatch {
        path: Some(Pattern::new("/cart*")),
        ..HttpMatch::default()
    };
    Faults {
        messages: vec![MessageFault {
            name: "abort".into(),
            share: 1.0,
            arm: None,
            kind: Kind::Http(HttpFault { matching, action }),
        }],
        ..Faults::default()
    }
}

#[test]
fn a_request_meets_its_fault_in_whichever_http_the_two_sides_agreed_on() {
    let (Some(nginx), Some(_)) = (
        nginx::start("", "hello over $server_protocol"),
        program("curl"),
    ) else {
        eprintln!("skipped: nginx or curl is not here");
        return;
    };
    let authority = authority();
    let root = file(&authority);
    let originate = Originate::new(Trust::Anybody, None, None, vec![]).expect("a client");
    let tls = Tls::Reencrypt(terminate(&authority, &[]), originate.into());
    let bed = Bed::with(tls, nginx.address, Protocol::Http, aborted());
    for (version, spoken) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2.0")] {
        let answer = curl(&bed, root.path(), version, "");
        let said = String::from_utf8_lossy(&answer.stdout);
        assert_eq!(said, format!("hello over {spoken} 200"), "{answer:?}");
        let answer = curl(&bed, root.path(), version, "cart");
        let said = String::from_utf8_lossy(&answer.stdout);
        assert_eq!(said, "drill 503", "{version} {answer:?}");
    }
}

#[test]
fn a_session_of_curl_goes_straight_through_to_nginx_by_its_name() {
    let (Some(nginx), Some(_)) = (
        nginx::start("", "hello over $server_protocol"),
        program("curl"),
    ) else {
        eprintln!("skipped: nginx or curl is not here");
        return;
    };
    let mut names = Names::default();
    let upstream = firedrill_proxy::Upstream::Addresses(vec![nginx.address]);
    assert!(names.add("*.example.org", upstream));
    let tls = Tls::Pass {
        names,
        others: false,
    };
    let bed = Bed::with(tls, ANY, Protocol::Tcp, Faults::default());
    // Trusted only because it is nginx's own, which the proxy could not show.
    let own = nginx.file(nginx::CERTIFICATE);
    let answer = curl(&bed, &own, "--http2", "");
    let said = String::from_utf8_lossy(&answer.stdout);
    assert_eq!(said, "hello over HTTP/2.0 200", "{answer:?}");
}
