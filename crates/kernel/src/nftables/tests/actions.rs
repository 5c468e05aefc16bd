//! Each action, as the sockets at both ends see it.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::netlink::{Protocol, Socket};

use super::super::*;
use super::lab::*;

const SENT: usize = 5;

#[test]
fn accept_and_return_keep_later_rules_away() {
    let Some(lab) = Lab::new() else { return };
    for (first, expected) in [
        (Action::Accept, SENT),
        (Action::Return, SENT),
        (Action::Drop, 0),
    ] {
        let rules = vec![rule(udp_to(PORT), first), rule(udp_to(PORT), Action::Drop)];
        let mut table = lab.table(&filter(Hook::Input, rules));
        assert_eq!(lab.arrived(v4(), SENT), expected, "{first:?}");
        assert_eq!(packets(&mut table), [SENT as u64, 0]);
        table.delete().unwrap();
    }
}

#[test]
fn a_mark_is_set_and_matched() {
    let Some(lab) = Lab::new() else { return };
    let mark = |value| Match::Mark { mask: 0xff0, value };
    let mut marked = udp_to(PORT);
    marked.push(mark(0x120));
    let mut other = udp_to(PORT);
    other.push(not(mark(0x120)));
    let mut ruleset = filter(
        Hook::Input,
        vec![rule(marked, Action::Drop), rule(other, Action::Drop)],
    );
    ruleset.chains.push(Chain {
        name: "marking".to_owned(),
        hook: Hook::Prerouting,
        kind: ChainKind::Filter,
        priority: -150,
        rules: vec![rule(udp_to(PORT), Action::SetMark(0x1123))],
    });
    let mut table = lab.table(&ruleset);
    assert_eq!(lab.arrived(v4(), SENT), 0);
    assert_eq!(packets(&mut table), [SENT as u64, 0, SENT as u64]);
}

#[test]
fn a_reset_refuses_the_connection_at_once() {
    let Some(lab) = Lab::new() else { return };
    let tcp = vec![Match::Protocol(Transport::Tcp)];
    let mut table = lab.table(&filter(Hook::Input, vec![rule(tcp, Action::RejectReset)]));
    for to in [v4(), v6()] {
        let error = lab.connect(to, PORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
    assert_eq!(packets(&mut table), [2]);
}

/// What the sender of a datagram hears back.
fn heard_back(lab: &Lab, to: SocketAddr) -> Option<ErrorKind> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let _receiver = udp(&lab.far, to);
    let socket: UdpSocket = udp(&lab.near, any.parse().unwrap());
    socket.connect(to).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    socket.send(b"firedrill").unwrap();
    let error = socket.recv(&mut [0; 16]).unwrap_err();
    (error.kind() != ErrorKind::WouldBlock).then_some(error.kind())
}

#[test]
fn an_icmp_error_reaches_the_sender_with_its_reason() {
    let Some(lab) = Lab::new() else { return };
    for (reason, of_v4, of_v6) in [
        (
            IcmpReason::PortUnreachable,
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionRefused,
        ),
        (
            IcmpReason::AdminProhibited,
            ErrorKind::HostUnreachable,
            ErrorKind::PermissionDenied,
        ),
        (
            IcmpReason::HostUnreachable,
            ErrorKind::HostUnreachable,
            ErrorKind::HostUnreachable,
        ),
        (
            IcmpReason::NoRoute,
            ErrorKind::NetworkUnreachable,
            ErrorKind::NetworkUnreachable,
        ),
    ] {
        let rules = vec![rule(udp_to(PORT), Action::RejectIcmp(reason))];
        let table = lab.table(&filter(Hook::Input, rules));
        let heard = [v4(), v6()].map(|to| heard_back(&lab, to));
        // Linux tells an unconnected or connected UDP socket only of hard errors (RFC 1122).
        let hard = |kind| match reason {
            IcmpReason::PortUnreachable | IcmpReason::AdminProhibited => Some(kind),
            _ => None,
        };
        assert_eq!(heard, [hard(of_v4), hard(of_v6)], "{reason:?}");
        table.delete().unwrap();
        assert_eq!(heard_back(&lab, v4()), None);
    }
}

#[test]
fn a_queue_without_a_listener_passes_with_bypass_and_drops_without_by_every_mechanism() {
    let Some(lab) = Lab::new() else { return };
    let mut tried = 0;
    for mechanism in [
        QueueMechanism::Native,
        QueueMechanism::Compat,
        QueueMechanism::CompatSplit,
    ] {
        for (bypass, expected) in [(true, SENT), (false, 0)] {
            let queue = Action::Queue { number: 77, bypass };
            let mut ruleset = filter(Hook::Input, vec![rule(udp_to(PORT), queue)]);
            ruleset.lease = true;
            let mut socket = lab.far_socket();
            let owned = match make(&mut socket, &ruleset, mechanism) {
                Ok(owned) => owned,
                Err(error) => {
                    eprintln!("skipped: {mechanism:?}: {error}");
                    continue;
                }
            };
            tried += 1;
            let mut table = Table::made(socket, &ruleset, owned, Some(mechanism));
            assert!(lab.passes(v4()) && lab.passes(v6()), "no lease yet");
            table.renew(Duration::from_secs(60)).unwrap();
            assert_eq!(lab.arrived(v4(), SENT), expected, "{mechanism:?} {bypass}");
            assert_eq!(lab.arrived(v6(), SENT), expected, "{mechanism:?} {bypass}");
            assert_eq!(packets(&mut table), [2 * SENT as u64], "{mechanism:?}");
            table.delete().unwrap();
            assert_eq!(tables(&mut lab.far_socket()).unwrap(), []);
        }
    }
    if tried == 0 {
        eprintln!("skipped: this kernel has no packet queue");
    }
}

#[test]
fn classified_packets_go_to_their_class() {
    let Some(lab) = Lab::new() else { return };
    shell(
        &lab.near,
        "tc qdisc add dev near0 root handle 1: htb default 1 \
         && tc class add dev near0 parent 1: classid 1:1 htb rate 1gbit \
         && tc class add dev near0 parent 1: classid 1:5 htb rate 1gbit",
    );
    let rules = vec![rule(udp_to(PORT), Action::Classify(0x0001_0005))];
    let ruleset = filter(Hook::Postrouting, rules);
    let table = in_namespace(&lab.near, || {
        Table::create(Socket::open(Protocol::Netfilter)?, &ruleset)
    });
    assert_eq!(lab.arrived(v4(), SENT), SENT);
    table.delete().unwrap();
    let shown = shell(&lab.near, "tc -s class show dev near0 classid 1:5");
    assert!(shown.contains(&format!(" {SENT} pkt")), "{shown}");
}

#[test]
fn a_redirect_leads_to_another_port_of_the_host() {
    let Some(lab) = Lab::new() else { return };
    let matches = vec![
        Match::Protocol(Transport::Tcp),
        Match::DestinationPort(PortRange::one(PORT)),
    ];
    let mut ruleset = filter(
        Hook::Prerouting,
        vec![rule(matches, Action::Redirect(PORT + 1))],
    );
    ruleset.chains[0].kind = ChainKind::Nat;
    ruleset.chains[0].priority = -100;
    assert!(lab.connect(v4(), PORT + 1).is_err());
    let table = lab.table(&ruleset);
    assert!(lab.connect(v4(), PORT + 1).is_ok());
    assert!(lab.connect(v6(), PORT + 1).is_ok());
    table.delete().unwrap();
    assert!(lab.connect(v4(), PORT + 1).is_err());
}
