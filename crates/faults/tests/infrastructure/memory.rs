use std::process::Command;

use firedrill_faults::Target;
use firedrill_kernel::cgroup::{Controller, Limit};
use firedrill_kernel::process;
use firedrill_undo::Quantity;
use serde_json::{Value, json};

use crate::drill::{Drill, program, wait_for};
use crate::places::{OwnCgroup, OwnProcess};

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

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

fn assert_near(what: &str, seen: u64, asked: u64, percent: u64) {
    let most = asked * percent / 100;
    assert!(
        seen.abs_diff(asked) <= most,
        "{what}: {:.2} MiB of {:.2} asked",
        mebibytes(seen),
        mebibytes(asked)
    );
}

#[test]
fn bytes_are_resident_in_a_process_that_the_oom_killer_takes_first() {
    let Some(drill) = spared() else { return };
    let asked = 128 * MIB;
    let placed = drill.apply(MEMORY, &json!({"bytes": "128MiB"}), Target::Host);
    let worker = placed.workers()[0];
    // While it fills, too.
    let early = placed.observe().measured;
    assert!(early.iter().all(|one| one.requested == Some(asked as f64)));
    let figure = placed.figure_when_met(Quantity::MemoryHeld);
    let seen = resident(worker);
    eprintln!(
        "memory: asked 128 MiB, RssAnon {:.2} MiB, we say {figure}",
        mebibytes(seen)
    );
    assert_near("RssAnon", seen, asked, 1);
    let score = |pid| std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    assert_eq!(score(worker).trim(), "1000");
    let guardian = placed.drill.guardian.ready().guardian.pid;
    assert_eq!(score(guardian).trim(), "-1000");
    placed.revert();
    assert_eq!(process::stat(worker).unwrap(), None);
}

/// Bytes of the host: all, and available.
fn host() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let field = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let words = line.unwrap().trim().trim_end_matches(" kB");
        words.parse::<u64>().unwrap() * 1024
    };
    (field("MemTotal:"), field("MemAvailable:"))
}

/// On a host that many use, what is available moves by itself; on one of much memory a share is too
/// much to take for a test. The virtual machine is neither.
#[test]
fn shares_and_levels_of_the_host_are_what_meminfo_says() {
    if host().0 > 2 << 30 {
        eprintln!("skipped: this host has much memory, and others who use it");
        return;
    }
    let Some(drill) = spared() else { return };
    drop(drill);
    let (whole, available) = host();
    let level = whole - available + 80 * MIB;
    for arguments in [
        json!({"percent": 10}),
        json!({"percent": 13, "of": "available"}),
        json!({"bytes": level, "mode": "total"}),
        json!({"percent": 100.0 * level as f64 / whole as f64, "mode": "total"}),
    ] {
        host_holds(&arguments, level);
    }
    let used = json!({"bytes": MIB, "mode": "total"});
    let error = Drill::begin().refusal(MEMORY, &used, Target::Host);
    assert!(error.to_string().contains("are used"), "{error}");
}

/// Applies it, and compares what the kernel says with what was asked: the share, or the level.
fn host_holds(arguments: &Value, level: u64) {
    let (whole, before) = host();
    let placed = Drill::begin().apply(MEMORY, arguments, Target::Host);
    let is_level = arguments.get("mode").is_some();
    let figure = placed.figure_when_met(if is_level {
        Quantity::MemoryUsed
    } else {
        Quantity::MemoryHeld
    });
    let (held, available) = (resident(placed.workers()[0]), host().1);
    eprintln!(
        "memory: {arguments}, RssAnon {:.2} MiB, {:.2} MiB less are available, {:.2} MiB are in \
         use, we say {figure}",
        mebibytes(held),
        mebibytes(before.saturating_sub(available)),
        mebibytes(whole - available),
    );
    if is_level {
        assert_near("in use", whole - available, level, 1);
    } else {
        let asked = figure.requested.unwrap() as u64;
        let of = arguments.get("of").map_or(whole, |_| before);
        let share = arguments["percent"].as_f64().unwrap() / 100.0;
        // What is available has moved a little since it was read here.
        assert_near("asked", asked, (of as f64 * share) as u64, 5);
        assert_near("RssAnon", held, asked, 1);
    }
    placed.revert();
}

#[test]
fn a_share_of_a_cgroups_limit_is_taken_in_the_cgroup() {
    let Some(own) = OwnCgroup::with(Controller::Memory) else {
        return;
    };
    own.0.set(&Limit::Memory(Some(200 * MIB))).unwrap();
    let aim = || Target::Cgroup(own.path());
    let Some(drill) = spared() else { return };
    let half = json!({"percent": 50, "reserve": "16MiB"});
    let placed = drill.apply(MEMORY, &half, aim());
    let worker = placed.workers()[0];
    let figure = placed.figure_when_met(Quantity::MemoryHeld);
    let used = own.0.memory_usage().unwrap();
    eprintln!(
        "memory: asked 100 MiB, RssAnon {:.2} MiB, the cgroup counts {:.2} MiB, we say {figure}",
        mebibytes(resident(worker)),
        mebibytes(used)
    );
    assert_near("RssAnon", resident(worker), 100 * MIB, 1);
    // With the tables that the pages are found by.
    assert_near("the cgroup", used, 100 * MIB, 2);
    placed.revert();
    let total = json!({"percent": 60, "mode": "total", "reserve": "16MiB"});
    let placed = Drill::begin().apply(MEMORY, &total, aim());
    let figure = placed.figure_when_met(Quantity::MemoryUsed);
    let used = own.0.memory_usage().unwrap();
    eprintln!(
        "memory: asked 120 MiB in all, the cgroup counts {:.2} MiB, we say {figure}",
        mebibytes(used)
    );
    assert_eq!(figure.requested, Some((120 * MIB) as f64));
    assert_near("the cgroup", used, 120 * MIB, 1);
    placed.revert();
    assert!(own.0.memory_usage().unwrap() < 8 * MIB);
    let error = Drill::begin().refusal(MEMORY, &json!({"bytes": "190MiB"}), aim());
    assert!(error.to_string().contains("are free beside"), "{error}");
}

/// How many processes of a cgroup the out-of-memory killer took.
fn killed(own: &OwnCgroup) -> u64 {
    let files = ["memory.events", "memory.oom_control"].map(|name| own.path().join(name));
    let text = files.iter().find_map(|f| std::fs::read_to_string(f).ok());
    let text = text.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.unwrap().parse().unwrap()
}

/// The kernel may take a second process while the load is dying already, when that one takes memory
/// faster than the kernel takes back what the load held: seen on Linux 6.1 with one slow processor.
/// So the target gives way to the dying.
#[test]
fn where_memory_runs_out_the_load_goes_and_the_target_stays() {
    const TRIES: u32 = 6;
    let Some(own) = OwnCgroup::with(Controller::Memory) else {
        return;
    };
    own.0.set(&Limit::Memory(Some(80 * MIB))).unwrap();
    let Some(drill) = spared() else { return };
    drop(drill);
    // In the cgroup, a little more than there is beside the load.
    let script = format!(
        "echo $$ >{}/cgroup.procs && exec nice -n 19 dd if=/dev/zero of=/dev/null bs=32505856 count=1",
        own.path().display()
    );
    let stayed = (1..=TRIES).find(|_| {
        let arguments = json!({"bytes": "50MiB", "reserve": 0});
        let placed = Drill::begin().apply(MEMORY, &arguments, Target::Cgroup(own.path()));
        placed.figure_when_met(Quantity::MemoryHeld);
        let worker = placed.workers()[0];
        let stays = OwnProcess::shell(&script).succeeds();
        let guardian = &placed.drill.guardian;
        wait_for("the load is gone", || {
            !guardian.observe(placed.applied.id).unwrap().is_complete()
        });
        wait_for("it has ended", || {
            let left = process::stat(worker).unwrap();
            left.is_none_or(|stat| stat.is_gone())
        });
        assert!(killed(&own) > 0);
        placed.revert();
        stays
    });
    eprintln!("memory: ran out; the target stayed in try {stayed:?} of {TRIES}");
    assert!(stayed.is_some());
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
