//! A HAProxy with two zones of two backends, and its own counters of who was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "waiting.rs"]
mod waiting;

pub(crate) use waiting::{LONG, wait_for};

/// Its servers are `web-a` and `web-b` of backend `web`, `api-a` and `api-b` of `api`; zone a has
/// addresses in 127.0.1.0/24, zone b in 127.0.2.0/24.
pub(crate) struct Haproxy {
    dir: TempDir,
    child: Child,
    servers: Vec<Instance>,
}

/// What its configuration has besides.
#[derive(Default)]
pub(crate) struct Shape {
    /// In the section `global`.
    pub(crate) global: &'static str,
    /// Of each server.
    pub(crate) options: &'static str,
    /// After everything else.
    pub(crate) more: &'static str,
}

/// A server that says its name, and counts how often it was asked.
struct Instance {
    backend: &'static str,
    name: &'static str,
    address: SocketAddr,
    asked: Arc<AtomicU64>,
}

const INSTANCES: [(&str, &str, &str); 4] = [
    ("web", "web-a", "127.0.1.1:0"),
    ("web", "web-b", "127.0.2.1:0"),
    ("api", "api-a", "127.0.1.2:0"),
    ("api", "api-b", "127.0.2.2:0"),
];

impl Haproxy {
    /// `None`, and said, where there is none.
    pub(crate) fn start() -> Option<Self> {
        Self::start_as(&Shape::default())
    }

    pub(crate) fn start_as(shape: &Shape) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            eprintln!("skipped: no {PROGRAM}; `apt-get install haproxy`");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let servers: Vec<Instance> = INSTANCES.map(Instance::start).into();
        std::fs::write(
            dir.path().join("haproxy.cfg"),
            configuration(dir.path(), shape, &servers),
        )
        .unwrap();
        let child = run(dir.path());
        let haproxy = Self {
            dir,
            child,
            servers,
        };
        haproxy.wait_until_it_answers();
        Some(haproxy)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("admin.sock")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The arguments of a fault, with its socket.
    pub(crate) fn arguments(&self, mut others: Value) -> Value {
        others["socket"] = json!(self.socket());
        others
    }

    /// What it answers to a person.
    pub(crate) fn ask(&self, line: &str) -> String {
        self.try_ask(line).unwrap()
    }

    fn try_ask(&self, line: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.write_all(format!("{line}\n").as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The administrative state of each server: 0 ready, 1 in maintenance, 8 draining.
    pub(crate) fn states(&self) -> Vec<(String, u32)> {
        let text = self.ask("show servers state");
        let rows = text.lines().skip(2).filter(|line| !line.is_empty());
        rows.map(|row| {
            let fields: Vec<&str> = row.split(' ').collect();
            (fields[3].to_owned(), fields[6].parse().unwrap())
        })
        .collect()
    }

    pub(crate) fn state(&self, server: &str) -> u32 {
        let states = self.states();
        states.iter().find(|(name, _)| name == server).unwrap().1
    }

    /// A request through it; the name of the server that answered.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let mut stream = self.hold(path);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n")?.1;
        answer.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }

    /// A request whose answer is not read.
    pub(crate) fn hold(&self, path: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.path("front.sock")).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// How often a server was asked, by its own count.
    pub(crate) fn asked(&self, server: &str) -> u64 {
        let of = |one: &&Instance| one.name == server;
        let one = self.servers.iter().find(of).unwrap();
        one.asked.load(Ordering::SeqCst)
    }

    /// Both backends are asked until each of their servers has answered.
    pub(crate) fn warm_up(&self) {
        for path in ["/", "/api", "/", "/api"] {
            assert!(self.get(path).is_some());
        }
        for (_, name, _) in INSTANCES {
            assert!(self.asked(name) > 0, "{name} was never asked");
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Another process with the same configuration.
    pub(crate) fn start_again(&mut self) {
        self.child = run(self.dir.path());
        self.wait_until_it_answers();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_it_answers(&self) {
        wait_for("HAProxy answers", || {
            self.try_ask("show info")
                .is_ok_and(|text| text.contains(&format!("Pid: {}\n", self.child.id())))
        });
    }
}

const PROGRAM: &str = "/usr/sbin/haproxy";

fn run(dir: &Path) -> Child {
    Command::new(PROGRAM)
        .args(["-q", "-db", "-f"])
        .arg(dir.join("haproxy.cfg"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn configuration(dir: &Path, shape: &Shape, servers: &[Instance]) -> String {
    let dir = dir.display();
    let of = |backend: &str| -> String {
        let own = servers.iter().filter(|one| one.backend == backend);
        own.map(|one| format!("  server {} {} {}\n", one.name, one.address, shape.options))
            .collect()
    };
    let global = shape.global.replace("%dir%", &dir.to_string());
    format!(
        "global\n  maxconn 200\n  stats socket {dir}/admin.sock mode 600 level admin\n  \
         stats socket {dir}/operator.sock mode 600 level operator\n{global}\n\
         defaults\n  mode http\n  load-server-state-from-file global\n  timeout connect 10s\n  \
         timeout client 60s\n  timeout server 60s\n\
         frontend front\n  bind unix@{dir}/front.sock\n  \
         use_backend api if {{ path_beg /api }}\n  default_backend web\n\
         backend web\n{}backend api\n{}{}",
        of("web"),
        of("api"),
        shape.more
    )
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Instance {
    fn start((backend, name, address): (&'static str, &'static str, &str)) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let count = Arc::clone(&count);
                std::thread::spawn(move || answer(stream, name, &count));
            }
        });
        Self {
            backend,
            name,
            address,
            asked,
        }
    }
}

/// `/hold` and what is below it are never answered, until the other side has gone.
fn answer(mut stream: std::net::TcpStream, name: &str, count: &AtomicU64) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    count.fetch_add(1, Ordering::SeqCst);
    if first.contains("hold") {
        let _ = lines.next();
        return;
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        name.len()
    );
    let _ = stream.write_all(format!("{head}{name}").as_bytes());
}
