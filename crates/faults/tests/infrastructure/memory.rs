use std::process::Command;

use firedrill_faults::Target;
use firedrill_kernel::cgroup::{Controller, Limit};
use firedrill_kernel::process;
use firedrill_undo::Quantity;
use serde_json::json;

use crate::drill::{Drill, program};
use crate::places::OwnCgroup;

const MEMORY: &str = "infrastructure.memory";
const MIB: u64 = 1 << 20;

/// A guardian that may take memory; `None`, and said, where it may not.
pub(crate) fn spared() -> Option<Drill> {
    let drill = Drill::begin();
    if !drill.guardian.ready().spared_by_oom_killer {
        eprintln!("skipped: taking memory needs CAP_SYS_RESOURCE");
        return None;
    }
    Some(drill)
}

/// Anonymous resident bytes of a process, as the kernel says.
fn resident(pid: u32) -> u64 {
    let text = process::status_field(pid, "RssAnon").unwrap();
    let text = text.unwrap_or_default();
    text.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

#[test]
fn bytes_are_resident_in_a_process_that_the_oom_killer_takes_first() {
    let Some(drill) = spared() else { return };
    let placed = drill.apply(MEMORY, &json!({"bytes": "128MiB"}), Target::Host);
    let worker = placed.workers()[0];
    crate::drill::wait_for("it holds them", || {
        let seen = placed.observe();
        assert!(seen.is_complete(), "{seen:?}");
        resident(worker) >= 128 * MIB
    });
    let figure = placed.figure(Quantity::MemoryHeld);
    let seen = resident(worker) as f64;
    let off = 100.0 * (figure.achieved / (128 * MIB) as f64 - 1.0);
    eprintln!(
        "memory: asked 128 MiB, RssAnon {:.2} MiB, we say {figure} ({off:+.3} %)",
        seen / MIB as f64
    );
    assert!(off.abs() <= 1.0, "{figure}");
    assert!((seen - figure.achieved).abs() < (4 * MIB) as f64);
    let score = std::fs::read_to_string(format!("/proc/{worker}/oom_score_adj")).unwrap();
    assert_eq!(score.trim(), "1000");
    let guardian = placed.drill.guardian.ready().guardian.pid;
    let score = std::fs::read_to_string(format!("/proc/{guardian}/oom_score_adj")).unwrap();
    assert_eq!(score.trim(), "-1000");
    placed.revert();
    assert_eq!(process::stat(worker).unwrap(), None);
}

#[test]
fn a_share_of_a_cgroups_limit_is_taken_in_the_cgroup() {
    let Some(own) = OwnCgroup::with(Controller::Memory) else {
        return;
    };
    own.0.set(&Limit::Memory(Some(200 * MIB))).unwrap();
    let aim = || Target::Cgroup(own.path());
    let half = json!({"percent": 50, "reserve": "16MiB"});
    let Some(drill) = spared() else { return };
    let placed = drill.apply(MEMORY, &half, aim());
    let worker = placed.workers()[0];
    crate::drill::wait_for("it holds them", || resident(worker) >= 99 * MIB);
    let used = own.0.memory_usage().unwrap();
    eprintln!(
        "memory: asked 100 MiB, the cgroup counts {:.2} MiB",
        used as f64 / MIB as f64
    );
    assert!((99 * MIB..112 * MIB).contains(&used), "{used}");
    placed.revert();
    let total = json!({"percent": 60, "mode": "total", "reserve": "16MiB"});
    let placed = Drill::begin().apply(MEMORY, &total, aim());
    crate::drill::wait_for("it is filled", || {
        let seen = placed.observe();
        assert!(seen.is_complete(), "{seen:?}");
        (117 * MIB..123 * MIB).contains(&own.0.memory_usage().unwrap())
    });
    let figure = placed.figure_of_everybody();
    assert_eq!(figure.requested, Some((120 * MIB) as f64));
    placed.revert();
    assert!(own.0.memory_usage().unwrap() < 8 * MIB);
    let error = Drill::begin().refusal(MEMORY, &json!({"bytes": "190MiB"}), aim());
    assert!(error.to_string().contains("are free beside"), "{error}");
}

#[test]
fn a_share_of_what_is_available_is_less_than_one_of_all() {
    let Some(own) = OwnCgroup::with(Controller::Memory) else {
        return;
    };
    own.0.set(&Limit::Memory(Some(200 * MIB))).unwrap();
    let aim = || Target::Cgroup(own.path());
    let used =
        |least: u64, most: u64| (least * MIB..most * MIB).contains(&own.0.memory_usage().unwrap());
    let Some(drill) = spared() else { return };
    let half = json!({"bytes": "100MiB", "reserve": "16MiB"});
    let first = drill.apply(MEMORY, &half, aim());
    crate::drill::wait_for("half of it", || used(99, 112));
    let share = json!({"percent": 40, "of": "available", "reserve": "16MiB"});
    let second = Drill::begin().apply(MEMORY, &share, aim());
    // Forty of a hundred; of all, it would be eighty.
    crate::drill::wait_for("and a part of the rest", || used(130, 155));
    second.revert();
    first.revert();
}

impl crate::drill::Placed {
    fn figure_of_everybody(&self) -> firedrill_undo::Measurement {
        let there = |seen: &firedrill_undo::Observed| {
            seen.measured
                .iter()
                .any(|one| one.quantity == Quantity::MemoryUsed)
        };
        crate::drill::wait_for("a second sample", || there(&self.observe()));
        self.figure(Quantity::MemoryUsed)
    }
}

#[test]
fn without_a_guardian_that_the_oom_killer_spares_it_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let owner = |cap: &str| {
        Command::new("setpriv")
            .args(["--bounding-set", cap, "--inh-caps", cap])
            .arg(program())
            .arg("owner")
            .arg(state.path())
            .args([MEMORY, r#"{"bytes": "1MiB"}"#, "host"])
            .output()
    };
    match owner("-sys_resource") {
        Err(_) => eprintln!("skipped: setpriv is not installed"),
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("unrecognized") => {
            eprintln!("skipped: this setpriv does not know bounding sets");
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("would not spare the guardian"), "{output:?}");
        }
    }
}
