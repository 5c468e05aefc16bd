//! How tables end, and that those of others do not notice.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::KernelError;
use crate::namespace::in_fresh;
use crate::netlink::{Protocol, Socket};

use super::super::*;
use super::lab::*;

/// A foreign ruleset with a bit of everything, and without counters that our packets would move.
const FOREIGN: &str = "
table inet foreign {
  set block { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.7 }; }
  set greylist { type ipv4_addr; flags timeout; elements = { 203.0.113.9 timeout 1h }; }
  map ports { type inet_service : verdict; elements = { 22 : accept, 23 : drop }; }
  counter strays { }
  chain input { type filter hook input priority filter; policy accept;
    ip saddr @block counter drop
    tcp dport vmap @ports
    ct state invalid drop comment \"theirs\"
    ip saddr 192.0.2.1 limit rate 5/second burst 7 packets accept; }
  chain extra { meta mark 0x5 return; udp dport { 53, 123 } accept; }
}
table ip nat {
  chain postrouting { type nat hook postrouting priority srcnat; oifname \"eth9\" masquerade; }
}
";

fn drop_all(lease: bool) -> Ruleset {
    let rules = vec![rule(udp_to(PORT), Action::Drop)];
    Ruleset {
        lease,
        ..filter(Hook::Input, rules)
    }
}

/// Traffic is back; how long that took.
fn wait_until_passing(lab: &Lab) -> Duration {
    let start = Instant::now();
    while !lab.passes(v4()) {
        assert!(start.elapsed() < Duration::from_secs(30), "still dropped");
    }
    start.elapsed()
}

fn has_nft() -> bool {
    let has = Command::new("nft").arg("--version").output().is_ok();
    if !has {
        eprintln!("skipped: the nft tool is not installed");
    }
    has
}

#[test]
fn a_foreign_table_is_byte_for_byte_the_same_beside_and_after_ours() {
    let Some(lab) = Lab::new() else { return };
    if !has_nft() {
        return;
    }
    let mut nft = in_namespace(&lab.far, || {
        Ok(Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap())
    });
    nft.stdin
        .take()
        .unwrap()
        .write_all(FOREIGN.as_bytes())
        .unwrap();
    assert!(nft.wait().unwrap().success());
    // The time that is left of an element goes on by itself.
    let shown = || {
        let text = shell(
            &lab.far,
            "nft -a list table inet foreign; nft -a list table ip nat",
        );
        let lines = text.lines().map(|line| match line.split_once(" expires ") {
            Some((before, _)) => before.to_owned(),
            None => line.to_owned(),
        });
        lines.collect::<Vec<_>>()
    };
    let mut socket = lab.far_socket();
    let mut prints = || {
        let inet = fingerprint(&mut socket, 1, "foreign").unwrap();
        (inet, fingerprint(&mut socket, 2, "nat").unwrap())
    };
    let before = (shown(), prints());
    assert!(before.1.0.lines().len() >= 12, "{:?}", before.1.0);

    let mut ruleset = drop_all(true);
    ruleset.chains[0].rules[0]
        .matches
        .push(Match::ConnectionState(vec![
            ConnectionState::New,
            ConnectionState::Established,
        ]));
    let mut table = lab.table(&ruleset);
    table.renew(Duration::from_secs(60)).unwrap();
    assert_eq!(lab.arrived(v4(), 5), 0);
    assert_eq!((shown(), prints()), before);
    table.delete().unwrap();
    assert!(lab.passes(v4()));
    assert_eq!((shown(), prints()), before);

    shell(&lab.far, "nft add rule inet foreign extra drop");
    assert_ne!(prints(), before.1);
}

#[test]
fn a_second_table_of_that_name_is_refused_and_the_first_stays() {
    let Some(lab) = Lab::new() else { return };
    let first = lab.table(&drop_all(false));
    let second = in_namespace(&lab.far, || {
        Ok(Table::create(
            Socket::open(Protocol::Netfilter)?,
            &drop_all(false),
        ))
    });
    let errno = second.unwrap_err().netlink_errno();
    // What another socket owns may not even be looked at for a change.
    assert!(
        matches!(errno, Some(Errno::EXIST | Errno::PERM)),
        "{errno:?}"
    );
    assert_eq!(lab.arrived(v4(), 3), 0);
    first.delete().unwrap();
}

#[test]
fn without_privilege_the_permission_is_what_is_missing() {
    let refused = in_fresh(|| {
        // Of this thread only, which ends with the namespace.
        let nobody = rustix::thread::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody)
            .map_err(|errno| KernelError::call("another user", errno))?;
        let made = Table::create(Socket::open(Protocol::Netfilter)?, &drop_all(false));
        Ok::<_, KernelError>(made.map(drop))
    });
    match refused {
        Ok(made) => {
            let error = made.unwrap_err();
            assert!(error.is_permission(), "{error:?}");
            assert!(
                error
                    .to_string()
                    .contains("make the nft table firedrill-test"),
                "{error}"
            );
        }
        Err(error) => eprintln!("skipped: {error}"),
    }
}

#[test]
fn a_table_that_is_gone_cannot_be_renewed_and_is_deleted_without_an_error() {
    let Some(lab) = Lab::new() else { return };
    let mut table = lab.table(&drop_all(true));
    let port = tables(&mut lab.far_socket()).unwrap()[0].owner_port;
    assert!(port.is_some());
    // The owner itself deletes it behind the handle's back.
    assert!(delete_named(&mut table.socket, 1, "firedrill-test").unwrap());
    let error = table.renew(Duration::from_secs(1)).unwrap_err();
    assert_eq!(error.netlink_errno(), Some(Errno::NOENT), "{error}");
    assert_eq!(table.counters().unwrap(), []);
    table.delete().unwrap();
}

#[test]
fn a_refused_rule_leaves_nothing_and_says_which() {
    let Some(lab) = Lab::new() else { return };
    let mut ruleset = drop_all(false);
    // The kernel allows a nat chain only after connection tracking.
    ruleset.chains[0].kind = ChainKind::Nat;
    ruleset.chains[0].priority = -300;
    let refused = in_namespace(&lab.far, || {
        Ok(Table::create(Socket::open(Protocol::Netfilter)?, &ruleset))
    });
    let error = refused.unwrap_err();
    assert!(error.to_string().contains("add chain main"), "{error}");
    assert_eq!(tables(&mut lab.far_socket()).unwrap(), []);
}

#[test]
fn the_lease_ends_by_itself_with_nobody_doing_anything() {
    let Some(lab) = Lab::new() else { return };
    let mut table = lab.table(&drop_all(true));
    assert!(
        lab.passes(v4()),
        "nothing is dropped before the first renewal"
    );
    for (first, second) in [(600, 1200), (2500, 1200)] {
        table.renew(Duration::from_millis(first)).unwrap();
        assert_eq!(lab.arrived(v4(), 3), 0);
        let start = Instant::now();
        table.renew(Duration::from_millis(second)).unwrap();
        wait_until_passing(&lab);
        let took = start.elapsed();
        println!("a lease of {second} ms ended after {took:?}");
        // It is looked at every 150 ms; the upper bound is only there to fail some time.
        assert!(took >= Duration::from_millis(second - 150), "{took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    table.renew(Duration::from_secs(60)).unwrap();
    assert_eq!(lab.arrived(v4(), 3), 0);
    table.renew(Duration::ZERO).unwrap();
    assert!(lab.passes(v4()));
}

#[test]
fn renewing_leaves_no_gap() {
    let Some(lab) = Lab::new() else { return };
    let mut table = lab.table(&drop_all(true));
    table.renew(Duration::from_secs(20)).unwrap();
    let receiver = udp(&lab.far, v4());
    let sender = udp(&lab.near, "0.0.0.0:0".parse().unwrap());
    let sent = 20_000;
    let done = AtomicBool::new(false);
    let (arrived, renewals) = std::thread::scope(|scope| {
        let renewing = scope.spawn(|| {
            let (start, mut renewals) = (Instant::now(), 0_u32);
            while !done.load(Ordering::Relaxed) {
                table.renew(Duration::from_secs(20)).unwrap();
                renewals += 1;
            }
            println!("a renewal took {:?}", start.elapsed() / renewals);
            renewals
        });
        let arrived = transfer(&sender, &receiver, v4(), sent);
        done.store(true, Ordering::Relaxed);
        (arrived, renewing.join().unwrap())
    });
    assert!(renewals > 100, "{renewals}");
    assert_eq!(packets(&mut table), [sent as u64]);
    assert_eq!(arrived, 0);
}

/// Not a test: holds a table until it is killed. Started by the tests below.
#[test]
#[ignore = "a helper process of other tests"]
fn holder_of_a_table() {
    let Ok(seconds) = std::env::var("FIREDRILL_TEST_HOLD") else {
        panic!("started by hand");
    };
    let lease: u64 = seconds.parse().unwrap();
    let socket = Socket::open(Protocol::Netfilter).unwrap();
    let mut table = Table::create(socket, &drop_all(lease > 0)).unwrap();
    assert!(table.owned());
    if lease > 0 {
        table.renew(Duration::from_secs(lease)).unwrap();
    }
    println!("holding");
    loop {
        std::thread::park_timeout(Duration::from_secs(1));
        if lease > 0 {
            table.renew(Duration::from_secs(lease)).unwrap();
        }
    }
}

fn start_holder(lab: &Lab, lease: u64) -> Child {
    let mut child = in_namespace(&lab.far, || {
        Ok(Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "nftables::tests::lifetime::holder_of_a_table"])
            .args(["--ignored", "--nocapture"])
            .env("FIREDRILL_TEST_HOLD", lease.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap())
    });
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let held = lines
        .map_while(Result::ok)
        .any(|line| line.contains("holding"));
    assert!(held);
    child
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn a_table_is_gone_when_its_owner_is_killed() {
    let Some(lab) = Lab::new() else { return };
    let mut child = start_holder(&lab, 0);
    let mut socket = lab.far_socket();
    let listed = tables(&mut socket).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name, "firedrill-test");
    assert!(listed[0].owner_port.is_some());
    assert_ne!(listed[0].owner_port, Some(socket.port()));
    let error = delete_named(&mut socket, 1, "firedrill-test").unwrap_err();
    assert_eq!(error.netlink_errno(), Some(Errno::PERM));
    assert_eq!(lab.arrived(v4(), 3), 0);

    let killed = Instant::now();
    signal(&child, rustix::process::Signal::KILL);
    child.wait().unwrap();
    while !tables(&mut socket).unwrap().is_empty() {
        assert!(killed.elapsed() < Duration::from_secs(10));
    }
    println!("gone {:?} after SIGKILL", killed.elapsed());
    assert!(lab.passes(v4()));
}

#[test]
fn traffic_comes_back_while_the_owner_is_stopped() {
    let Some(lab) = Lab::new() else { return };
    let mut child = start_holder(&lab, 3);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(3500) {
        assert_eq!(lab.arrived(v4(), 1), 0, "it is renewed");
    }
    let stopped = Instant::now();
    signal(&child, rustix::process::Signal::STOP);
    wait_until_passing(&lab);
    println!(
        "back {:?} after SIGSTOP, of a lease of 3 s",
        stopped.elapsed()
    );
    assert_eq!(tables(&mut lab.far_socket()).unwrap().len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_unowned_table_is_deleted_by_name_and_a_vanished_one_is_no_error() {
    let Some(lab) = Lab::new() else { return };
    if !has_nft() {
        return;
    }
    shell(&lab.far, "nft add table inet firedrill-left");
    let mut socket = lab.far_socket();
    assert!(delete_named(&mut socket, 1, "firedrill-left").unwrap());
    assert!(!delete_named(&mut socket, 1, "firedrill-left").unwrap());
    assert_eq!(tables(&mut socket).unwrap(), []);
}

#[test]
fn what_the_probes_say_is_what_making_a_table_does() {
    let probes = match usable() {
        Ok(probes) => probes,
        Err(error) => {
            eprintln!("skipped: {error}");
            return;
        }
    };
    for probe in &probes {
        println!(
            "{:?}: {}",
            probe.ability,
            probe.refused.as_deref().unwrap_or("works")
        );
    }
    let works = |ability| {
        probes
            .iter()
            .any(|p| p.ability == ability && p.refused.is_none())
    };
    let queue = Action::Queue {
        number: 1,
        bypass: true,
    };
    let ruleset = filter(Hook::Input, vec![rule(udp_to(PORT), queue)]);
    let made = in_fresh(|| Table::create(Socket::open(Protocol::Netfilter)?, &ruleset));
    let mechanism = made.ok().and_then(|table| table.queue());
    let expected = [
        (Ability::QueueNative, QueueMechanism::Native),
        (Ability::QueueCompat, QueueMechanism::Compat),
        (Ability::QueueCompatSplit, QueueMechanism::CompatSplit),
    ];
    let expected = expected.into_iter().find(|(ability, _)| works(*ability));
    assert_eq!(mechanism, expected.map(|(_, mechanism)| mechanism));
    let leased = in_fresh(|| {
        let mut table = Table::create(Socket::open(Protocol::Netfilter)?, &drop_all(true))?;
        table.renew(Duration::from_secs(1))?;
        Ok::<_, KernelError>(table.owned())
    });
    assert_eq!(leased.is_ok(), works(Ability::Lease));
    assert_eq!(leased.unwrap_or(false), works(Ability::Owner));
}

#[test]
fn two_tables_in_one_namespace_end_one_by_one() {
    let Some(lab) = Lab::new() else { return };
    let mut second = drop_all(true);
    second.table = "firedrill-test-2".to_owned();
    let first = lab.table(&drop_all(false));
    let mut second = lab.table(&second);
    second.renew(Duration::from_secs(60)).unwrap();
    drop(first);
    assert_eq!(lab.arrived(v4(), 3), 0);
    drop(second);
    assert!(lab.passes(v4()));
    assert_eq!(tables(&mut lab.far_socket()).unwrap(), []);
}
