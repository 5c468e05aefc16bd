//! Whose packets are met: those of a cgroup, of a process, and nobody's where the target is gone.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use firedrill_faults::{Selector, Site, Target};
use firedrill_kernel::cgroup::{Controller, Hierarchy};
use firedrill_kernel::freezer::Version;
use firedrill_kernel::{Presence, ProcessIdentity};
use serde_json::{Value, json};

use crate::bed::{Bed, Side};
use crate::drill::{Drill, compile, wait_for};

const BLACKHOLE: &str = "switching.blackhole";

/// A cgroup v2 that ends with the test.
struct Group(PathBuf);

impl Group {
    /// `None`, and said, where packets cannot be told by cgroup.
    fn make(side: &Side) -> Option<Self> {
        let mounted = Hierarchy::mounted(Controller::CpuAccounting).unwrap();
        let Some(v2) = mounted.iter().find(|one| one.version == Version::V2) else {
            eprintln!("skipped: no cgroup v2 is mounted");
            return None;
        };
        let group = Self(
            v2.mount
                .join(format!("firedrill-test-{}", std::process::id())),
        );
        std::fs::create_dir(&group.0).unwrap();
        let name = group.0.file_name().unwrap().to_string_lossy().into_owned();
        let rule = format!(
            "add table inet probe; add chain inet probe out; \
             add rule inet probe out socket cgroupv2 level 1 \"{name}\"; delete table inet probe"
        );
        let told = side.within(|| Command::new("nft").arg(rule).output().unwrap());
        if !told.status.success() {
            eprintln!("skipped: {}", String::from_utf8_lossy(&told.stderr));
            return None;
        }
        Some(group)
    }

    /// Whether somebody in the cgroup is answered from `far`.
    fn pings(&self, side: &Side) -> bool {
        let script = format!(
            "echo $$ >{}/cgroup.procs && exec ping -c 1 -W 0.7 10.90.0.2",
            self.0.display()
        );
        side.ask("sh", &["-c", &script]).contains(" 1 received")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        wait_for("the cgroup is empty", || {
            std::fs::remove_dir(&self.0).is_ok()
        });
    }
}

/// A drill whose own network namespace is `near`, as a host's is to it.
fn in_place_at_near<T>(bed: &Bed, target: &Target, look: impl FnOnce() -> T) -> T {
    let before = bed.snapshot();
    let placed = bed
        .near
        .within(|| Drill::begin().apply(BLACKHOLE, &json!({}), std::slice::from_ref(target)));
    let seen = look();
    placed.revert();
    assert_eq!(bed.snapshot(), before);
    seen
}

#[test]
fn packets_of_a_cgroup_are_met_and_those_of_others_are_not() {
    let Some(bed) = Bed::lay() else { return };
    let Some(group) = Group::make(&bed.near) else {
        return;
    };
    assert!(group.pings(&bed.near));
    let seen = in_place_at_near(&bed, &Target::Cgroup(group.0.clone()), || {
        (group.pings(&bed.near), bed.far_answers())
    });
    assert_eq!(seen, (false, true));
    assert!(group.pings(&bed.near));
}

/// Killed at the end.
struct Sleeper(Child);

impl Sleeper {
    fn at(side: &Side) -> Self {
        Self(side.within(|| Command::new("sleep").arg("60").spawn().unwrap()))
    }

    fn target(&self) -> Target {
        ProcessIdentity::of(self.0.id()).unwrap().unwrap().into()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_in_a_namespace_or_cgroup_of_its_own_is_met_by_it_and_another_is_refused() {
    let Some(bed) = Bed::lay() else { return };
    let there = Sleeper::at(&bed.near);
    let placed = Drill::begin().apply(BLACKHOLE, &json!({}), &[there.target()]);
    assert!(!bed.far_answers());
    placed.revert();
    assert!(bed.far_answers());
    let refused = bed
        .near
        .within(|| compile(BLACKHOLE, &json!({}), &Site::of(&[there.target()])));
    let refused = refused.unwrap_err().to_string();
    let why = ["no cgroup v2 of its own", "which is not a target"];
    assert!(why.iter().any(|why| refused.contains(why)), "{refused}");
    let Some(group) = Group::make(&bed.near) else {
        return;
    };
    let procs = group.0.join("cgroup.procs");
    std::fs::write(procs, there.0.id().to_string()).unwrap();
    let seen = in_place_at_near(&bed, &there.target(), || {
        (group.pings(&bed.near), bed.far_answers())
    });
    assert_eq!(seen, (false, true));
    // Beside it, somebody whom nobody chose.
    let bystander = Sleeper::at(&bed.near);
    let procs = group.0.join("cgroup.procs");
    std::fs::write(procs, bystander.0.id().to_string()).unwrap();
    let refused = bed
        .near
        .within(|| compile(BLACKHOLE, &json!({}), &Site::of(&[there.target()])));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains(&bystander.0.id().to_string()), "{refused}");
    assert!(refused.contains("which is not a target"), "{refused}");
    drop((there, bystander));
}

#[test]
fn processes_of_one_namespace_are_one_place_and_who_appears_there_is_met_already() {
    let Some(bed) = Bed::lay() else { return };
    let (one, other, late) = (
        Sleeper::at(&bed.near),
        Sleeper::at(&bed.near),
        Sleeper::at(&bed.near),
    );
    let both = [one.target(), other.target()];
    let delay = json!({"delay": "50ms", "mechanism": "nfqueue"});
    let placed = Drill::begin().apply("switching.latency", &delay, &both);
    let quickest = (0..8).filter_map(|_| bed.round_trip()).min().unwrap();
    assert!((Duration::from_millis(49)..Duration::from_millis(95)).contains(&quickest));
    let newcomer = [late.target()];
    let site = Site {
        beside: &both,
        ..Site::of(&newcomer)
    };
    assert_eq!(compile("switching.latency", &delay, &site).unwrap(), []);
    placed.revert();
}

/// Faults of each mechanism that reaches into a network namespace.
fn of_each_mechanism() -> Vec<(&'static str, Value)> {
    vec![
        (BLACKHOLE, json!({})),
        (
            "switching.latency",
            json!({"delay": "10ms", "mechanism": "nfqueue"}),
        ),
        ("switching.dns-block", json!({"name": "*"})),
        ("switching.interface-down", json!({"interface": "near0"})),
        ("switching.connection-reset", json!({})),
        ("switching.port-occupy", json!({"port": 5432})),
    ]
}

#[test]
fn a_namespace_that_vanishes_before_the_effect_is_refused_or_skipped_and_nothing_is_left() {
    for (fault, arguments) in of_each_mechanism() {
        let Some(bed) = Bed::lay() else { return };
        let name = bed.near.name.clone();
        let selector = Selector::parse(&json!({ "namespace": name })).unwrap();
        let selection = selector.select(0).unwrap();
        let primitives = compile(fault, &arguments, &Site::of(&selection.chosen)).unwrap();
        let drill = Drill::begin();
        drop(bed);
        let told = match drill.guardian.apply(primitives) {
            Ok(applied) => {
                let reverted = drill.guardian.revert(applied.id).unwrap();
                assert!(reverted.residue.is_empty(), "{fault}: {reverted:?}");
                format!("skipped {:?}", applied.skipped)
            }
            Err(refused) => chain(&refused),
        };
        eprintln!("{fault}: {told}");
        let clear = told.contains("vanished") || told.contains("is gone");
        assert!(clear, "{fault}: {told}");
        drill.guardian.finish().unwrap();
        let gone = selector.select(0).unwrap_err().to_string();
        assert!(gone.contains(&name), "{gone}");
    }
}

#[test]
fn a_process_that_vanishes_before_the_effect_leaves_nothing() {
    let Some(bed) = Bed::lay() else { return };
    let before = bed.snapshot();
    for (fault, arguments) in of_each_mechanism() {
        let there = Sleeper::at(&bed.near);
        let (target, pid) = (there.target(), there.0.id());
        let primitives = compile(fault, &arguments, &Site::of(&[target])).unwrap();
        let drill = Drill::begin();
        let gone = ProcessIdentity::of(pid).unwrap().unwrap();
        drop(there);
        assert_eq!(gone.presence().unwrap(), Presence::Gone);
        let told = match drill.guardian.apply(primitives) {
            Ok(applied) => {
                let reverted = drill.guardian.revert(applied.id).unwrap();
                assert!(reverted.residue.is_empty(), "{fault}: {reverted:?}");
                format!("skipped {:?}", applied.skipped)
            }
            Err(refused) => chain(&refused),
        };
        eprintln!("{fault}: {told}");
        drill.guardian.finish().unwrap();
        // The kernel looks for duplicates of the address that it makes itself.
        wait_for("everything as before", || bed.snapshot() == before);
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    format!("{error}: {}", causes.join(": "))
}
