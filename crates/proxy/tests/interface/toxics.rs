use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::Bed;

#[test]
fn a_toxic_is_added_told_changed_and_removed() {
    let (bed, _) = Bed::with_echo();
    let body = json!({ "type": "latency", "attributes": { "latency": 100, "jitter": 5 } });
    let added = bed.post("/proxies/echo/toxics", &body.to_string());
    assert_eq!(added.status, 200);
    let toxic = json!({
        "name": "latency_downstream",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 1.0,
        "attributes": { "latency": 100, "jitter": 5 },
    });
    assert_eq!(added.json(), toxic);
    assert_eq!(bed.get("/proxies/echo/toxics").json(), json!([toxic]));
    assert_eq!(
        bed.get("/proxies/echo/toxics/latency_downstream").json(),
        toxic
    );
    assert_eq!(bed.get("/proxies/echo").json()["toxics"], json!([toxic]));

    let path = "/proxies/echo/toxics/latency_downstream";
    let change = json!({ "toxicity": 0.5, "attributes": { "latency": 7 }, "name": "other" });
    for method in ["POST", "PATCH"] {
        let changed = bed.ask(method, path, "", &change.to_string());
        assert_eq!(changed.status, 200);
        let changed = changed.json();
        assert_eq!(changed["attributes"], json!({ "latency": 7, "jitter": 5 }));
        assert_eq!(changed["toxicity"], 0.5);
        assert_eq!(changed["name"], "latency_downstream");
    }
    let gone = bed.delete(path);
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert_eq!(bed.get("/proxies/echo/toxics").json(), json!([]));
}

#[test]
fn when_it_is_answered_the_toxic_is_on_live_connections() {
    let (bed, listen) = Bed::with_echo();
    let mut stream = TcpStream::connect(listen).expect("a connection");
    let mut ask = || {
        let begin = Instant::now();
        stream.write_all(b"question").expect("sent");
        stream.read_exact(&mut [0; 8]).expect("an answer");
        begin.elapsed()
    };
    ask();
    bed.post(
        "/proxies/echo/toxics",
        r#"{"type":"latency","attributes":{"latency":150}}"#,
    );
    assert!(ask() >= Duration::from_millis(150));
    let up = r#"{"type":"latency","stream":"upstream","attributes":{"latency":150}}"#;
    bed.post("/proxies/echo/toxics", up);
    assert!(ask() >= Duration::from_millis(300));
}

#[test]
fn a_toxic_that_holds_everything_can_be_removed() {
    let (bed, listen) = Bed::with_echo();
    for body in [
        r#"{"type":"bandwidth","attributes":{"rate":0}}"#,
        r#"{"type":"latency","attributes":{"latency":3600000}}"#,
        r#"{"type":"slicer","attributes":{"average_size":1,"delay":3600000000}}"#,
    ] {
        let mut stream = TcpStream::connect(listen).expect("a connection");
        let name = bed.post("/proxies/echo/toxics", body).json()["name"].clone();
        stream.write_all(b"question").expect("sent");
        let path = format!("/proxies/echo/toxics/{}", name.as_str().expect("a name"));
        assert_eq!(bed.delete(&path).status, 204);
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"question");
    }
}

#[test]
fn a_reset_of_the_peer_is_a_rst_also_in_the_middle_of_a_connection() {
    let (bed, listen) = Bed::with_echo();
    let mut stream = TcpStream::connect(listen).expect("a connection");
    stream.write_all(b"question").expect("sent");
    stream.read_exact(&mut [0; 8]).expect("an answer");
    bed.post(
        "/proxies/echo/toxics",
        r#"{"type":"reset_peer","stream":"upstream"}"#,
    );
    stream.write_all(b"question").expect("sent");
    let error = stream.read(&mut [0; 8]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_limit_of_the_data_is_kept() {
    let (bed, listen) = Bed::with_echo();
    bed.post(
        "/proxies/echo/toxics",
        r#"{"type":"limit_data","attributes":{"bytes":5}}"#,
    );
    let mut stream = TcpStream::connect(listen).expect("a connection");
    stream.write_all(b"question").expect("sent");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("an end");
    assert_eq!(all, b"quest");
}

#[test]
fn datagrams_have_toxics_of_their_own() {
    let bed = Bed::new();
    let server = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let upstream = server.local_addr().expect("an address").to_string();
    let body = json!({
        "name": "dns", "listen": "127.0.0.1:0", "upstream": upstream, "protocol": "udp",
    });
    let made = bed.post("/proxies", &body.to_string()).json();
    let client = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let listen = made["listen"].as_str().expect("an address");
    client.connect(listen).expect("an address");
    let toxic = r#"{"type":"duplicate","stream":"upstream","attributes":{"share":1}}"#;
    assert_eq!(bed.post("/proxies/dns/toxics", toxic).status, 200);
    client.send(b"question").expect("sent");
    for _ in 0..2 {
        let mut buffer = [0; 100];
        assert_eq!(server.recv(&mut buffer).expect("a question"), 8);
    }
    // What is on streams, or on a protocol of streams, is not for these, and the other way round.
    for wrong in [
        "slicer",
        "reset_peer",
        "hang",
        "http_delay",
        "tls_certificate",
    ] {
        let body = json!({ "type": wrong }).to_string();
        assert_eq!(
            bed.post("/proxies/dns/toxics", &body).status,
            400,
            "{wrong}"
        );
    }
    let (bed, _) = Bed::with_echo();
    for wrong in ["duplicate", "reorder"] {
        let body = json!({ "type": wrong }).to_string();
        assert_eq!(
            bed.post("/proxies/echo/toxics", &body).status,
            400,
            "{wrong}"
        );
    }
    let tls = json!({ "name": "x", "upstream": "127.0.0.1:1", "protocol": "udp",
                      "tls": { "mode": "terminate" } });
    assert_eq!(bed.post("/proxies", &tls.to_string()).status, 400);
}
