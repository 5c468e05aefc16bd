use std::collections::HashSet;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use super::*;
use crate::link;
use crate::namespace::in_fresh;
use crate::netlink::Protocol;
use crate::nftables::{
    Action, Chain, ChainKind, Hook, Match, PortRange, Rule, Ruleset, Table, Transport,
};
use crate::socket::original_destination;

const PATIENCE: Duration = Duration::from_millis(500);

/// Runs a test in a namespace that ends with it; skips it without the privilege.
fn isolated(test: impl FnOnce() + Send) {
    let outcome = in_fresh(|| {
        link::set_up(&mut Socket::open(Protocol::Route)?, 1, true)?;
        test();
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(KernelError::Call { call, source }) => eprintln!("skipped: {call}: {source}"),
        Err(error) => panic!("{error}"),
    }
}

fn netfilter() -> Socket {
    Socket::open(Protocol::Netfilter).unwrap()
}

/// Leads what goes to this port to that one.
fn redirect(transport: Transport, from: u16, to: u16) -> Table {
    let ruleset = Ruleset {
        table: "redirects".into(),
        chains: vec![Chain {
            name: "out".into(),
            hook: Hook::Output,
            kind: ChainKind::Nat,
            priority: -100,
            rules: vec![Rule {
                matches: vec![
                    Match::Protocol(transport),
                    Match::DestinationPort(PortRange::one(from)),
                ],
                action: Action::Redirect(to),
            }],
        }],
        lease: false,
    };
    Table::create(netfilter(), &ruleset).unwrap()
}

fn udp(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = socket.local_addr().unwrap();
    (socket, at)
}

fn comes(socket: &UdpSocket) -> bool {
    socket.recv(&mut [0; 8]).is_ok()
}

/// As on any host with containers: translation stays in use when our table is gone.
fn foreign_rule() {
    let table = "table ip foreign { chain post { type nat hook postrouting priority 100; \
                 tcp dport 9 masquerade; }; }";
    let status = Command::new("nft").arg(table).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_translation_outlives_its_rule_beside_a_foreign_one_until_it_is_forgotten() {
    isolated(|| {
        foreign_rule();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let ((server, meant), (proxy, elsewhere)) = (udp(address), udp(address));
            let table = redirect(Transport::Udp, meant.port(), elsewhere.port());
            let (client, from) = udp(address);
            let (bystander, _) = udp(address);
            bystander.send_to(b"x", from).unwrap();
            let send = || client.send_to(b"x", meant).unwrap();
            send();
            assert!(comes(&proxy), "{address}");
            table.delete().unwrap();
            if address.starts_with("127") {
                send();
                assert!(
                    comes(&proxy),
                    "without that there would be nothing to forget"
                );
            }
            let mut socket = netfilter();
            let all = list(&mut socket).unwrap();
            let ours: Vec<_> = all
                .iter()
                .filter(|one| one.destination_translated)
                .collect();
            assert_eq!(ours.len(), 1, "{all:#?}");
            assert_eq!(
                (ours[0].original.source, ours[0].original.destination),
                (from, meant)
            );
            assert_eq!(ours[0].reply.source, elsewhere);
            let found = answered_by(&mut socket, &ours[0].reply).unwrap();
            assert_eq!(found.as_ref(), Some(ours[0]));
            assert_eq!(answered_by(&mut socket, &ours[0].original).unwrap(), None);
            assert!(forget(&mut socket, ours[0]).unwrap());
            assert!(!forget(&mut socket, ours[0]).unwrap(), "it is gone");
            send();
            assert!(comes(&server), "{address}");
            let left = list(&mut socket).unwrap();
            assert!(left.iter().any(|one| one.original.destination == from));
        }
    });
}

#[test]
fn all_that_was_translated_to_one_place_is_forgotten_at_once_and_nothing_else() {
    isolated(|| {
        let address = "127.0.0.1:0";
        let ((_server, meant), (proxy, elsewhere), (theirs, other)) =
            (udp(address), udp(address), udp(address));
        let _table = redirect(Transport::Udp, meant.port(), elsewhere.port());
        let clients: Vec<_> = (0..5).map(|_| udp(address).0).collect();
        for client in &clients {
            client.send_to(b"x", meant).unwrap();
            assert!(comes(&proxy));
            client.send_to(b"x", elsewhere).unwrap();
            client.send_to(b"x", other).unwrap();
            assert!(comes(&theirs));
        }
        let SocketAddr::V4(v4) = elsewhere else {
            return;
        };
        let mut socket = netfilter();
        let before = list(&mut socket).unwrap();
        if let Err(error) = forget_translated_to(&mut socket, 17, v4) {
            eprintln!("skipped: {error}");
            return;
        }
        let after = list(&mut socket).unwrap();
        let ours = |one: &&Tracked| one.destination_translated;
        let of_tuples = |all: &[Tracked], keep: bool| {
            let kept = all.iter().filter(|one| ours(one) == keep);
            kept.map(|one| one.original).collect::<HashSet<_>>()
        };
        assert_eq!(of_tuples(&before, true).len(), 5, "{address}");
        assert_eq!(of_tuples(&after, true).len(), 0, "{address}");
        assert_eq!(of_tuples(&after, false), of_tuples(&before, false));
    });
}

#[test]
fn a_redirected_connection_knows_where_it_was_meant_for() {
    isolated(|| {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let proxy = TcpListener::bind(address).unwrap();
            let own = proxy.local_addr().unwrap();
            let meant = SocketAddr::new(own.ip(), 7);
            let table = redirect(Transport::Tcp, meant.port(), own.port());
            let _client = TcpStream::connect(meant).unwrap();
            let (redirected, _) = proxy.accept().unwrap();
            assert_eq!(original_destination(&redirected).unwrap(), meant);
            let _direct = TcpStream::connect(own).unwrap();
            let (direct, _) = proxy.accept().unwrap();
            assert_eq!(original_destination(&direct).unwrap(), own);
            table.delete().unwrap();
        }
    });
}
