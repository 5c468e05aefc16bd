//! A fault proxy with a route of HTTP and one of bytes, to an upstream of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firedrill_proxy::toxiproxy::{Api, Collection, NewProxy, StateFile, load};
use firedrill_proxy::{Fabric, Options};
use serde_json::{Value, json};
use tokio::sync::oneshot::Sender;

/// Its routes are `web` (HTTP) and `raw` (bytes).
pub(crate) struct Bed {
    api: SocketAddr,
    collection: Arc<Collection>,
    end: Option<Sender<()>>,
    serving: Option<std::thread::JoinHandle<()>>,
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Got {
    /// 0 where the connection ended without an answer.
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let bed = Self::at(0, None);
        let upstream = answering();
        for (name, protocol) in [("web", "http"), ("raw", "tcp")] {
            let new = json!({
                "name": name, "listen": "127.0.0.1:0", "upstream": upstream.to_string(),
                "protocol": protocol,
            });
            let new: NewProxy = serde_json::from_value(new).unwrap();
            bed.collection.create(&new).unwrap();
        }
        bed
    }

    /// The same proxy started anew, with what its file kept.
    pub(crate) fn again(mut self, file: &Path) -> Self {
        let port = self.api.port();
        self.stop();
        // Its routes go with it.
        drop(self);
        Self::at(port, Some(file))
    }

    fn at(port: u16, file: Option<&Path>) -> Self {
        let options = Options {
            threads: 1,
            seed: 7,
            arms_most: 1.0,
            busy_poll: Duration::ZERO,
        };
        let fabric = Arc::new(Fabric::start(&options).unwrap());
        let api = Api::bind((Ipv4Addr::LOCALHOST, port).into(), fabric).unwrap();
        let (address, collection) = (api.address(), Arc::clone(api.collection()));
        if let Some(file) = file {
            load(&collection, StateFile::at(file).proxies().unwrap()).unwrap();
            collection.keep_in(StateFile::at(file)).unwrap();
        }
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let stop = async {
                let _ = ended.await;
            };
            runtime.block_on(api.serve(stop)).unwrap();
        });
        Self {
            api: address,
            collection,
            end: Some(end),
            serving: Some(serving),
        }
    }

    /// From now on what is there is kept in a file.
    pub(crate) fn keep_in(&self, file: &Path) {
        self.collection.keep_in(StateFile::at(file)).unwrap();
    }

    /// Its interface ends, as when its process does.
    pub(crate) fn stop(&mut self) {
        drop(self.end.take());
        if let Some(serving) = self.serving.take() {
            serving.join().unwrap();
        }
    }

    pub(crate) fn api(&self) -> String {
        format!("http://{}", self.api)
    }

    /// The arguments of a fault on this route.
    pub(crate) fn arguments(&self, route: &str, mut others: Value) -> Value {
        others["proxy"] = json!(self.api());
        others["route"] = json!(route);
        others
    }

    /// Half of those with a cookie `user` are in the experiment, half in the control arm.
    pub(crate) fn divide(&self) {
        let split = json!({"share": 0.5, "by": "cookie:user", "name": "test"});
        let split = serde_json::from_value(split).unwrap();
        self.collection.divide("web", Some(split)).unwrap();
    }

    /// The names of the toxics of a route.
    pub(crate) fn toxics(&self, route: &str) -> Vec<String> {
        let toxics = self.collection.proxy(route).unwrap().toxics;
        toxics.into_iter().map(|toxic| toxic.name).collect()
    }

    pub(crate) fn remove(&self, route: &str, toxic: &str) {
        self.collection.remove_toxic(route, toxic).unwrap();
    }

    /// What is in an arm, by the proxy's own division: the same name is in the same arm always.
    pub(crate) fn arm_of(&self, user: &str) -> &'static str {
        let counted = |arms: &firedrill_proxy::toxiproxy::ArmsView| {
            [&arms.control, &arms.experiment].map(|one| one.well + one.badly)
        };
        let before = counted(&self.collection.arms("web").unwrap());
        self.get("/", user);
        let arm = |now: [u64; 2]| (now[0] > before[0], now[1] > before[1]);
        super::wait_for("the request is counted", || {
            arm(counted(&self.collection.arms("web").unwrap())) != (false, false)
        });
        match arm(counted(&self.collection.arms("web").unwrap())) {
            (true, false) => "control",
            _ => "experiment",
        }
    }

    /// A request through the route `web`.
    pub(crate) fn get(&self, path: &str, user: &str) -> Got {
        self.ask("web", path, user)
    }

    /// A request through a route.
    pub(crate) fn ask(&self, route: &str, path: &str, user: &str) -> Got {
        let listen = self.collection.proxy(route).unwrap().listen;
        let listen: SocketAddr = listen.parse().unwrap();
        let begin = Instant::now();
        let status = asked(listen, path, user).unwrap_or(0);
        Got {
            status,
            took: begin.elapsed(),
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.stop();
    }
}

fn asked(listen: SocketAddr, path: &str, user: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(listen).ok()?;
    stream.set_read_timeout(Some(super::LONG)).ok()?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nCookie: user={user}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// A server that answers each request with 200; it ends with the test's process.
fn answering() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    address
}
