//! Certificates of clients: of those that come, and the proxy's own for its upstreams.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use firedrill_proxy::Faults;
use firedrill_proxy::message::Protocol;
use firedrill_proxy::stream::Direction;
use firedrill_proxy::tls::Tls;
use firedrill_proxy::tls::flaw::{Flaw, HandshakeFault, Kind};
use firedrill_proxy::tls::originate::{Originate, Trust};
use firedrill_proxy::tls::pem;
use firedrill_proxy::tls::terminate::Clients;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::bed::{Bed, NAME, asking, authority, echo, eventually, file, serve};
use crate::nginx::{self, program};

const DAY: Duration = Duration::from_secs(86_400);

/// An authority for clients, and the files of those that it knows.
struct Office {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Office {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let own = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), own.pem()).expect("written");
        let issuer = Issuer::new(params, key);
        Self { issuer, folder }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for this client and its key, in one file.
    fn client(&self, name: &str, until: SystemTime) -> PathBuf {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = (until - 10 * DAY).into();
        params.not_after = until.into();
        let made = params.signed_by(&key, &self.issuer).expect("signed");
        let path = self.folder.path().join(format!("{name}.pem"));
        std::fs::write(&path, made.pem() + &key.serialize_pem()).expect("written");
        path
    }

    fn clients(&self, unknown: bool) -> Clients {
        let roots = pem::authorities(&self.ca()).expect("an authority");
        Clients::Known {
            roots: Arc::new(roots),
            unknown,
        }
    }
}

fn tomorrow() -> SystemTime {
    SystemTime::now() + DAY
}

/// Asks by openssl, and says what was answered.
fn openssl(bed: &Bed, root: &Path, version: &str, shown: Option<&Path>) -> Output {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-quiet", "-verify_return_error", version])
        .args(["-servername", NAME, "-connect", &bed.address.to_string()])
        .arg("-CAfile")
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(shown) = shown {
        command.arg("-cert").arg(shown).arg("-key").arg(shown);
    }
    let mut process = command.spawn().expect("openssl");
    let input = process.stdin.take();
    // It is gone by now if it was not let in.
    let _gone = input.expect("input").write_all(b"hello\n");
    process.wait_with_output().expect("an end")
}

/// A server that answers a line with itself and ends.
fn line() -> std::net::SocketAddr {
    serve(|mut stream| {
        let mut line = [0; 6];
        if stream.read_exact(&mut line).is_ok() {
            let _gone = stream.write_all(&line);
        }
    })
}

#[test]
fn openssl_is_let_in_with_a_certificate_that_is_known_and_told_why_not_otherwise() {
    if program("openssl").is_none() {
        eprintln!("skipped: there is no openssl here");
        return;
    }
    let (office, others) = (Office::new("ours"), Office::new("theirs"));
    let known = office.client("cart", tomorrow());
    let expired = office.client("old", SystemTime::now() - DAY);
    let stranger = others.client("stranger", tomorrow());
    let authority = authority();
    let root = file(&authority);
    for unknown in [false, true] {
        let ends = asking(&authority, &office.clients(unknown), &[]);
        let bed = Bed::new(Tls::Terminate(ends), line(), vec![]);
        for version in ["-tls1_2", "-tls1_3"] {
            for (shown, is_let_in, why) in [
                (Some(&known), true, ""),
                (None, unknown, "peer sent no certificates"),
                (Some(&stranger), false, "UnknownIssuer"),
                (Some(&expired), false, "certificate expired"),
            ] {
                let got = openssl(&bed, root.path(), version, shown.map(PathBuf::as_path));
                let said = String::from_utf8_lossy(&got.stderr);
                if is_let_in {
                    assert_eq!(got.stdout, b"hello\n", "{version} {shown:?} {said}");
                    continue;
                }
                assert_eq!(got.stdout, b"", "{version} {shown:?}");
                assert!(said.contains("alert"), "{version} {shown:?} {said}");
                let told = || bed.why()[0].contains(why);
                assert!(eventually(told), "{why}: {:?}", bed.why());
            }
        }
        let times = 2 * if unknown { 2 } else { 3 };
        assert_eq!(bed.failed(), times);
    }
}

#[test]
fn a_certificate_can_have_a_flaw_where_clients_are_known() {
    if program("openssl").is_none() {
        eprintln!("skipped: there is no openssl here");
        return;
    }
    let office = Office::new("ours");
    let known = office.client("cart", tomorrow());
    let authority = authority();
    let root = file(&authority);
    let ends = asking(&authority, &office.clients(false), &[]);
    let expired = HandshakeFault {
        name: "fault".into(),
        direction: Direction::Downstream,
        toxicity: 1.0,
        arm: None,
        kind: Kind::Certificate(Flaw::Expired),
    };
    let bed = Bed::new(Tls::Terminate(ends), line(), vec![expired]);
    let got = openssl(&bed, root.path(), "-tls1_3", Some(&known));
    let said = String::from_utf8_lossy(&got.stderr);
    assert!(said.contains("certificate has expired"), "{said}");
    bed.change(vec![]);
    let got = openssl(&bed, root.path(), "-tls1_3", Some(&known));
    assert_eq!(got.stdout, b"hello\n");
    // The flaw opened no door.
    let got = openssl(&bed, root.path(), "-tls1_3", None);
    assert_eq!(got.stdout, b"");
}

/// What curl is answered over this route, with a certificate or without one.
fn curl(bed: &Bed, words: &[&str]) -> Output {
    let port = bed.address.port();
    Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*"])
        .args(["--max-time", "20", "--resolve"])
        .arg(format!("{NAME}:{port}:127.0.0.1"))
        .args(words)
        .output()
        .expect("curl")
}

#[test]
fn nginx_is_shown_the_certificate_of_the_proxy_and_curl_is_asked_for_one() {
    let office = Office::new("ours");
    let settings = format!(
        "ssl_verify_client optional; ssl_client_certificate {};",
        office.ca().display()
    );
    let answer = "$ssl_client_verify $ssl_client_s_dn";
    let (Some(nginx), Some(_)) = (nginx::start(&settings, answer), program("curl")) else {
        eprintln!("skipped: nginx or curl is not here");
        return;
    };
    let own = office.client("proxy", tomorrow());
    let client = office.client("cart", tomorrow());
    let authority = authority();
    let root = file(&authority);
    for (shown, says) in [(Some(&own), "SUCCESS CN=proxy"), (None, "NONE ")] {
        let shown = shown.map(|own| pem::certified(own, own).expect("a certificate"));
        let begins = Originate::new(Trust::Anybody, None, shown, vec![]).expect("a client");
        let begins = Arc::new(begins);
        let clear = Tls::Originate(Arc::clone(&begins));
        let bed = Bed::with(clear, nginx.address, Protocol::Http, Faults::default());
        let url = format!("http://{NAME}:{}/", bed.address.port());
        let got = curl(&bed, &[&url]);
        assert_eq!(String::from_utf8_lossy(&got.stdout), says, "{got:?}");

        let ends = asking(&authority, &office.clients(false), &[]);
        let both = Tls::Reencrypt(ends, begins);
        let bed = Bed::with(both, nginx.address, Protocol::Http, Faults::default());
        let url = format!("https://{NAME}:{}/", bed.address.port());
        let root = root.path().to_str().expect("a path");
        let cert = client.to_str().expect("a path");
        // Twice: the second may resume what the first agreed on.
        let got = curl(&bed, &["--cacert", root, "--cert", cert, &url, &url]);
        assert_eq!(
            String::from_utf8_lossy(&got.stdout),
            says.repeat(2),
            "{got:?}"
        );
        let got = curl(&bed, &["--cacert", root, &url]);
        assert!(!got.status.success(), "{got:?}");
    }
}

#[test]
fn an_upstream_that_wants_a_certificate_is_told_of_though_the_handshake_seemed_over() {
    let office = Office::new("ours");
    let strict = crate::bed::serve_known(&authority(), &office.clients(false), echo);
    let own = office.client("proxy", tomorrow());
    let shown = pem::certified(&own, &own).expect("a certificate");
    let begins = |shown| {
        let made = Originate::new(Trust::Anybody, None, shown, vec![]);
        Tls::Originate(made.expect("a client").into())
    };
    let bed = Bed::new(begins(Some(shown)), strict, vec![]);
    assert_eq!(crate::bed::ask(&mut bed.connect(), b"hello"), b"hello");

    let bed = Bed::new(begins(None), strict, vec![]);
    let error = bed.connect().read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let [client, upstream] = bed.why();
    assert_eq!(client, "");
    let says = "it wants a certificate; `upstream_certificate` says which to show";
    assert!(upstream.ends_with(says), "{upstream}");
    assert_eq!(bed.failed(), 1);
}
