use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::link;
use crate::namespace::in_fresh;
use crate::netlink::Protocol;

/// Runs a test in a namespace that ends with it; skips it without the privilege.
fn isolated(test: impl FnOnce(&mut Socket) + Send) {
    let outcome = in_fresh(|| {
        link::set_up(&mut Socket::open(Protocol::Route)?, 1, true)?;
        test(&mut Socket::open(Protocol::SockDiag)?);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(KernelError::Call { call, source }) => eprintln!("skipped: {call}: {source}"),
        Err(error) => panic!("{error}"),
    }
}

fn connected(address: &str) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind(address).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (listener, client, server)
}

fn established() -> Wanted {
    Wanted {
        states: vec![State::Established],
        ..Wanted::default()
    }
}

fn prefix(address: &str, length: u8) -> Option<Prefix> {
    Some(Prefix {
        address: address.parse().unwrap(),
        length,
    })
}

/// Local and remote, as `ss` lists them.
fn ss(arguments: &str) -> Vec<(String, String)> {
    let output = Command::new("ss")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let mut rows: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields[3].to_owned(), fields[4].to_owned())
        })
        .collect();
    rows.sort();
    rows
}

/// In the notation of `ss`.
fn shown(address: SocketAddr) -> String {
    let port = match address.port() {
        0 => "*".to_owned(),
        port => port.to_string(),
    };
    match address {
        SocketAddr::V4(address) => format!("{}:{port}", address.ip()),
        SocketAddr::V6(address) => format!("[{}]:{port}", address.ip()),
    }
}

fn rows(found: &[Found]) -> Vec<(String, String)> {
    let mut rows: Vec<_> = found
        .iter()
        .map(|found| (shown(found.local), shown(found.remote)))
        .collect();
    rows.sort();
    rows
}

#[test]
fn the_same_sockets_are_seen_as_by_ss() {
    isolated(|socket| {
        let _four = connected("127.0.0.1:0");
        let _six = connected("[::1]:0");
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = list(socket, Transport::Tcp, &Wanted::default()).unwrap();
        assert_eq!(tcp.len(), 6);
        assert_eq!(rows(&tcp), ss("-tanH"));
        let datagram = list(socket, Transport::Udp, &Wanted::default()).unwrap();
        assert_eq!(rows(&datagram), ss("-uanH"));
        assert_eq!(datagram[0].local, udp.local_addr().unwrap());
        assert_eq!(datagram[0].state, State::Closed);
        assert!(tcp.iter().all(|found| found.uid == 0 && found.cookie != 0));
    });
}

#[test]
fn sockets_are_chosen_by_address_port_state_and_process() {
    isolated(|socket| {
        let (listener, client, _server) = connected("127.0.0.1:0");
        let port = listener.local_addr().unwrap().port();
        let mut count = |wanted: Wanted| list(socket, Transport::Tcp, &wanted).unwrap().len();
        assert_eq!(count(established()), 2);
        let to_port = Wanted {
            remote_ports: Some((port, port)),
            ..established()
        };
        assert_eq!(count(to_port.clone()), 1);
        assert_eq!(
            count(Wanted {
                remote: prefix("127.0.0.0", 8),
                ..to_port.clone()
            }),
            1
        );
        assert_eq!(
            count(Wanted {
                remote: prefix("10.0.0.0", 8),
                ..to_port.clone()
            }),
            0
        );
        assert_eq!(
            count(Wanted {
                local: prefix("::", 0),
                ..to_port.clone()
            }),
            0
        );
        assert_eq!(
            count(Wanted {
                uid: Some(4711),
                ..to_port.clone()
            }),
            0
        );
        let mine = inodes_of(std::process::id()).unwrap();
        assert_eq!(
            count(Wanted {
                inodes: Some(mine),
                ..to_port.clone()
            }),
            1
        );
        let others = Some(inodes_of(1).unwrap_or_default());
        assert_eq!(
            count(Wanted {
                inodes: others,
                ..to_port
            }),
            0
        );
        let listening = Wanted {
            states: vec![State::Listen],
            ..Wanted::default()
        };
        assert_eq!(count(listening), 1);
        drop(client);
    });
}

#[test]
fn a_destroyed_connection_is_reset_at_both_ends() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        isolated(|socket| {
            let (listener, mut client, mut server) = connected(address);
            let wanted = Wanted {
                local_ports: Some((
                    client.local_addr().unwrap().port(),
                    client.local_addr().unwrap().port(),
                )),
                ..established()
            };
            let found = list(socket, Transport::Tcp, &wanted).unwrap();
            assert_eq!(found.len(), 1);
            assert!(destroy(socket, &found[0]).unwrap());
            let mut buffer = [0; 8];
            let own = client.read(&mut buffer).unwrap_err();
            assert_eq!(own.raw_os_error(), Some(libc::ECONNABORTED));
            let peer = server.read(&mut buffer).unwrap_err();
            assert_eq!(peer.kind(), io::ErrorKind::ConnectionReset);
            assert!(!destroy(socket, &found[0]).unwrap());
            assert_eq!(ss("-tanH state established").len(), 0);
            assert!(TcpStream::connect(listener.local_addr().unwrap()).is_ok());
        });
    }
}

#[test]
fn an_ipv4_peer_of_an_ipv6_socket_is_found_by_its_ipv4_address_and_destroyed() {
    isolated(|socket| {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (_server, _) = listener.accept().unwrap();
        let wanted = Wanted {
            local_ports: Some((port, port)),
            remote: prefix("127.0.0.1", 32),
            ..established()
        };
        let found = list(socket, Transport::Tcp, &wanted).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].local.is_ipv6());
        assert!(destroy(socket, &found[0]).unwrap());
        let error = client.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn another_cookie_is_another_socket() {
    isolated(|socket| {
        let (_listener, mut client, mut server) = connected("127.0.0.1:0");
        let mut found = list(socket, Transport::Tcp, &established())
            .unwrap()
            .remove(0);
        found.cookie ^= 1 << 40;
        assert!(!destroy(socket, &found).unwrap());
        client.write_all(b"alive").unwrap();
        let mut buffer = [0; 5];
        server.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"alive");
    });
}

#[test]
fn the_cgroup_of_a_socket_is_that_of_its_maker() {
    let mounts = crate::mounts::list().unwrap();
    let Some(unified) = mounts.iter().find(|mount| mount.kind == "cgroup2") else {
        eprintln!("skipped: no unified hierarchy is mounted");
        return;
    };
    let groups = crate::process::cgroups(std::process::id())
        .unwrap()
        .unwrap();
    let own = groups
        .into_iter()
        .find(|(controllers, _)| controllers.is_empty())
        .unwrap()
        .1;
    let path = unified.point.join(own.strip_prefix("/").unwrap());
    let id = cgroup_id(&path).unwrap();
    isolated(|socket| {
        let _pair = connected("127.0.0.1:0");
        let wanted = Wanted {
            cgroup: Some(id),
            ..established()
        };
        assert_eq!(list(socket, Transport::Tcp, &wanted).unwrap().len(), 2);
        let wanted = Wanted {
            cgroup: Some(id + 1),
            ..established()
        };
        assert!(list(socket, Transport::Tcp, &wanted).unwrap().is_empty());
    });
}

#[test]
fn a_prefix_of_any_length_is_compared() {
    let in_prefix =
        |prefix: Option<Prefix>, address: &str| prefix.unwrap().contains(address.parse().unwrap());
    assert!(in_prefix(prefix("10.1.0.0", 16), "10.1.255.3"));
    assert!(!in_prefix(prefix("10.1.0.0", 16), "10.2.0.0"));
    assert!(in_prefix(prefix("0.0.0.0", 0), "203.0.113.9"));
    assert!(in_prefix(prefix("10.0.0.1", 255), "10.0.0.1"));
    assert!(!in_prefix(prefix("10.0.0.1", 255), "10.0.0.2"));
    assert!(in_prefix(prefix("2001:db8::", 32), "2001:db8:1::9"));
    assert!(!in_prefix(prefix("2001:db8::", 128), "2001:db8::1"));
    assert!(in_prefix(prefix("10.0.0.0", 8), "::ffff:10.2.3.4"));
    assert!(!in_prefix(prefix("::", 0), "10.2.3.4"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let reply = Parsed { kind: 20, flags: 0, sequence: 0, payload };
        if let Some(found) = Found::parse(&reply, Transport::Tcp) {
            // What was read is what is asked for again.
            prop_assert_eq!(&found.id()[..4], &reply.payload[4..8]);
            prop_assert_eq!(&found.id()[36..], &reply.payload[40..52]);
            let _ = established().matches(&found);
        }
    }
}
