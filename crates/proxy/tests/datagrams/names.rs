use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use firedrill_proxy::datagram::Kind;
use firedrill_proxy::stream::Direction::{Downstream, Upstream};
use firedrill_proxy::stream::Latency;
use firedrill_proxy::{FlowLimits, Upstream as Leads};

use crate::bed::{ANY, Bed, eventually};

/// dnsmasq, which knows one name.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// What dig says, asked once.
fn dig(bed: &Bed) -> std::io::Result<String> {
    let port = bed.address.port().to_string();
    let output = Command::new("dig")
        .args([
            "@127.0.0.1",
            "-p",
            &port,
            "shop.example",
            "+tries=1",
            "+time=2",
        ])
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn query_time(said: &str) -> Option<u64> {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(";; Query time: "))?;
    line.strip_suffix(" msec")?.parse().ok()
}

#[test]
fn dig_is_answered_by_dnsmasq_late_or_never() {
    let place = UdpSocket::bind(ANY).and_then(|socket| socket.local_addr());
    let place = place.expect("an address");
    let mut command = Command::new("/usr/sbin/dnsmasq");
    command
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
        ])
        .args([
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
            "--pid-file",
        ])
        .args([
            "--address=/shop.example/192.0.2.7",
            &format!("--port={}", place.port()),
        ])
        .stderr(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    let Ok(server) = command.spawn() else {
        eprintln!("skipped: there is no dnsmasq here");
        return;
    };
    let _server = Server(server);
    let bed = Bed::to(Leads::Addresses(vec![place]), &[], FlowLimits::default());
    if dig(&bed).is_err() {
        eprintln!("skipped: there is no dig here");
        return;
    }
    let is_answered = || dig(&bed).is_ok_and(|said| said.contains("192.0.2.7"));
    assert!(eventually(is_answered), "{:?}", dig(&bed));
    let late = Kind::Latency(Latency {
        delay: Duration::from_millis(300),
        jitter: Duration::ZERO,
        distribution: Default::default(),
        correlation: 0.0,
    });
    bed.change(&[(Downstream, late)]);
    let said = dig(&bed).expect("dig");
    // dig's clock is that of the kernel's ticks, of up to 10 ms.
    assert!(query_time(&said).is_some_and(|time| time >= 290), "{said}");
    bed.change(&[(Upstream, Kind::Loss { share: 1.0 })]);
    let said = dig(&bed).expect("dig");
    assert!(
        said.contains("timed out") || said.contains("no servers could be reached"),
        "{said}"
    );
    bed.change(&[]);
    assert!(eventually(is_answered));
}
