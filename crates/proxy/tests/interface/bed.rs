//! An interface that listens, and a client that says what it sends and gets.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use firedrill_proxy::toxiproxy::{Api, Collection, StateFile, load};
use firedrill_proxy::{Fabric, Options};
use serde_json::Value;

/// The interface; its thread goes with the test's process.
pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// An interface that begins with what the file holds, and keeps it.
    pub(crate) fn kept_in(path: &Path) -> Self {
        Self::with(|collection| {
            let proxies = StateFile::at(path).proxies().expect("proxies");
            load(collection, proxies).expect("all of them");
            collection.keep_in(StateFile::at(path)).expect("a file");
        })
    }

    /// An interface whose proxies prefer this zone.
    pub(crate) fn in_zone(zone: &str) -> Self {
        Self::with(|collection| collection.be_in(zone))
    }

    fn with(prepare: impl FnOnce(&Collection)) -> Self {
        let fabric = Fabric::start(&Options {
            threads: 2,
            seed: 1,
            arms_most: 1.0,
            busy_poll: Duration::ZERO,
        })
        .expect("a fabric");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let api = Api::bind(any, Arc::new(fabric)).expect("an address");
        let address = api.address();
        prepare(api.collection());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(api.serve(std::future::pending()))
        });
        Self { address }
    }

    /// A bed with a proxy `echo` to a server that sends back what it gets.
    pub(crate) fn with_echo() -> (Self, SocketAddr) {
        let bed = Self::new();
        let body = format!(r#"{{"name":"echo","upstream":"{}"}}"#, echo());
        let made = bed.post("/proxies", &body);
        assert_eq!(made.status, 201, "{made:?}");
        let port = made.json()["listen"]
            .as_str()
            .and_then(|listen| listen.rsplit_once(':'))
            .and_then(|(_, port)| port.parse().ok())
            .expect("a port");
        (bed, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// A bed with an HTTP proxy `api` to its own interface, and that proxy's side of it.
    pub(crate) fn with_http() -> (Self, Self) {
        let bed = Self::new();
        let body = serde_json::json!({
            "name": "api", "upstream": bed.address.to_string(), "protocol": "http",
        });
        let made = bed.post("/proxies", &body.to_string());
        assert_eq!(made.status, 201, "{made:?}");
        let listen = made.json()["listen"].as_str().map(str::to_owned);
        let address = listen.and_then(|listen| listen.parse().ok());
        let through = Self {
            address: address.expect("an address"),
        };
        (bed, through)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, "", body)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, "", "")
    }

    pub(crate) fn ask(&self, method: &str, path: &str, header: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-length: {length}\r\n{header}\r\n{body}"
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        Answer {
            status: head
                .split(' ')
                .nth(1)
                .and_then(|s| s.parse().ok())
                .expect("a status"),
            head: head.to_ascii_lowercase(),
            body: body.into(),
        }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A server that sends back what comes.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
