//! Two network namespaces joined by a veth pair, and real sockets in them.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::Command;
use std::time::Duration;

use crate::KernelError;
use crate::namespace::{NetNamespace, OpenNamespace, in_fresh};
use crate::netlink::{Protocol, Socket};

use super::super::*;

/// Sends from `near` (10.77.0.1, fd77::1, `near0`) to `far` (10.77.0.2, fd77::2, `far0`).
pub(super) struct Lab {
    pub(super) near: OpenNamespace,
    pub(super) far: OpenNamespace,
}

/// Where nothing but a test of ours listens, in a namespace of its own.
pub(super) const PORT: u16 = 7777;
pub(super) const SOURCE: u16 = 5555;

impl Lab {
    /// `None`, with the reason printed, where namespaces cannot be made.
    pub(super) fn new() -> Option<Self> {
        let fresh = || in_fresh(NetNamespace::current);
        let (Ok(near), Ok(far)) = (fresh(), fresh()) else {
            eprintln!("skipped: network namespaces take CAP_SYS_ADMIN");
            return None;
        };
        let lab = Self { near, far };
        let other_end = format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            lab.far.as_fd().as_raw_fd()
        );
        let add = "ip link add near0 type veth peer name far0";
        shell(
            &lab.near,
            &format!("{add} && ip link set far0 netns {other_end}"),
        );
        for (namespace, end, host) in [(&lab.near, "near0", 1), (&lab.far, "far0", 2)] {
            shell(
                namespace,
                &format!(
                    "ip link set lo up && ip addr add 10.77.0.{host}/24 dev {end} \
                     && ip addr add fd77::{host}/64 dev {end} nodad && ip link set {end} up"
                ),
            );
        }
        let ready = (0..30).any(|_| lab.passes(v4()) && lab.passes(v6()));
        assert!(ready, "the namespaces are not joined");
        Some(lab)
    }

    /// Makes a table in `far`.
    pub(super) fn table(&self, ruleset: &Ruleset) -> Table {
        in_namespace(&self.far, || {
            Table::create(Socket::open(Protocol::Netfilter)?, ruleset)
        })
    }

    pub(super) fn far_socket(&self) -> Socket {
        in_namespace(&self.far, || Socket::open(Protocol::Netfilter))
    }

    /// Whether a datagram arrives.
    pub(super) fn passes(&self, to: SocketAddr) -> bool {
        self.arrived(to, 1) == 1
    }

    /// How many of so many datagrams an independent receiver gets.
    pub(super) fn arrived(&self, to: SocketAddr, sent: usize) -> usize {
        self.arrived_from(SOURCE, to, sent)
    }

    pub(super) fn arrived_from(&self, source: u16, to: SocketAddr, sent: usize) -> usize {
        let receiver = udp(&self.far, to);
        let any = if to.is_ipv4() { "0.0.0.0" } else { "::" };
        let sender = udp(&self.near, SocketAddr::new(any.parse().unwrap(), source));
        transfer(&sender, &receiver, to, sent)
    }

    /// A connection from `near` to a listener in `far`.
    pub(super) fn connect(&self, to: SocketAddr, listen_at: u16) -> std::io::Result<TcpStream> {
        let at = SocketAddr::new(to.ip(), listen_at);
        let _listener = in_namespace(&self.far, || Ok(TcpListener::bind(at).unwrap()));
        in_namespace(&self.near, || {
            Ok(TcpStream::connect_timeout(&to, Duration::from_millis(700)))
        })
    }
}

pub(super) fn v4() -> SocketAddr {
    SocketAddr::from(([10, 77, 0, 2], PORT))
}

pub(super) fn v6() -> SocketAddr {
    SocketAddr::from(([0xfd77, 0, 0, 0, 0, 0, 0, 2], PORT))
}

pub(super) fn udp(namespace: &OpenNamespace, at: SocketAddr) -> UdpSocket {
    in_namespace(namespace, || Ok(UdpSocket::bind(at).unwrap()))
}

/// Sends in small portions, so that no buffer overflows; counts what comes.
pub(super) fn transfer(
    sender: &UdpSocket,
    receiver: &UdpSocket,
    to: SocketAddr,
    sent: usize,
) -> usize {
    let mut arrived = 0;
    let mut left = sent;
    while left > 0 {
        let portion = left.min(50);
        for _ in 0..portion {
            // A drop on the way out is told to the sender.
            if let Err(error) = sender.send_to(b"firedrill", to) {
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            }
        }
        left -= portion;
        receiver.set_nonblocking(true).unwrap();
        while receiver.recv(&mut [0; 16]).is_ok() {
            arrived += 1;
        }
    }
    receiver.set_nonblocking(false).unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_millis(150)))
        .unwrap();
    while arrived < sent && receiver.recv(&mut [0; 16]).is_ok() {
        arrived += 1;
    }
    arrived
}

pub(super) fn in_namespace<T>(
    namespace: &OpenNamespace,
    work: impl FnOnce() -> Result<T, KernelError>,
) -> T {
    match namespace.within(work) {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// Runs a shell line in a namespace; gives what it prints.
pub(super) fn shell(namespace: &OpenNamespace, line: &str) -> String {
    let output = in_namespace(namespace, || {
        Ok(Command::new("bash").args(["-c", line]).output().unwrap())
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn rule(matches: Vec<Match>, action: Action) -> Rule {
    Rule { matches, action }
}

pub(super) fn filter(hook: Hook, rules: Vec<Rule>) -> Ruleset {
    Ruleset {
        table: "firedrill-test".to_owned(),
        chains: vec![Chain {
            name: "main".to_owned(),
            hook,
            kind: ChainKind::Filter,
            priority: 0,
            rules,
        }],
        lease: false,
    }
}

pub(super) fn udp_to(port: u16) -> Vec<Match> {
    vec![
        Match::Protocol(Transport::Udp),
        Match::DestinationPort(PortRange::one(port)),
    ]
}

pub(super) fn not(inner: Match) -> Match {
    Match::Not(Box::new(inner))
}

/// What the rules of a table have counted.
pub(super) fn packets(table: &mut Table) -> Vec<u64> {
    let counts = table.counters().unwrap();
    counts.iter().map(|count| count.packets).collect()
}
