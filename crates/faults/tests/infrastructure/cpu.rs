use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use firedrill_faults::Target;
use firedrill_kernel::cgroup::{Controller, Limit, LimitKind};
use firedrill_kernel::process;
use firedrill_undo::Quantity;
use serde_json::json;

use crate::drill::{Drill, compile};
use crate::places::{OwnCgroup, OwnProcess};

const CPU: &str = "infrastructure.cpu";

/// One load at a time, so that none is measured beside another.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cores used by the processes, as `/proc/PID/stat` counts, over the time.
fn cores(pids: &[u32], time: Duration) -> f64 {
    let used = || -> Duration {
        let stats = pids.iter().filter_map(|pid| process::stat(*pid).unwrap());
        stats.map(|stat| stat.cpu()).sum()
    };
    let (start, before) = (Instant::now(), used());
    crate::drill::pause(time);
    let after = used();
    after.saturating_sub(before).as_secs_f64() / start.elapsed().as_secs_f64()
}

#[test]
fn a_share_of_one_core_is_what_proc_counts_and_ends() {
    let _alone = alone();
    for percent in [20.0, 50.0, 80.0] {
        let arguments = json!({"percent": percent, "ahead": true});
        let placed = Drill::begin().apply(CPU, &arguments, Target::Host);
        let workers = placed.workers();
        assert_eq!(workers.len(), 1);
        let seen = cores(&workers, Duration::from_secs(3));
        let figure = placed.figure(Quantity::CpuShare);
        eprintln!(
            "cpu: asked {percent} %, /proc says {:.2} %, we say {figure}",
            seen * 100.0
        );
        assert_eq!(figure.requested, Some(percent / 100.0));
        assert!((seen - percent / 100.0).abs() < 0.1, "{seen}");
        assert!((figure.achieved - seen).abs() < 0.1, "{figure}");
        placed.revert();
        assert_eq!(process::stat(workers[0]).unwrap(), None);
    }
}

#[test]
fn a_load_that_goes_ahead_of_others_is_nicer_to_nobody() {
    let _alone = alone();
    for (ahead, nice) in [(false, 0), (true, -20)] {
        let arguments = json!({"percent": 5, "ahead": ahead});
        let placed = Drill::begin().apply(CPU, &arguments, Target::Host);
        let tasks = std::fs::read_dir(format!("/proc/{}/task", placed.workers()[0])).unwrap();
        let seen = tasks.filter_map(|task| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
            let (name, rest) = stat.rsplit_once(") ")?;
            // The nineteenth field of proc_pid_stat(5); the third is the first here.
            let nice: i32 = rest.split(' ').nth(16)?.parse().ok()?;
            name.ends_with("busy").then_some(nice)
        });
        assert_eq!(seen.collect::<Vec<_>>(), [nice]);
        placed.revert();
    }
}

#[test]
fn all_cores_and_named_processors_are_as_many_threads_there() {
    let _alone = alone();
    let online = std::thread::available_parallelism().unwrap().get();
    let arguments = json!({"percent": 5, "cores": "all"});
    let placed = Drill::begin().apply(CPU, &arguments, Target::Host);
    let figure = placed.figure_later(Quantity::CpuShare);
    assert_eq!(figure.requested, Some(0.05 * online as f64));
    placed.revert();
    let arguments = json!({"percent": 5, "cpus": [0]});
    let placed = Drill::begin().apply(CPU, &arguments, Target::Host);
    let worker = placed.workers()[0];
    let path = format!("/proc/{worker}/task");
    let allowed = std::fs::read_dir(path).unwrap().map(|task| {
        let status = task.unwrap().path().join("status");
        let text = std::fs::read_to_string(status).unwrap();
        let name = text.lines().next().unwrap().to_owned();
        let list = text
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        (name, list.unwrap().trim().to_owned())
    });
    let busy: Vec<_> = allowed.filter(|(name, _)| name.ends_with("busy")).collect();
    assert_eq!(busy.len(), 1);
    assert_eq!(busy[0].1, "0");
    placed.revert();
}

#[test]
fn the_worker_competes_in_the_targets_cgroup() {
    let _alone = alone();
    let Some(own) = OwnCgroup::with(Controller::Cpu) else {
        return;
    };
    let target = OwnProcess::shell("exec sleep 60");
    own.0.adopt(target.pid()).unwrap();
    for aim in [Target::Cgroup(own.path()), target.identity().into()] {
        let placed = Drill::begin().apply(CPU, &json!({"percent": 10}), aim);
        let workers = placed.workers();
        assert!(own.0.processes().unwrap().contains(&workers[0]));
        placed.revert();
        assert_eq!(own.0.processes().unwrap(), [target.pid()]);
    }
}

#[test]
fn a_throttled_process_keeps_its_share_and_gets_its_quota_back() {
    let _alone = alone();
    let Some(own) = OwnCgroup::with(Controller::Cpu) else {
        return;
    };
    let target = OwnProcess::shell("while :; do :; done");
    own.0.adopt(target.pid()).unwrap();
    let before = own.0.limit(LimitKind::Cpu).unwrap();
    // As the kernel's own file has it.
    let quota = || {
        let files = ["cpu.max", "cpu.cfs_quota_us"].map(|name| own.path().join(name));
        let text = files.iter().find_map(|f| std::fs::read_to_string(f).ok());
        text.unwrap()
    };
    let unlimited = quota();
    let online = std::thread::available_parallelism().unwrap().get() as f64;
    let drill = Drill::begin();
    let throttle = json!({"throttle": 10});
    let placed = drill.apply(CPU, &throttle, target.identity().into());
    let asked = 0.1 * online;
    let seen = cores(&[target.pid()], Duration::from_secs(2));
    eprintln!(
        "throttle: may use {asked:.2} cores, the quota is {}, /proc says {seen:.3}",
        quota().trim()
    );
    assert!(seen < asked + 0.1, "{seen}");
    assert_ne!(quota(), unlimited);
    let observed = placed.observe();
    assert!(
        observed.is_complete() && observed.idle.is_empty(),
        "{observed:?}"
    );
    placed.revert();
    assert_eq!(own.0.limit(LimitKind::Cpu).unwrap(), before);
    assert_eq!(quota(), unlimited);
}

#[test]
fn a_throttle_that_nobody_notices_has_no_effect_and_a_bystander_refuses_it() {
    let Some(own) = OwnCgroup::with(Controller::Cpu) else {
        return;
    };
    let target = OwnProcess::shell("exec sleep 60");
    own.0.adopt(target.pid()).unwrap();
    let aim = Target::from(target.identity());
    let placed = Drill::begin().apply(CPU, &json!({"throttle": 10}), aim.clone());
    crate::drill::pause(Duration::from_secs(1));
    let observed = placed.observe();
    assert_eq!(observed.idle.len(), 1, "{observed:?}");
    placed.revert();
    let bystander = OwnProcess::shell("exec sleep 60");
    own.0.adopt(bystander.pid()).unwrap();
    let error = compile(CPU, &json!({"throttle": 10}), &[aim]).unwrap_err();
    assert!(error.to_string().contains("not a target"), "{error}");
}

#[test]
fn a_limit_that_somebody_else_sets_meanwhile_is_left_and_told() {
    let Some(own) = OwnCgroup::with(Controller::Cpu) else {
        return;
    };
    let aim = Target::Cgroup(own.path());
    let placed = Drill::begin().apply(CPU, &json!({"throttle": 50}), aim);
    let Limit::Cpu(ours) = own.0.limit(LimitKind::Cpu).unwrap() else {
        panic!("a quota was asked for");
    };
    let theirs = Limit::Cpu(firedrill_kernel::cgroup::CpuQuota {
        quota_us: Some(7_000),
        ..ours
    });
    own.0.set(&theirs).unwrap();
    let reverted = placed.drill.guardian.revert(placed.applied.id).unwrap();
    assert_eq!(reverted.residue.len(), 1, "{reverted:?}");
    assert_eq!(own.0.limit(LimitKind::Cpu).unwrap(), theirs);
}
