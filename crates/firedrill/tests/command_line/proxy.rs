//! The proxy as a process: how it begins, how another takes over, how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::place::{Place, wait_until};

/// A proxy that runs, with one route `echo`; killed when the test ends.
pub(crate) struct Proxy {
    process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) interface: SocketAddr,
}

impl Proxy {
    pub(crate) fn start(place: &Place, route: &str, more: &[&str]) -> Self {
        let words = ["proxy", "--route", route, "--api", "127.0.0.1:0"];
        let mut process = place
            .command(&[&words, more].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let (route, interface) = (line(), line());
        let address = |line: &str, place: usize| {
            let word = line.split_whitespace().nth(place).unwrap();
            word.trim_start_matches("http://").parse().unwrap()
        };
        Self {
            process,
            address: address(&route, 1),
            interface: address(&interface, 1),
        }
    }

    /// Processor time that it has used, in ticks of 10 ms: proc_pid_stat(5), fields 14 and 15.
    fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let (_, behind) = stat.rsplit_once(") ").unwrap();
        let used = behind.split(' ').skip(11).take(2);
        used.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// A server that sends back what it gets.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 1024];
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

fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"?")?;
    stream.read_exact(&mut [0])
}

fn post(interface: SocketAddr, path: &str, body: &str) {
    let mut stream = TcpStream::connect(interface).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn another_takes_over_and_no_connection_is_refused() {
    let place = Place::new();
    let route = format!("echo=127.0.0.1:0,{}", echo());
    let at = ["--hand-over", "socket"];
    let mut old = Proxy::start(&place, &route, &at);
    post(old.interface, "/proxies/echo/toxics", r#"{"type":"noop"}"#);
    let mut kept = TcpStream::connect(old.address).unwrap();
    ask(&mut kept).unwrap();
    let address = old.address;
    let enough = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&enough);
    let asking = thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            let mut stream = TcpStream::connect(address).unwrap();
            ask(&mut stream).unwrap();
        }
    });
    for _ in 0..3 {
        let new = Proxy::start(&place, &route, &at);
        assert_eq!((new.address, new.interface), (address, old.interface));
        if !old.has_ended() {
            ask(&mut kept).unwrap();
        }
        drop(kept);
        assert!(old.end().success());
        old = new;
        kept = TcpStream::connect(address).unwrap();
        ask(&mut kept).unwrap();
    }
    enough.store(true, Ordering::Relaxed);
    asking.join().unwrap();
    let state = place.run(&["proxy", "--hand-over", "nobody/here"]);
    assert_eq!(state.status.code(), Some(6), "{state:?}");
    assert!(place.work().join("socket").exists());
    old.signal(Signal::INT);
    assert!(old.end().success());
    assert!(!place.work().join("socket").exists());
}

#[test]
fn a_file_at_the_path_of_a_hand_over_stays() {
    let place = Place::new();
    let file = place.work().join("notes");
    std::fs::write(&file, "kept").unwrap();
    let refused = place.run(&["proxy", "--api", "127.0.0.1:0", "--hand-over", "notes"]);
    assert_eq!(refused.status.code(), Some(6), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
}

#[test]
fn terminated_it_lets_open_connections_end_and_takes_no_new_ones() {
    let place = Place::new();
    let route = format!("echo=127.0.0.1:0,{}", echo());
    let mut proxy = Proxy::start(&place, &route, &[]);
    let mut open = TcpStream::connect(proxy.address).unwrap();
    ask(&mut open).unwrap();
    proxy.signal(Signal::TERM);
    let address = proxy.address;
    assert!(wait_until(|| TcpStream::connect(address).is_err()));
    ask(&mut open).unwrap();
    assert!(!proxy.has_ended());
    drop(open);
    assert!(proxy.end().success());
}

#[test]
fn what_was_answered_is_there_when_it_starts_again() {
    let place = Place::new();
    let route = format!("echo=127.0.0.1:0,{}", echo());
    let mut proxy = Proxy::start(&place, &route, &["--state", "state.json"]);
    post(
        proxy.interface,
        "/proxies/echo/toxics",
        r#"{"type":"noop","name":"kept"}"#,
    );
    proxy.signal(Signal::INT);
    assert!(proxy.end().success());
    let kept = std::fs::read_to_string(place.work().join("state.json")).unwrap();
    assert!(kept.contains("\"kept\""), "{kept}");
    let again = Proxy::start(&place, &route, &["--state", "state.json"]);
    assert_eq!(again.address, proxy.address);
}

#[test]
fn routes_that_cannot_be_are_told_all_at_once() {
    let place = Place::new();
    let config = r#"[{"name":"a","upstream":"nowhere"},{"name":"b","upstream":"x:1","toxics":[{"type":"late"}]}]"#;
    place.file("proxies.json", config);
    let told = place.see(&["proxy", "--api", "127.0.0.1:0", "--config", "proxies.json"]);
    assert!(
        told.contains("proxy a: ") && told.contains("toxic late: "),
        "{told}"
    );
    let told = place.see(&[
        "proxy",
        "--route",
        "a=127.0.0.1:0,127.0.0.1:1,protocol=smtp",
    ]);
    assert!(told.contains("smtp is no protocol"), "{told}");
}

#[test]
fn a_proxy_that_looks_for_more_works_while_requests_come_and_then_sleeps() {
    let place = Place::new();
    let route = format!("echo=127.0.0.1:0,{}", echo());
    let more = ["--threads", "1", "--busy-poll", "100ms"];
    let mut proxy = Proxy::start(&place, &route, &more);
    let mut stream = TcpStream::connect(proxy.address).unwrap();
    // So few requests alone take a tenth of that.
    let before = proxy.cpu_ticks();
    let looked = (0..60).any(|_| {
        ask(&mut stream).unwrap();
        thread::park_timeout(Duration::from_millis(50));
        proxy.cpu_ticks() >= before + 20
    });
    assert!(looked, "it sleeps at once");
    let sleeps = wait_until(|| {
        let before = proxy.cpu_ticks();
        thread::park_timeout(Duration::from_millis(200));
        proxy.cpu_ticks() == before
    });
    assert!(sleeps, "it never sleeps");
    drop(stream);
    proxy.signal(Signal::INT);
    assert!(proxy.end().success());
}

#[test]
fn a_proxy_has_as_many_descriptors_as_it_may() {
    let place = Place::new();
    let route = format!("echo=127.0.0.1:0,{}", echo());
    let mut proxy = Proxy::start(&place, &route, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", proxy.process.id())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let words: Vec<_> = files.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_eq!(words[0], words[1], "{limits}");
    proxy.signal(Signal::INT);
    assert!(proxy.end().success());
}
