use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::bed::{Answer, Bed, echo};

fn proxy(bed: &Bed, tls: &Value) -> Answer {
    let upstream = echo().to_string();
    let body = json!({ "name": "echo", "listen": "127.0.0.1:0", "upstream": upstream, "tls": tls });
    bed.post("/proxies", &body.to_string())
}

/// The first bytes of what a server of TLS answers.
fn answer_to_hello(proxy: &Value) -> Vec<u8> {
    let address = proxy["listen"].as_str().expect("an address");
    let mut stream = TcpStream::connect(address).expect("a connection");
    let mut config = rustls::ClientConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_safe_default_protocol_versions()
    .expect("versions")
    .with_root_certificates(rustls::RootCertStore::empty())
    .with_no_client_auth();
    config.enable_sni = true;
    let name = "shop.example.org".try_into().expect("a name");
    let mut client = rustls::ClientConnection::new(config.into(), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("bytes");
    stream.write_all(&hello).expect("sent");
    let mut answer = vec![0; 7];
    stream.read_exact(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_proxy_that_ends_tls_is_made_told_and_given_a_flaw() {
    let bed = Bed::new();
    let made = proxy(&bed, &json!({ "mode": "terminate", "alpn": ["h2"] }));
    assert_eq!(made.status, 201, "{made:?}");
    let proxy = made.json();
    assert_eq!(proxy["tls"], json!({ "mode": "terminate", "alpn": ["h2"] }));
    assert_eq!(answer_to_hello(&proxy)[0], 22);
    let toxic = json!({ "type": "tls_handshake", "name": "no", "attributes": { "fail": "alert" } });
    assert_eq!(
        bed.post("/proxies/echo/toxics", &toxic.to_string()).status,
        200
    );
    assert_eq!(answer_to_hello(&proxy), [21, 3, 3, 0, 2, 2, 40]);
    let address = proxy["listen"].as_str().expect("an address");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    stream.read_exact(&mut [0; 7]).expect("an alert");
    let failed = bed.get("/proxies/echo/handshakes").json();
    assert_eq!(failed["upstream"], json!({ "count": 0, "last": null }));
    assert_eq!(failed["client"]["count"], 1);
    let why = "the client's first word is no ClientHello: it does not begin as TLS does";
    assert_eq!(failed["client"]["last"], why);
    bed.delete("/proxies/echo/toxics/no");
    let toxic = json!({ "type": "tls_certificate", "attributes": { "flaw": "not-yet-valid" } });
    let told = bed.post("/proxies/echo/toxics", &toxic.to_string()).json();
    assert_eq!(told["attributes"], json!({ "flaw": "not-yet-valid" }));
    assert_eq!(answer_to_hello(&proxy)[0], 22);
}

#[test]
fn what_becomes_of_tls_changes_with_the_proxy() {
    let bed = Bed::new();
    let made = proxy(
        &bed,
        &json!({ "mode": "passthrough", "otherwise": "reset" }),
    )
    .json();
    assert_eq!(made["tls"]["otherwise"], "reset");
    let change = json!({ "tls": { "mode": "terminate" } }).to_string();
    let changed = bed.post("/proxies/echo", &change).json();
    assert_eq!(changed["tls"], json!({ "mode": "terminate" }));
    assert_eq!(answer_to_hello(&changed)[0], 22);
}

#[test]
fn settings_that_mean_nothing_are_refused_with_every_reason() {
    let bed = Bed::new();
    let wrong = json!({
        "mode": "originate", "certificate": "no-such-file.pem", "server_name": "a b",
        "upstreams": { "a*b": "nowhere", "a b": "127.0.0.1:1" },
    });
    let refused = proxy(&bed, &wrong);
    assert_eq!(refused.status, 400);
    let error = refused.json()["error"].as_str().map(str::to_owned);
    let error = error.expect("an error");
    for reason in [
        "`certificate` has no meaning",
        "`upstreams` has no meaning",
        "server_name a b is neither a name nor an address",
        "a*b: address nowhere: no port",
        "a b is neither a name",
    ] {
        assert!(error.contains(reason), "{error}");
    }
    let missing = json!({ "mode": "terminate", "certificate": "no-such-file.pem" });
    let error = proxy(&bed, &missing).body;
    assert!(error.contains("no-such-file.pem cannot be read"), "{error}");
    for form in [
        json!({ "mode": "none" }),
        json!({}),
        json!({ "mode": "terminate", "x": 1 }),
    ] {
        assert_eq!(proxy(&bed, &form).status, 400, "{form}");
    }
    assert_eq!(bed.get("/proxies").json(), json!({}));
}

/// A certificate and its key, or a part of it, as a file.
fn pem(parts: &[&str]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(parts.concat().as_bytes()).expect("written");
    file
}

#[test]
fn whom_to_know_and_whom_to_be_is_told_as_it_was_said() {
    let made = || rcgen::generate_simple_self_signed(["proxy".to_owned()]).expect("made");
    let (own, other) = (made(), made());
    let key = own.signing_key.serialize_pem();
    let certificate = pem(&[&own.cert.pem()]);
    let both = pem(&[&own.cert.pem(), &key]);
    let key = pem(&[&key]);
    let tls = json!({
        "mode": "reencrypt", "client_ca": certificate.path(), "client_optional": true,
        "upstream_certificate": both.path(),
    });
    let bed = Bed::new();
    assert_eq!(proxy(&bed, &tls).json()["tls"], tls);
    let apart = json!({ "tls": {
        "mode": "originate", "upstream_certificate": certificate.path(),
        "upstream_key": key.path(),
    }});
    let changed = bed.post("/proxies/echo", &apart.to_string()).json();
    assert_eq!(changed["tls"], apart["tls"]);

    let foreign = pem(&[&other.signing_key.serialize_pem()]);
    let empty = pem(&[]);
    let refused = |tls: &Value| {
        let body = json!({ "tls": tls }).to_string();
        let refused = bed.post("/proxies/echo", &body);
        assert_eq!(refused.status, 400, "{refused:?}");
        refused.json()["error"].as_str().expect("words").to_owned()
    };
    let wrong = json!({
        "mode": "reencrypt", "certificate": certificate.path(), "client_ca": empty.path(),
        "upstream_certificate": certificate.path(), "upstream_key": foreign.path(),
        "ca": "no-such-file.pem",
    });
    let error = refused(&wrong);
    for reason in [
        "holds no private key; say with `key` which file does",
        "ca: no-such-file.pem cannot be read as PEM",
        "upstream_certificate: the certificate of",
        "do not go together",
    ] {
        assert!(error.contains(reason), "{error}");
    }
    let error = refused(&json!({ "mode": "terminate", "client_ca": empty.path() }));
    let says = "holds no certificate of an authority";
    assert!(
        error.contains("client_ca: ") && error.contains(says),
        "{error}"
    );
    let error = refused(&json!({
        "mode": "originate", "client_ca": certificate.path(), "client_optional": true,
        "upstream_key": key.path(),
    }));
    for field in ["client_ca", "upstream_key"] {
        let reason = format!("`{field}` has no meaning");
        assert!(error.contains(&reason), "{error}");
    }
    assert_eq!(bed.get("/proxies/echo").json()["tls"], apart["tls"]);
}

#[test]
fn a_flaw_needs_a_handshake_of_ours() {
    let (bed, _) = Bed::with_echo();
    let toxic = r#"{"type":"tls_certificate"}"#;
    let refused = bed.post("/proxies/echo/toxics", toxic);
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("no handshake to put"), "{refused:?}");
}

#[test]
fn what_a_proxy_does_with_tls_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.json");
    let before = Bed::kept_in(&path);
    let tls = json!({
        "mode": "passthrough", "otherwise": "reset",
        "upstreams": { "*.example.org": "127.0.0.1:443" },
    });
    assert_eq!(proxy(&before, &tls).status, 201);
    before.post("/proxies/echo", r#"{"enabled":false}"#);
    let proxies = before.get("/proxies").json();
    assert_eq!(proxies["echo"]["tls"], tls);
    assert_eq!(Bed::kept_in(&path).get("/proxies").json(), proxies);
}
