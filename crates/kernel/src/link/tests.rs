use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::namespace::in_fresh;
use crate::netlink::Protocol;

/// Runs a test in a namespace that ends with it; skips it without the privilege.
fn isolated(test: impl FnOnce(&mut Socket) + Send) {
    let outcome = in_fresh(|| {
        test(&mut Socket::open(Protocol::Route)?);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(KernelError::Call { call, source }) => {
            eprintln!("skipped: {call}: {source}");
        }
        Err(error) => panic!("{error}"),
    }
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Addresses and routes, without what counts down or settles by itself: lifetimes, the carrier, and
/// the kernel's detection of duplicates for its own link-local address.
fn settled(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| line.contains("inet") || !line.contains("lft") && !line.contains("mtu 1500"))
        .filter(|line| !line.contains("link/") && !line.contains("local fe80"))
        .map(|line| line.replace(" tentative", "").replace(" linkdown", ""))
        .map(|line| line.trim().to_owned())
        .collect();
    lines.sort();
    lines
}

#[test]
fn interfaces_are_those_of_ip() {
    isolated(|socket| {
        add_veth(socket, "v0", "v1").unwrap();
        let found = list(socket).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|interface| interface.name.as_str())
            .collect();
        assert!(names.contains(&"v0") && names.contains(&"v1") && names.contains(&"lo"));
        let lines = ip("-o link").lines().count();
        assert_eq!(found.len(), lines);
        let v0 = by_name(socket, "v0").unwrap().unwrap();
        assert_eq!(v0.kind.as_deref(), Some("veth"));
        assert_eq!((v0.mtu, v0.is_up()), (1500, false));
        assert!(by_name(socket, "lo").unwrap().unwrap().is_loopback());
        assert_eq!(by_name(socket, "nobody").unwrap(), None);
        assert!(remove(socket, v0.index).unwrap());
        assert!(!remove(socket, v0.index).unwrap());
        assert!(!set_up(socket, v0.index, true).unwrap());
    });
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    isolated(|socket| {
        assert!(add(socket, "sixteen-letters-", "ifb").is_err());
        assert!(add(socket, "", "ifb").is_err());
        let error = add(socket, "x0", "no-such-kind").unwrap_err();
        assert!(is_unknown_kind(&error), "{error}");
    });
}

#[test]
fn what_down_takes_away_is_restored() {
    isolated(|socket| {
        add_veth(socket, "v0", "v1").unwrap();
        let v0 = by_name(socket, "v0").unwrap().unwrap().index;
        let v1 = by_name(socket, "v1").unwrap().unwrap().index;
        set_up(socket, v0, true).unwrap();
        set_up(socket, v1, true).unwrap();
        for command in [
            "addr add 10.77.0.1/24 dev v0",
            "addr add 10.77.0.9/32 dev v0 label v0:x",
            "-6 addr add fd77::1/64 dev v0 nodad",
            "-6 addr add fd78::1/64 dev v0 nodad noprefixroute",
            "route add default via 10.77.0.254 metric 50 src 10.77.0.9",
            "route add 192.0.2.0/24 via 10.77.0.253 proto static mtu 1400",
            "route add 198.51.100.0/24 dev v0 table 77",
            "route add 203.0.113.0/24 nexthop via 10.77.0.2 weight 2 nexthop via 10.77.0.3",
            "-6 route add default via fd77::fe metric 99",
            "-6 route add 2001:db8::/32 dev v0",
        ] {
            ip(command);
        }
        let show = || {
            [
                "addr show dev v0",
                "route show table all",
                "-6 route show table all",
            ]
            .map(|command| settled(&ip(command)))
        };
        let before = show();
        let paths = Paths::of(socket, v0).unwrap();
        set_up(socket, v0, false).unwrap();
        let down = Paths::of(socket, v0).unwrap();
        assert!(!paths.missing(&down).routes.is_empty());
        assert!(!paths.missing(&down).addresses.is_empty());
        set_up(socket, v0, true).unwrap();
        assert_ne!(show(), before);
        let left = paths.restore(socket).unwrap();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(show(), before);
        // Once more does nothing.
        assert!(paths.restore(socket).unwrap().is_empty());
        assert_eq!(show(), before);
    });
}

#[test]
fn paths_are_plain_data() {
    isolated(|socket| {
        set_up(socket, 1, true).unwrap();
        let paths = Paths::of(socket, 1).unwrap();
        assert!(!paths.addresses.is_empty());
        let text = serde_json::to_string(&paths).unwrap();
        assert_eq!(serde_json::from_str::<Paths>(&text).unwrap(), paths);
    });
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let reply = Parsed { kind: 16, flags: 0, sequence: 0, payload };
        let _ = Interface::parse(&reply);
        let header = reply.header::<8>().and_then(|header| word(&header, 4)).unwrap_or(0);
        let _ = Address::parse(&reply, header);
        let _ = Route::parse(&reply, 1);
    }

    #[test]
    fn any_next_hops_are_read_without_an_endless_loop(hops in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut payload = vec![2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        payload.extend_from_slice(Attributes::new().bytes(9, &hops).as_bytes());
        let reply = Parsed { kind: 24, flags: 0, sequence: 0, payload };
        let _ = Route::parse(&reply, 1);
    }
}
