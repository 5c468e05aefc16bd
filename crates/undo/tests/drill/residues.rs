//! What is told after an undo: what is ours and still there, and what somebody else changed in what
//! we touched.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::nftables::Ruleset;
use firedrill_kernel::qdisc::{Bands, BandsKind, Discipline, Handle};
use firedrill_kernel::{Pidfd, Signal};
use firedrill_undo::{
    Applied, Filter, Guardian, PacketFilter, Primitive, Residue, RootQdisc, StrayRoot, recover,
    stray_roots,
};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::herd::{Herd, LONG, wait_for};

/// A network namespace held by a process of its own.
struct Lab {
    holder: Child,
}

impl Lab {
    /// `None`, with the reason printed, without the privilege.
    fn new() -> Option<Self> {
        let mut command = Command::new("unshare");
        command.args([
            "-n",
            "sh",
            "-c",
            "ip link set lo up && echo ready && exec sleep 300",
        ]);
        let mut holder = command
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = holder.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        if line != "ready\n" {
            eprintln!("skipped: a network namespace takes CAP_SYS_ADMIN");
            let _ = holder.wait();
            return None;
        }
        Some(Self { holder })
    }

    fn namespace(&self) -> NetNamespace {
        NetNamespace::of_process(self.holder.id())
            .unwrap()
            .namespace()
            .clone()
    }

    fn shell(&self, script: &str) {
        let pid = self.holder.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-n", "-t", &pid, "sh", "-ec", script]);
        assert!(command.status().unwrap().success(), "{script}");
    }

    fn filter(&self) -> Primitive {
        Primitive::FilterPackets(PacketFilter {
            namespace: self.namespace(),
            ruleset: Ruleset {
                table: TABLE.to_owned(),
                chains: Vec::new(),
                lease: true,
            },
        })
    }

    fn root(&self) -> Primitive {
        Primitive::ReplaceRoot(RootQdisc {
            namespace: self.namespace(),
            name: "lo".to_owned(),
            bands: Bands {
                interface: 1,
                handle: Handle::of_major(0xfd00),
                kind: BandsKind::Htb,
                count: 1,
            },
            discipline: Discipline::Pfifo { limit: 100 },
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

const TABLE: &str = "firedrill-aaaa-bbbb-0";

fn residue(guardian: &Guardian, applied: &Applied) -> Vec<Residue> {
    guardian.revert(applied.id).unwrap().residue
}

#[test]
fn rules_and_a_root_that_nobody_disturbed_leave_no_difference() {
    let (herd, Some(lab)) = (Herd::of(0), Lab::new()) else {
        return;
    };
    let guardian = herd.guardian();
    let applied = guardian.apply(vec![lab.root(), lab.filter()]).unwrap();
    assert_eq!(residue(&guardian, &applied), []);
    guardian.finish().unwrap();
}

#[test]
fn what_an_undo_leaves_under_our_name_is_residue_and_keeps_the_log() {
    let (herd, Some(lab)) = (Herd::of(0), Lab::new()) else {
        return;
    };
    let guardian = herd.guardian();
    let applied = guardian.apply(vec![lab.filter()]).unwrap();
    // No undo of ours looks for it in this family: as if a part of it had been forgotten.
    lab.shell(&format!("nft add table arp {TABLE}"));
    let left = residue(&guardian, &applied);
    let [Residue::EffectLeft { effect, .. }] = &left[..] else {
        panic!("{left:?}");
    };
    assert!(effect.contains(TABLE), "{effect}");
    lab.shell(&format!("nft delete table arp {TABLE}"));
    assert_eq!(residue(&guardian, &applied), []);
    guardian.finish().unwrap();
    assert!(herd.nothing_left());
}

/// Below it a guardian has everything open from its beginning: it can then open nothing more. As
/// many as it polls, which the kernel allows no more of either.
const OPEN_FOR_GOOD: u32 = 5;

fn limit_descriptors(pid: u32, limit: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--nofile={limit}")])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn what_cannot_be_looked_for_after_an_undo_is_unknown_and_keeps_the_log() {
    let (herd, Some(lab)) = (Herd::of(0), Lab::new()) else {
        return;
    };
    let guardian = herd.guardian();
    let pid = guardian.ready().guardian.pid;
    let applied = guardian.apply(vec![lab.filter()]).unwrap();
    // Its own socket still deletes the table; it can open none to see that it is gone.
    limit_descriptors(pid, &format!("{OPEN_FOR_GOOD}:"));
    let left = residue(&guardian, &applied);
    let [unknown @ Residue::Unknown { whether, .. }] = &left[..] else {
        panic!("{left:?}");
    };
    assert!(whether.contains(TABLE), "{unknown}");
    assert!(
        unknown.to_string().contains("Too many open files"),
        "{unknown}"
    );
    assert!(unknown.keeps_the_entry_open());
    limit_descriptors(pid, "1024:");
    assert_eq!(residue(&guardian, &applied), []);
    guardian.finish().unwrap();
    assert!(herd.nothing_left());
}

#[test]
fn a_recovery_without_the_right_to_look_says_so_and_leaves_the_rest_to_one_with_it() {
    let (herd, Some(lab)) = (Herd::of(0), Lab::new()) else {
        return;
    };
    let guardian = herd.guardian();
    guardian.apply(vec![lab.root(), lab.filter()]).unwrap();
    let its = guardian.ready().guardian;
    let pidfd = Pidfd::open(&its).unwrap().unwrap();
    pidfd.send(Signal::Kill).unwrap();
    assert!(pidfd.wait_for_exit(LONG).unwrap());
    let state = herd.state();
    let without = std::thread::scope(|scope| {
        let recovery = scope.spawn(|| {
            drop_every_capability();
            recover(&state, &Filter::All).unwrap()
        });
        recovery.join().unwrap()
    });
    let [one] = &without.recovered[..] else {
        panic!("{without:?}");
    };
    assert!(!one.clean, "{one:?}");
    assert!(!herd.nothing_left());
    let with = recover(&state, &Filter::All).unwrap();
    assert!(with.recovered[0].clean, "{with:?}");
    assert!(herd.nothing_left());
    lab.shell("! tc qdisc show dev lo | grep -q fd00");
}

/// As `stray_roots` finds them, of this namespace: other tests' guardians may run meanwhile, of
/// which it cannot tell whose a root is.
fn strays_of(lab: &Lab) -> Vec<StrayRoot> {
    let mut found = Vec::new();
    wait_for("a moment without a guardian, and a stray", || {
        let here = lab.namespace();
        found = stray_roots();
        found.retain(|stray| stray.namespace.is_same(&here));
        !found.is_empty()
    });
    found
}

/// Bands as a fault attaches them, without any drill.
const STRAY: &str = "tc qdisc add dev lo root handle fd00: htb; \
                     tc class add dev lo parent fd00: classid fd00:2 htb rate 100gbit; \
                     tc qdisc add dev lo parent fd00:2 handle fd01: pfifo limit 100";

#[test]
fn a_root_that_outlived_every_log_is_removed_unless_somebody_uses_it() {
    let Some(lab) = Lab::new() else {
        return;
    };
    lab.shell(STRAY);
    // Somebody leads traffic through it by a filter of his own.
    lab.shell(
        "tc filter add dev lo parent fd00: protocol ip prio 1 bpf \
         bytecode '1,6 0 0 4294967295' classid fd00:2",
    );
    let used = strays_of(&lab);
    let why = used[0].foreign.as_deref().unwrap();
    assert!(why.contains("filter"), "{why}");
    assert!(!used[0].remove().unwrap());
    lab.shell("tc filter del dev lo parent fd00:");
    let idle = strays_of(&lab);
    assert_eq!((idle.len(), &idle[0].foreign), (1, &None), "{idle:?}");
    // What somebody attaches between the look and the removal counts as well.
    lab.shell("tc class add dev lo parent fd00: classid fd00:7 htb rate 1mbit");
    assert!(!idle[0].remove().unwrap());
    lab.shell("tc class del dev lo classid fd00:7");
    assert!(idle[0].remove().unwrap());
    lab.shell("! tc qdisc show dev lo | grep -q fd00");
}

#[test]
fn a_root_that_a_table_of_ours_leads_into_is_no_stray() {
    let Some(lab) = Lab::new() else {
        return;
    };
    lab.shell(STRAY);
    assert_eq!(strays_of(&lab).len(), 1);
    lab.shell(&format!("nft add table inet {TABLE}"));
    assert!(
        !stray_roots()
            .iter()
            .any(|stray| stray.namespace.is_same(&lab.namespace()))
    );
}

/// Of the calling thread.
fn drop_every_capability() {
    let nothing = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, nothing).unwrap();
}

#[test]
fn what_somebody_else_changed_in_what_was_touched_is_told_once_and_left_alone() {
    let (herd, Some(lab)) = (Herd::of(0), Lab::new()) else {
        return;
    };
    let guardian = herd.guardian();
    let applied = guardian.apply(vec![lab.filter()]).unwrap();
    lab.shell("nft add table inet foreign");
    let left = residue(&guardian, &applied);
    let [Residue::ChangedMeanwhile { what, .. }] = &left[..] else {
        panic!("{left:?}");
    };
    assert!(what.contains("inet foreign"), "{what}");
    lab.shell("nft list table inet foreign");
    // What was there before the next fault is as it was.
    let applied = guardian.apply(vec![lab.filter()]).unwrap();
    assert_eq!(residue(&guardian, &applied), []);
    guardian.finish().unwrap();
}

#[test]
fn of_two_faults_in_one_namespace_neither_is_the_residue_of_the_other() {
    let (herd, Some(lab)) = (Herd::of(0), Lab::new()) else {
        return;
    };
    let guardian = herd.guardian();
    let first = guardian.apply(vec![lab.root()]).unwrap();
    let second = guardian.apply(vec![lab.filter()]).unwrap();
    assert_eq!(residue(&guardian, &first), []);
    lab.shell("tc qdisc add dev lo root tbf rate 1mbit burst 10k limit 20k");
    assert_eq!(
        residue(&guardian, &second),
        [],
        "the interface was left before"
    );
    guardian.finish().unwrap();
}

#[test]
fn a_namespace_that_ends_during_the_fault_leaves_nothing() {
    let (herd, Some(mut lab)) = (Herd::of(0), Lab::new()) else {
        return;
    };
    let guardian = herd.guardian();
    let applied = guardian.apply(vec![lab.root(), lab.filter()]).unwrap();
    lab.holder.kill().unwrap();
    lab.holder.wait().unwrap();
    assert_eq!(residue(&guardian, &applied), []);
    guardian.finish().unwrap();
}
