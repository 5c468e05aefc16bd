//! Datagrams that are led through the proxy.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

use firedrill_kernel::Signal;
use firedrill_kernel::conntrack::{self, Tracked};
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_undo::Quantity;
use serde_json::{Value, json};

use crate::bed::{Bed, FAR, Side};
use crate::drill::{Drill, Placed, send, wait_for, worker_of};

const PORT: u16 = 5353;

/// A client's socket, and a server that says who asked.
struct Talk {
    client: UdpSocket,
    server: UdpSocket,
    at: SocketAddr,
}

impl Talk {
    fn begin(from: &Side, to: &Side, at: SocketAddr) -> Self {
        Self::bound(from, to, at, at)
    }

    /// With a server to whom its address is this one: interfaces have other numbers there.
    fn bound(from: &Side, to: &Side, at: SocketAddr, bound: SocketAddr) -> Self {
        let any: IpAddr = match at {
            SocketAddr::V4(_) => [0; 4].into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let (client, server) = (from.udp(SocketAddr::new(any, 0)), to.udp(bound));
        for socket in [&client, &server] {
            let limit = Duration::from_secs(2);
            socket.set_read_timeout(Some(limit)).unwrap();
        }
        Self { client, server, at }
    }

    fn to_far(bed: &Bed) -> Self {
        Self::begin(&bed.near, &bed.far, SocketAddr::from((FAR, PORT)))
    }

    /// Whom the server sees behind a datagram of the client.
    fn ask(&self) -> Option<SocketAddr> {
        // A refusal to an earlier datagram is told by the next call, once.
        let send = || self.client.send_to(b"question", self.at);
        send().or_else(|_| send()).ok()?;
        let (_, from) = self.server.recv_from(&mut [0; 16]).ok()?;
        Some(from)
    }

    /// What the server answers to whom it saw, and from where it seems to come.
    fn answer(&self, to: SocketAddr, said: &[u8]) -> Option<(Vec<u8>, SocketAddr)> {
        self.server.send_to(said, to).unwrap();
        let mut bytes = vec![0; 2048];
        let (length, from) = self.client.recv_from(&mut bytes).ok()?;
        bytes.truncate(length);
        Some((bytes, from))
    }

    /// Whether the server sees the client itself; `None` when it sees nobody.
    fn way(&self) -> Option<bool> {
        let port = self.client.local_addr().unwrap().port();
        self.ask().map(|seen| seen.port() == port)
    }

    fn goes_directly(&self) -> bool {
        self.way() == Some(true)
    }
}

fn put(arguments: &Value, side: &Side) -> Placed {
    let mut all = arguments.clone();
    all["protocol"] = json!("udp");
    Drill::begin().apply("switching.stream", &all, &[side.target()])
}

fn v6(host: u16) -> IpAddr {
    Ipv6Addr::new(0xfd90, 0, 0, 0, 0, 0, 0, host).into()
}

fn translated(side: &Side) -> Vec<Tracked> {
    let mut socket = side.within(|| Socket::open(Protocol::Netfilter)).unwrap();
    let mut all = conntrack::list(&mut socket).unwrap();
    all.retain(|one| one.destination_translated);
    all
}

#[test]
fn datagrams_are_led_through_the_proxy_and_back() {
    let Some(bed) = Bed::lay() else { return };
    let before = bed.snapshot();
    let placed = put(&json!({"remote-port": PORT, "delay": "300ms"}), &bed.near);
    for address in [FAR.into(), v6(2)] {
        let at = SocketAddr::new(address, PORT);
        let talk = Talk::begin(&bed.near, &bed.far, at);
        let seen = talk.ask().unwrap();
        assert_ne!(seen.port(), talk.client.local_addr().unwrap().port());
        let start = Instant::now();
        assert_eq!(
            talk.answer(seen, b"answer").unwrap(),
            (b"answer".to_vec(), at)
        );
        assert!(start.elapsed() >= Duration::from_millis(300));
        // Another port goes its own way.
        let other = Talk::begin(&bed.near, &bed.far, SocketAddr::new(address, PORT + 1));
        assert!(other.goes_directly());
    }
    // One socket that asks several is answered by each.
    let (first, second) = (Talk::to_far(&bed), {
        bed.far.ip("addr add 10.90.0.3/24 dev far0");
        Talk::begin(
            &bed.near,
            &bed.far,
            SocketAddr::from(([10, 90, 0, 3], PORT)),
        )
    });
    for server in [&first, &second] {
        first.client.send_to(b"question", server.at).unwrap();
        let (_, seen) = server.server.recv_from(&mut [0; 16]).unwrap();
        server.server.send_to(b"answer", seen).unwrap();
        let (_, from) = first.client.recv_from(&mut [0; 16]).unwrap();
        assert_eq!(from, server.at);
    }
    bed.far.ip("addr del 10.90.0.3/24 dev far0");
    assert!(placed.figure(Quantity::ConnectionsProxied).achieved >= 4.0);
    placed.revert();
    assert!(first.goes_directly());
    assert_eq!(translated(&bed.near), []);
    wait_for("nothing left", || bed.snapshot() == before);
}

/// Addresses of `near`, as `far` has them and as itself does; one is not the first of its interface.
fn arriving(bed: &Bed) -> Vec<[SocketAddr; 2]> {
    bed.near.ip("addr add 10.90.0.5/24 dev near0");
    let said = bed
        .near
        .run("ip", &["-6 -o address show dev near0 scope link"]);
    let local = said
        .split_whitespace()
        .find(|word| word.starts_with("fe80"));
    let local = local.and_then(|word| word.split('/').next()?.parse().ok());
    let index = |side: &Side, interface: &str| -> u32 {
        let told = side.run("ip", &["-o link show", interface]);
        told.split(':').next().unwrap().parse().unwrap()
    };
    let link_local = |scope| SocketAddrV6::new(local.unwrap(), PORT, 0, scope).into();
    let scopes = [index(&bed.far, "far0"), index(&bed.near, "near0")];
    vec![
        [SocketAddr::from(([10, 90, 0, 1], PORT)); 2],
        [SocketAddr::from(([10, 90, 0, 5], PORT)); 2],
        [SocketAddr::new(v6(1), PORT); 2],
        scopes.map(link_local),
    ]
}

#[test]
fn datagrams_that_arrive_are_led_through_the_proxy_and_back() {
    let Some(bed) = Bed::lay() else { return };
    let places = arriving(&bed);
    let before = bed.snapshot();
    let arguments = json!({"direction": "ingress", "local-port": PORT, "delay": "300ms"});
    let placed = put(&arguments, &bed.near);
    let mut talks = Vec::new();
    for [at, bound] in &places {
        let talk = Talk::bound(&bed.far, &bed.near, *at, *bound);
        let seen = talk.ask().unwrap();
        assert_ne!(
            seen.port(),
            talk.client.local_addr().unwrap().port(),
            "{at}"
        );
        let start = Instant::now();
        // The client hears whom it asked.
        let answer = talk.answer(seen, b"answer").unwrap();
        assert_eq!(answer, (b"answer".to_vec(), *at));
        assert!(start.elapsed() >= Duration::from_millis(300));
        let [mut at, mut bound] = [*at, *bound];
        at.set_port(PORT + 1);
        bound.set_port(PORT + 1);
        assert!(
            Talk::bound(&bed.far, &bed.near, at, bound).goes_directly(),
            "{at}"
        );
        talks.push(talk);
    }
    let talk = Talk::to_far(&bed);
    assert!(talk.goes_directly(), "what leaves goes its own way");
    assert_eq!(placed.figure(Quantity::ConnectionsProxied).achieved, 4.0);
    placed.revert();
    for talk in &talks {
        assert!(talk.goes_directly(), "{}", talk.at);
    }
    assert_eq!(translated(&bed.near), []);
    wait_for("nothing left", || bed.snapshot() == before);
}

#[test]
fn what_arrives_goes_directly_when_the_proxy_is_killed() {
    let Some(bed) = Bed::lay() else { return };
    for [at, bound] in arriving(&bed) {
        let arguments = json!({"direction": "both", "port": PORT, "delay": "1ms"});
        let placed = put(&arguments, &bed.near);
        let talk = Talk::bound(&bed.far, &bed.near, at, bound);
        assert_eq!(talk.way(), Some(false), "{at}");
        send(&worker_of(placed.guardian()), Signal::Kill);
        let limit = Some(Duration::from_millis(50));
        talk.server.set_read_timeout(limit).unwrap();
        wait_for("a direct datagram", || talk.goes_directly());
        wait_for("nothing translated", || translated(&bed.near).is_empty());
        placed.revert();
    }
}

#[test]
fn a_flow_goes_directly_when_the_proxy_is_killed_or_the_fault_undone() {
    let Some(bed) = Bed::lay() else { return };
    // On `near`, somebody else translates IPv4, too; on `far`, and of IPv6, nobody does.
    let ways: [(&Side, &Side, IpAddr); 4] = [
        (&bed.near, &bed.far, FAR.into()),
        (&bed.near, &bed.far, v6(2)),
        (&bed.far, &bed.near, [10, 90, 0, 1].into()),
        (&bed.far, &bed.near, v6(1)),
    ];
    for (from, to, address) in ways {
        for killed in [true, false] {
            let placed = put(&json!({"remote-port": PORT, "delay": "1ms"}), from);
            let talk = Talk::begin(from, to, SocketAddr::new(address, PORT));
            assert_eq!(talk.way(), Some(false), "{address}");
            if killed {
                send(&worker_of(placed.guardian()), Signal::Kill);
                let limit = Some(Duration::from_millis(50));
                talk.server.set_read_timeout(limit).unwrap();
                wait_for("a direct datagram", || talk.goes_directly());
                // The guardian looks once more when all of the process is gone.
                wait_for("nothing translated", || translated(from).is_empty());
                placed.revert();
            } else {
                placed.revert();
                assert_eq!(talk.way(), Some(true), "{address}");
            }
        }
    }
}

#[test]
fn what_others_translate_is_left_alone() {
    let Some(bed) = Bed::lay() else { return };
    let foreign = "table ip other { chain out { type nat hook output priority -100; \
                   udp dport 99 dnat to 10.90.0.2:5353; }; }";
    bed.near.run("nft", &[foreign]);
    let theirs = Talk::to_far(&bed);
    let at = SocketAddr::from((FAR, 99));
    theirs.client.send_to(b"x", at).unwrap();
    theirs.server.recv_from(&mut [0; 16]).unwrap();
    let tracked = |all: Vec<Tracked>| {
        let mut theirs = all.into_iter();
        theirs.any(|one| one.original.destination == at)
    };
    assert!(tracked(translated(&bed.near)));
    drop(theirs);
    let placed = put(&json!({"remote-port": PORT, "delay": "1ms"}), &bed.near);
    let ours = Talk::to_far(&bed);
    assert!(!ours.goes_directly());
    placed.revert();
    assert!(ours.goes_directly());
    assert!(tracked(translated(&bed.near)), "it was not ours to forget");
}

#[test]
fn datagrams_are_lost_altered_and_limited() {
    let Some(bed) = Bed::lay() else { return };
    let said = [0; 1000];
    let through = |arguments: Value| {
        let placed = put(&arguments, &bed.near);
        let talk = Talk::to_far(&bed);
        let limit = Some(Duration::from_millis(400));
        talk.client.set_read_timeout(limit).unwrap();
        let seen = talk.ask().unwrap();
        let heard: Vec<_> = (0..3)
            .filter_map(|_| talk.answer(seen, &said))
            .map(|(bytes, _)| bytes.iter().map(|byte| byte.count_ones()).sum::<u32>())
            .collect();
        drop(talk);
        placed.revert();
        heard
    };
    assert_eq!(through(json!({"delay": "1ms"})), [0, 0, 0]);
    assert!(through(json!({"loss": 100})).is_empty());
    assert!(through(json!({"hang": true})).is_empty());
    assert_eq!(through(json!({"corrupt": 100})), [1, 1, 1]);
    assert_eq!(through(json!({"limit": 1500})).len(), 1);
}
