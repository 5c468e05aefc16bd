//! What is told after an undo: what is ours and still there, and what somebody else changed in what
//! we touched.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::nftables::Ruleset;
use firedrill_kernel::qdisc::{Bands, BandsKind, Discipline, Handle};
use firedrill_undo::{Applied, Guardian, PacketFilter, Primitive, Residue, RootQdisc};

use crate::herd::Herd;

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
