//! Each match, with packets that it holds for and packets that it does not hold for.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::*;
use super::lab::*;

const SENT: usize = 5;

/// Drops at `far` what the matches hold for: all of `dropped`, none of `passing`; and the other way
/// round for the `Not` of the last match.
fn drops(lab: &Lab, matches: &[Match], dropped: SocketAddr, passing: SocketAddr) {
    let ruleset = filter(Hook::Input, vec![rule(matches.to_vec(), Action::Drop)]);
    let mut table = lab.table(&ruleset);
    assert_eq!(lab.arrived(dropped, SENT), 0, "{matches:?} of {dropped}");
    assert_eq!(lab.arrived(passing, SENT), SENT, "{matches:?} of {passing}");
    assert_eq!(packets(&mut table), [SENT as u64], "{matches:?}");
    table.delete().unwrap();
}

fn drops_either_way(lab: &Lab, one: Match, dropped: SocketAddr, passing: SocketAddr) {
    let mut matches = udp_to(PORT);
    if dropped.port() != passing.port() {
        matches.truncate(1);
    }
    let mut negated = matches.clone();
    matches.push(one.clone());
    drops(lab, &matches, dropped, passing);
    negated.push(not(one));
    drops(lab, &negated, passing, dropped);
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

#[test]
fn addresses_and_families_hold_for_their_packets_only() {
    let Some(lab) = Lab::new() else { return };
    for one in [
        Match::Family(IpVersion::V4),
        Match::Source(prefix("10.77.0.1")),
        Match::Source(prefix("10.77.0.0/31")),
        Match::Destination(prefix("10.64.0.0/10")),
        Match::Destination(prefix("0.0.0.0/0")),
    ] {
        drops_either_way(&lab, one, v4(), v6());
    }
    for one in [
        Match::Family(IpVersion::V6),
        Match::Source(prefix("fd77::1")),
        Match::Destination(prefix("fd77::/17")),
        Match::Destination(prefix("::/0")),
    ] {
        drops_either_way(&lab, one, v6(), v4());
    }
}

#[test]
fn a_set_of_thousands_of_prefixes_holds_for_its_members() {
    let Some(lab) = Lab::new() else { return };
    let mut set: Vec<Prefix> = (0..=255)
        .flat_map(|a| (0..16).map(move |b| format!("172.{b}.{a}.64/26")))
        .map(|text| prefix(&text))
        .collect();
    set.extend((0..2000).map(|n| prefix(&format!("2001:db8:{n:x}::/48"))));
    let mut with_v4 = set.clone();
    with_v4.push(prefix("10.77.0.0/24"));
    drops_either_way(&lab, Match::SourceSet(with_v4.clone()), v4(), v6());
    drops_either_way(&lab, Match::DestinationSet(with_v4), v4(), v6());
    set.push(prefix("fd77::/64"));
    drops_either_way(&lab, Match::SourceSet(set.clone()), v6(), v4());
    set.push(prefix("255.255.255.0/24"));
    drops_either_way(&lab, Match::DestinationSet(set), v6(), v4());
    // Of both versions: everything, as one rule to the reader.
    let both = vec![prefix("10.77.0.0/24"), prefix("fd77::/64")];
    let mut matches = udp_to(PORT);
    matches.push(Match::SourceSet(both));
    let mut table = lab.table(&filter(Hook::Input, vec![rule(matches, Action::Drop)]));
    assert_eq!((lab.arrived(v4(), SENT), lab.arrived(v6(), SENT)), (0, 0));
    assert_eq!(packets(&mut table), [2 * SENT as u64]);
}

#[test]
fn ports_and_protocols_hold_for_their_packets_only() {
    let Some(lab) = Lab::new() else { return };
    let mut other = v4();
    other.set_port(PORT + 2);
    let ports = |first, last| PortRange { first, last };
    for range in [ports(PORT, PORT), ports(PORT - 1, PORT + 1)] {
        drops_either_way(&lab, Match::DestinationPort(range), v4(), other);
    }
    let mut matches = udp_to(PORT);
    matches.push(Match::SourcePort(ports(6000, 7000)));
    let mut table = lab.table(&filter(Hook::Input, vec![rule(matches, Action::Drop)]));
    assert_eq!(lab.arrived_from(6500, v4(), SENT), 0);
    assert_eq!(lab.arrived_from(7001, v4(), SENT), SENT);
    assert_eq!(packets(&mut table), [SENT as u64]);
    table.delete().unwrap();

    let tcp = vec![Match::Protocol(Transport::Tcp)];
    let table = lab.table(&filter(Hook::Input, vec![rule(tcp, Action::Drop)]));
    assert_eq!(lab.arrived(v4(), SENT), SENT);
    assert!(lab.connect(v4(), PORT).is_err());
    table.delete().unwrap();
    assert!(lab.connect(v4(), PORT).is_ok());
}

#[test]
fn interfaces_hold_by_their_whole_name() {
    let Some(lab) = Lab::new() else { return };
    for (hook, one, expected) in [
        (Hook::Input, Match::InInterface("far0".into()), 0),
        (Hook::Input, Match::InInterface("far".into()), SENT),
        (Hook::Input, Match::InInterface("lo".into()), SENT),
        (Hook::Input, not(Match::InInterface("lo".into())), 0),
    ] {
        let mut matches = udp_to(PORT);
        matches.push(one.clone());
        let table = lab.table(&filter(hook, vec![rule(matches, Action::Drop)]));
        assert_eq!(lab.arrived(v4(), SENT), expected, "{one:?}");
        table.delete().unwrap();
    }
    for (name, expected) in [("near0", 0), ("near", SENT)] {
        let mut matches = udp_to(PORT);
        matches.push(Match::OutInterface(name.to_owned()));
        let table = near_table(&lab, matches);
        assert_eq!(lab.arrived(v4(), SENT), expected, "{name}");
        table.delete().unwrap();
    }
}

/// Drops on the way out of `near`.
fn near_table(lab: &Lab, matches: Vec<Match>) -> Table {
    let ruleset = filter(Hook::Output, vec![rule(matches, Action::Drop)]);
    in_namespace(&lab.near, || {
        let socket = crate::netlink::Socket::open(crate::netlink::Protocol::Netfilter)?;
        Table::create(socket, &ruleset)
    })
}

#[test]
fn a_share_is_dropped_within_its_binomial_bounds_and_counted_exactly() {
    let Some(lab) = Lab::new() else { return };
    let sent = 4000;
    for (share, inverted) in [(0.3, false), (0.3, true), (0.0, false), (1.0, false)] {
        let one = Match::Random { share };
        let mut matches = udp_to(PORT);
        matches.push(if inverted { not(one) } else { one });
        let mut table = lab.table(&filter(Hook::Input, vec![rule(matches, Action::Drop)]));
        let lost = sent - lab.arrived(v4(), sent);
        let wanted = if inverted { 1.0 - share } else { share };
        let mean = wanted * sent as f64;
        let deviation = (mean * (1.0 - wanted)).sqrt();
        // Seven standard deviations: less than one failure in 10^11 runs.
        assert!(
            (lost as f64 - mean).abs() <= 7.0 * deviation,
            "{lost} of {share}"
        );
        assert_eq!(packets(&mut table), [lost as u64]);
        table.delete().unwrap();
    }
}

#[test]
fn tcp_flags_stop_new_connections_and_leave_old_ones() {
    let Some(lab) = Lab::new() else { return };
    let listener = in_namespace(&lab.far, || Ok(std::net::TcpListener::bind(v4()).unwrap()));
    let mut old = in_namespace(
        &lab.near,
        || Ok(std::net::TcpStream::connect(v4()).unwrap()),
    );
    let (mut accepted, _) = listener.accept().unwrap();
    let matches = vec![
        Match::Protocol(Transport::Tcp),
        Match::TcpFlags {
            mask: 0x12,
            value: 0x02,
        },
    ];
    let _table = lab.table(&filter(Hook::Input, vec![rule(matches, Action::Drop)]));
    let new = in_namespace(&lab.near, || {
        Ok(std::net::TcpStream::connect_timeout(
            &v4(),
            Duration::from_millis(500),
        ))
    });
    assert!(new.is_err());
    old.write_all(b"still here").unwrap();
    accepted
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut heard = [0; 10];
    std::io::Read::read_exact(&mut accepted, &mut heard).unwrap();
    assert_eq!(&heard, b"still here");
}

#[test]
fn connection_states_hold_for_new_and_for_answered_flows() {
    let Some(lab) = Lab::new() else { return };
    let state = |states: &[ConnectionState]| Match::ConnectionState(states.to_vec());
    let mut matches = udp_to(PORT);
    matches.push(state(&[
        ConnectionState::Established,
        ConnectionState::Related,
    ]));
    let mut table = lab.table(&filter(Hook::Input, vec![rule(matches, Action::Drop)]));
    let receiver = udp(&lab.far, v4());
    let sender = udp(&lab.near, SocketAddr::from(([10, 77, 0, 1], SOURCE)));
    assert_eq!(transfer(&sender, &receiver, v4(), SENT), SENT);
    receiver
        .send_to(b"answer", sender.local_addr().unwrap())
        .unwrap();
    sender
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    sender.recv(&mut [0; 16]).unwrap();
    assert_eq!(transfer(&sender, &receiver, v4(), SENT), 0);
    assert_eq!(packets(&mut table), [SENT as u64]);
    drop((receiver, sender));
    table.delete().unwrap();

    for (one, expected) in [
        (state(&[ConnectionState::New]), 0),
        (not(state(&[ConnectionState::New])), SENT),
    ] {
        let mut matches = udp_to(PORT);
        matches.push(one);
        let table = lab.table(&filter(Hook::Input, vec![rule(matches, Action::Drop)]));
        assert_eq!(lab.arrived_from(5600, v4(), SENT), expected);
        table.delete().unwrap();
    }
}

#[test]
fn a_user_is_known_by_the_socket() {
    let Some(lab) = Lab::new() else { return };
    let uid = rustix::process::geteuid().as_raw();
    for (one, expected) in [
        (Match::UserId(uid), 0),
        (Match::UserId(uid + 1), SENT),
        (not(Match::UserId(uid + 1)), 0),
    ] {
        let mut matches = udp_to(PORT);
        matches.push(one.clone());
        let table = near_table(&lab, matches);
        assert_eq!(lab.arrived(v4(), SENT), expected, "{one:?}");
        table.delete().unwrap();
    }
}

/// The first mounted cgroup2 file system.
fn cgroup2() -> Option<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"cgroup2"))
        .and_then(|fields| fields.get(1).map(std::path::PathBuf::from))
}

#[test]
fn a_cgroup_v2_is_known_by_the_socket_of_its_process() {
    let Some(lab) = Lab::new() else { return };
    let Some(root) = cgroup2() else {
        eprintln!("skipped: no cgroup2 file system is mounted");
        return;
    };
    let path = root.join(format!("firedrill-test-nft-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir(&path) {
        eprintln!("skipped: no cgroup can be made: {error}");
        return;
    }
    let mut matches = udp_to(PORT);
    matches.push(Match::CgroupV2 {
        path: path.clone(),
        level: 1,
    });
    let mut table = near_table(&lab, matches);
    let receiver = udp(&lab.far, v4());
    let send = format!("for i in 1 2 3; do echo x > /dev/udp/10.77.0.2/{PORT}; done; true");
    let member = format!(
        "echo $$ > {}/cgroup.procs && {{ {send}; }} 2>&1",
        path.display()
    );
    shell(&lab.near, &member);
    let count = |receiver: &std::net::UdpSocket| {
        receiver
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        std::iter::from_fn(|| receiver.recv(&mut [0; 16]).ok()).count()
    };
    let from_member = count(&receiver);
    let counted = packets(&mut table);
    shell(&lab.near, &send);
    let from_others = count(&receiver);
    table.delete().unwrap();
    std::fs::remove_dir(&path).unwrap();
    assert_eq!((from_member, from_others), (0, 3));
    assert_eq!(counted, [3]);
}

#[test]
fn a_net_class_is_known_by_the_socket_of_its_process() {
    let Some(lab) = Lab::new() else { return };
    let receiver = udp(&lab.far, v4());
    let mut matches = udp_to(PORT);
    matches.push(Match::NetClass(0x0010_0007));
    let mut table = near_table(&lab, matches);
    let send = format!("for i in 1 2 3; do echo x > /dev/udp/10.77.0.2/{PORT}; done");
    let mut script = String::new();
    // The mount ends with the mount namespace of the script.
    write!(
        script,
        "d=$(mktemp -d) && trap 'rmdir $d' EXIT && export d && unshare -m bash -c '\
         mount -t cgroup -o net_cls none $d || exit 9; mkdir $d/firedrill-test-nft-$$ || exit 9; \
         c=$d/firedrill-test-nft-$$; echo 0x00100007 > $c/net_cls.classid; \
         echo $BASHPID > $c/cgroup.procs; {{ {send}; }} 2>&1; \
         echo $BASHPID > $d/cgroup.procs; rmdir $c; umount $d' || echo skipped"
    )
    .unwrap();
    let said = shell(&lab.near, &script);
    if said.contains("skipped") {
        eprintln!("skipped: no net_cls hierarchy can be mounted");
        return;
    }
    receiver
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let arrived = std::iter::from_fn(|| receiver.recv(&mut [0; 16]).ok()).count();
    assert_eq!((arrived, packets(&mut table)), (0, vec![3]));
    shell(&lab.near, &send);
    let arrived = std::iter::from_fn(|| receiver.recv(&mut [0; 16]).ok()).count();
    assert_eq!(arrived, 3);
}
