use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::process::Command;

use super::*;
use crate::link;
use crate::namespace::in_fresh;
use crate::netlink::Protocol;

const LOOPBACK: u32 = 1;

/// Runs a test in a namespace that ends with it; skips it without the privilege.
fn isolated(test: impl FnOnce(&mut Socket) + Send) {
    let outcome = in_fresh(|| {
        let mut socket = Socket::open(Protocol::Route)?;
        link::set_up(&mut socket, LOOPBACK, true)?;
        test(&mut socket);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(KernelError::Call { call, source }) => eprintln!("skipped: {call}: {source}"),
        Err(error) => panic!("{error}"),
    }
}

fn tc(arguments: &str) -> String {
    let output = Command::new("tc")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "tc {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn tbf() -> Discipline {
    Discipline::Tbf(Tbf {
        bytes_per_second: 1_000_000,
        burst_bytes: 20_480,
        limit_bytes: 60_000,
    })
}

fn ours() -> Spot {
    Spot::root(LOOPBACK, Handle::of_major(0xfd01))
}

#[test]
fn a_rate_limit_is_the_one_that_tc_shows_and_goes_without_a_trace() {
    isolated(|socket| {
        let before = Configuration::of(socket, LOOPBACK).unwrap();
        assert!(before.is_default());
        add(socket, ours(), &tbf()).unwrap();
        let shown = tc("qdisc show dev lo");
        assert!(
            shown.contains("tbf fd01: root refcnt 2 rate 8Mbit burst 20Kb"),
            "{shown}"
        );
        let during = Configuration::of(socket, LOOPBACK).unwrap();
        assert!(!during.is_default());
        assert_ne!(during, before);
        assert_eq!(delete(socket, ours()).unwrap(), Deletion::Deleted);
        assert_eq!(Configuration::of(socket, LOOPBACK).unwrap(), before);
        assert_eq!(delete(socket, ours()).unwrap(), Deletion::Gone);
    });
}

#[test]
fn a_wide_rate_is_the_one_that_tc_shows() {
    isolated(|socket| {
        let wide = Discipline::Tbf(Tbf {
            bytes_per_second: 10_000_000_000,
            burst_bytes: 10 << 20,
            limit_bytes: 300_000,
        });
        add(socket, ours(), &wide).unwrap();
        let shown = tc("qdisc show dev lo");
        // tc itself rounds what it shows of 10 MiB.
        assert!(shown.contains("rate 80Gbit burst 10480000b"), "{shown}");
    });
}

#[test]
fn somebody_elses_discipline_is_never_deleted_or_replaced() {
    isolated(|socket| {
        tc("qdisc add dev lo root handle 7: tbf rate 1mbit burst 10kb limit 30000");
        let before = tc("qdisc show dev lo");
        assert!(add(socket, ours(), &tbf()).is_err());
        assert_eq!(delete(socket, ours()).unwrap(), Deletion::Differs);
        assert_eq!(tc("qdisc show dev lo"), before);
        assert!(!root(socket, LOOPBACK).unwrap().unwrap().is_default());
    });
}

#[test]
fn an_interface_that_vanished_counts_as_deleted() {
    isolated(|socket| {
        let spot = Spot {
            interface: 4711,
            ..ours()
        };
        assert_eq!(delete(socket, spot).unwrap(), Deletion::Gone);
        assert!(Configuration::of(socket, 4711).unwrap().parts.is_empty());
    });
}

#[test]
fn a_missing_discipline_is_said_to_be_missing() {
    isolated(|socket| {
        let netem = Discipline::Netem(Netem {
            delay_ns: 1_000_000,
            ..Netem::default()
        });
        match add(socket, ours(), &netem) {
            Err(QdiscError::Missing { kind }) => {
                assert_eq!(kind, "netem");
                assert!(matches!(netem_usable(), Err(QdiscError::Missing { .. })));
            }
            Ok(()) => {
                assert!(netem_usable().is_ok());
                assert!(tc("qdisc show dev lo").contains("delay 1ms"));
            }
            Err(error) => panic!("{error}"),
        }
        let nowhere = Spot {
            parent: Handle(0x0042_0001),
            ..ours()
        };
        // A missing parent is not taken for a missing discipline.
        assert!(matches!(
            add(socket, nowhere, &tbf()),
            Err(QdiscError::Kernel(_))
        ));
    });
}

/// Which kind of bands this kernel has; `None`, said aloud, where it has none.
fn bands(count: u16) -> Option<Bands> {
    match bands_usable() {
        Ok(kind) => Some(Bands {
            interface: LOOPBACK,
            handle: Handle::of_major(0xfd00),
            kind,
            count,
        }),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn statistics(socket: &mut Socket, handle: Handle) -> Statistics {
    let qdiscs = list(socket, LOOPBACK).unwrap();
    qdiscs
        .iter()
        .find(|qdisc| qdisc.handle == handle)
        .unwrap()
        .statistics
}

#[test]
fn a_packet_goes_to_the_band_that_its_priority_names_and_no_other_does() {
    let Some(bands) = bands(2) else { return };
    isolated(|socket| {
        let before = Configuration::of(socket, LOOPBACK).unwrap();
        bands.attach(socket).unwrap();
        let spot = |number: u16| Spot {
            interface: LOOPBACK,
            parent: bands.band(number).unwrap(),
            handle: Handle::of_major(0xfd10 + number),
        };
        add(socket, spot(1), &tbf()).unwrap();
        add(socket, spot(2), &Discipline::Pfifo { limit: 50 }).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = receiver.local_addr().unwrap();
        sender.send_to(b"through", to).unwrap();
        let class = bands.band(1).unwrap();
        priority(&sender, class.0);
        for _ in 0..5 {
            sender.send_to(b"band one", to).unwrap();
        }
        priority(&sender, bands.band(2).unwrap().0);
        sender.send_to(b"band two", to).unwrap();
        let mut buffer = [0; 16];
        for _ in 0..7 {
            receiver.recv(&mut buffer).unwrap();
        }
        assert_eq!(statistics(socket, spot(1).handle).packets, 5);
        assert_eq!(
            statistics(socket, spot(1).handle).bytes,
            5 * (14 + 20 + 8 + 8)
        );
        assert_eq!(statistics(socket, spot(2).handle).packets, 1);
        let shown = tc("-s qdisc show dev lo");
        assert!(
            shown.contains(&format!("{} fd00: root", kind_name(bands.kind))),
            "{shown}"
        );
        assert!(shown.contains("tbf fd11: parent fd00:2"), "{shown}");
        assert_eq!(bands.detach(socket).unwrap(), Deletion::Deleted);
        assert_eq!(Configuration::of(socket, LOOPBACK).unwrap(), before);
    });
}

fn kind_name(kind: BandsKind) -> &'static str {
    match kind {
        BandsKind::Prio => "prio",
        BandsKind::Htb => "htb",
    }
}

fn priority(socket: &UdpSocket, value: u32) {
    crate::sys::set_priority(socket.as_fd(), value).unwrap();
}

#[test]
fn handles_and_counters_do_not_change_a_configuration() {
    isolated(|socket| {
        let build = |major: u32| {
            tc(&format!(
                "qdisc add dev lo root handle {major}: htb default 1"
            ));
            tc(&format!(
                "class add dev lo parent {major}: classid {major}:1 htb rate 100mbit"
            ));
            tc(&format!(
                "qdisc add dev lo parent {major}:1 handle {}: pfifo limit 9",
                major + 1
            ));
            tc(&format!(
                "filter add dev lo parent {major}: protocol ip prio 3 u32 match ip dport 9 0xffff flowid {major}:1"
            ));
        };
        build(1);
        let one = Configuration::of(socket, LOOPBACK).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver
            .send_to(b"counted", receiver.local_addr().unwrap())
            .unwrap();
        assert_eq!(Configuration::of(socket, LOOPBACK).unwrap(), one);
        tc("qdisc del dev lo root");
        build(30);
        let two = Configuration::of(socket, LOOPBACK).unwrap();
        assert_eq!(one, two);
        tc("class change dev lo parent 30: classid 30:1 htb rate 50mbit");
        assert_ne!(Configuration::of(socket, LOOPBACK).unwrap(), two);
    });
}

#[test]
fn what_ingress_does_is_part_of_the_configuration() {
    isolated(|socket| {
        let before = Configuration::of(socket, LOOPBACK).unwrap();
        tc("qdisc add dev lo clsact");
        tc(
            "filter add dev lo ingress protocol ip prio 5 u32 match u32 0 0 action mirred egress redirect dev lo",
        );
        let during = Configuration::of(socket, LOOPBACK).unwrap();
        let ingress = Place::Ingress(vec![0xfff2]);
        let has_filter = |part: &Part| part.place == ingress && part.kind == "u32";
        assert!(during.parts.iter().any(has_filter), "{during:#?}");
        assert!(!during.is_default());
        tc("qdisc del dev lo clsact");
        assert_eq!(Configuration::of(socket, LOOPBACK).unwrap(), before);
    });
}

#[test]
fn drops_are_counted() {
    isolated(|socket| {
        let tiny = Discipline::Tbf(Tbf {
            bytes_per_second: 1,
            burst_bytes: 1500,
            limit_bytes: 3000,
        });
        add(socket, ours(), &tiny).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = sender.local_addr().unwrap();
        for _ in 0..20 {
            // Refused once the queue is full: that is the drop.
            let _ = sender.send_to(&[0; 1000], to);
        }
        let statistics = statistics(socket, ours().handle);
        assert!(
            statistics.drops > 0 && statistics.backlog_bytes > 0,
            "{statistics:?}"
        );
    });
}

#[test]
fn what_this_kernel_has_is_said_by_the_probes() {
    for (name, outcome) in [
        ("netem", netem_usable()),
        ("tbf", tbf_usable()),
        (
            "bands",
            bands_usable().map(|kind| eprintln!("bands of {}", kind_name(kind))),
        ),
        ("ifb", ifb_usable()),
    ] {
        match outcome {
            Ok(()) => eprintln!("{name}: usable"),
            Err(error) => eprintln!("{name}: {error}"),
        }
    }
    // The probes agree with tc in a namespace of their own.
    isolated(|_| {
        let output = Command::new("tc")
            .args("qdisc add dev lo root netem delay 1ms".split(' '))
            .output()
            .unwrap();
        assert_eq!(output.status.success(), netem_usable().is_ok());
    });
}

#[test]
fn a_handle_of_a_class_is_no_place_for_a_discipline() {
    isolated(|socket| {
        for handle in [Handle(0), Handle(0x0001_0002), Handle::ROOT] {
            let spot = Spot { handle, ..ours() };
            assert!(matches!(
                add(socket, spot, &tbf()),
                Err(QdiscError::OutOfRange { .. })
            ));
        }
    });
}

#[test]
fn the_kernel_understands_netem_as_it_was_meant() {
    if let Err(error) = netem_usable() {
        eprintln!("skipped: {error}");
        return;
    }
    let fraction = |fraction| Probability::from_fraction(fraction).unwrap();
    let both = Correlated {
        probability: fraction(0.01),
        correlation: fraction(0.25),
    };
    let whole = Netem {
        delay_ns: 100_000_001,
        jitter_ns: 10_000_003,
        delay_correlation: fraction(0.25),
        loss: Some(Loss::GilbertElliott {
            good_to_bad: fraction(0.01),
            bad_to_good: fraction(0.1),
            loss_when_bad: fraction(0.7),
            loss_when_good: fraction(0.001),
        }),
        duplicate: both,
        corrupt: both,
        reorder: Some(Reorder {
            probability: fraction(0.25),
            correlation: fraction(0.5),
            gap: 5,
        }),
        rate: Some(NetemRate {
            bytes_per_second: 12_500_000_000,
            packet_overhead: -14,
            cell_size: 53,
            cell_overhead: 5,
        }),
        limit: 500,
        distribution: vec![-8192, -4096, 0, 4096, 8191],
        seed: Some(7),
    };
    let four = Netem {
        loss: Some(Loss::FourState {
            p13: fraction(0.01),
            p31: fraction(0.1),
            p32: fraction(0.7),
            p14: fraction(0.02),
            p23: fraction(0.001),
        }),
        ..whole.clone()
    };
    let random = Netem {
        loss: Some(Loss::Random(both)),
        ..whole.clone()
    };
    for wanted in [whole, four, random, Netem::default()] {
        isolated(|socket| {
            add(socket, ours(), &Discipline::Netem(wanted.clone())).unwrap();
            let options = root(socket, LOOPBACK).unwrap().unwrap().options;
            let kept = Netem::parse(&options).unwrap();
            // Older kernels do not know the seed, and none tells the distribution.
            let seed = kept.seed.filter(|_| wanted.seed.is_some());
            assert!(seed.is_none() || seed == wanted.seed);
            let comparable = Netem {
                distribution: Vec::new(),
                seed: kept.seed,
                ..wanted.clone()
            };
            assert_eq!(kept, comparable);
            let shown = tc("qdisc show dev lo");
            assert!(
                shown.contains(&format!("limit {}", wanted.limit)),
                "{shown}"
            );
            assert_eq!(delete(socket, ours()).unwrap(), Deletion::Deleted);
        });
    }
}
