//! What makes load: processor, memory, block device.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use firedrill_kernel::cgroup::{Controller, Limit};
use firedrill_worker::stress::{CpuLoad, IoLoad, IoMode, MemoryAmount, MemoryLoad, PercentOf};
use firedrill_worker::{Job, Quantity, WorkerHandle};

use crate::fixture::{FileSystem, LIMIT, OwnCgroup, eventually, is_root, pause, refusal, start};

const MIB: u64 = 1 << 20;

/// A number in a file of `/proc/PID`, by the name before it.
fn number(worker: &WorkerHandle, file: &str, name: &str) -> u64 {
    let path = format!("/proc/{}/{file}", worker.identity().pid);
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// Of all threads: processor time had, and time spent waiting for a processor, in seconds.
fn schedule(worker: &WorkerHandle) -> (f64, f64) {
    let mut sum = (0.0, 0.0);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", worker.identity().pid)).unwrap();
    for task in tasks {
        let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        let mut words = text
            .split_ascii_whitespace()
            .map(|word| word.parse::<f64>().unwrap());
        sum.0 += words.next().unwrap() / 1e9;
        sum.1 += words.next().unwrap() / 1e9;
    }
    sum
}

/// The share that a load had in five seconds, as the scheduler counts it, and
/// how long it waited for the processor.
fn observe(worker: &WorkerHandle) -> (f64, f64) {
    pause(Duration::from_millis(500));
    let (began, before) = (Instant::now(), schedule(worker));
    pause(Duration::from_secs(5));
    let (wall, after) = (began.elapsed().as_secs_f64(), schedule(worker));
    ((after.0 - before.0) / wall, (after.1 - before.1) / wall)
}

fn cpu(percent: f64, processor: u32, ahead: bool) -> Job {
    Job::Cpu(CpuLoad {
        percent,
        threads: 1,
        cpus: Some(vec![processor]),
        ahead,
    })
}

#[test]
fn a_cpu_load_has_the_share_that_was_asked_for() {
    let mut worker = start(&cpu(30.0, 0, false)).unwrap();
    let (share, waited) = observe(&worker);
    eprintln!("asked 0.300, had {share:.4}, waited {waited:.3} for a processor");
    assert!(share < 0.32, "{share}");
    if waited < 0.1 {
        assert!(share > 0.28, "{share}");
    } else {
        eprintln!("lower bound skipped: this processor is busy beyond its capacity");
    }
    let measured = worker.measure(LIMIT).unwrap();
    let [measured] = measured.as_slice() else {
        panic!("{measured:?}");
    };
    eprintln!("{measured}");
    assert_eq!(measured.quantity, Quantity::CpuShare);
    assert!((measured.requested.unwrap() - 0.3).abs() < 1e-9);
    assert!((measured.achieved - share).abs() < 0.03, "{measured:?}");
}

#[test]
fn a_load_that_goes_ahead_has_its_share_of_a_busy_processor() {
    if !is_root() {
        return;
    }
    // Not the one of the test above, where there is another.
    let several = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    let processor = u32::from(several);
    let _other = start(&cpu(100.0, processor, false)).unwrap();
    let worker = match start(&cpu(70.0, processor, true)) {
        Ok(worker) => worker,
        Err(error) => {
            assert!(error.to_string().contains("go ahead"), "{error}");
            eprintln!("skipped: {error}");
            return;
        }
    };
    let (share, waited) = observe(&worker);
    eprintln!("asked 0.700, had {share:.4}, waited {waited:.3} for a processor");
    assert!(
        (share - 0.7).abs() < 0.02 || waited > 0.25,
        "{share} {waited}"
    );
    assert!(share < 0.72, "{share}");
}

#[test]
fn memory_is_resident_to_the_percent() {
    let bytes = 200 * MIB;
    let job = Job::Memory(MemoryLoad {
        amount: MemoryAmount::Bytes(bytes),
        total: false,
        reserve: None,
    });
    let mut worker = start(&job).unwrap();
    let resident = |worker: &WorkerHandle| number(worker, "smaps_rollup", "Anonymous:") * 1024;
    eventually("the memory is taken", || resident(&worker) >= bytes);
    pause(Duration::from_millis(200));
    let seen = resident(&worker);
    eprintln!("asked {bytes}, resident {seen}");
    assert!(seen.abs_diff(bytes) < bytes / 100, "{seen}");
    let measured = worker.measure(LIMIT).unwrap();
    let [measured] = measured.as_slice() else {
        panic!("{measured:?}");
    };
    eprintln!("{measured}");
    assert_eq!(measured.quantity, Quantity::MemoryHeld);
    assert!((measured.achieved / bytes as f64 - 1.0).abs() < 0.01);
}

#[test]
fn more_memory_than_there_is_is_refused() {
    let job = Job::Memory(MemoryLoad {
        amount: MemoryAmount::Bytes(1 << 50),
        total: false,
        reserve: None,
    });
    let why = refusal(start(&job));
    assert!(why.contains("bytes are asked for"), "{why}");
}

#[test]
fn a_total_level_of_a_cgroup_is_kept_while_others_come_and_go() {
    if !is_root() {
        return;
    }
    let Some(own) = OwnCgroup::create(Controller::Memory, "level") else {
        return;
    };
    own.cgroup().set(&Limit::Memory(Some(400 * MIB))).unwrap();
    let job = Job::Memory(MemoryLoad {
        amount: MemoryAmount::Percent {
            percent: 50.0,
            of: PercentOf::Total,
        },
        total: true,
        reserve: Some(40 * MIB),
    });
    let mut worker = own.start(&job).unwrap();
    let used = || own.cgroup().memory_usage().unwrap();
    let is_level = |bytes: u64| bytes.abs_diff(200 * MIB) <= 2 * MIB;
    eventually("half of the cgroup is used", || is_level(used()));
    let other = Job::Memory(MemoryLoad {
        amount: MemoryAmount::Bytes(60 * MIB),
        total: false,
        reserve: Some(40 * MIB),
    });
    let other = own.start(&other).unwrap();
    let held = |worker: &WorkerHandle| number(worker, "smaps_rollup", "Anonymous:") * 1024;
    eventually("the other has its memory", || held(&other) >= 60 * MIB);
    eventually("the load makes room for it", || {
        is_level(used()) && held(&worker) < 145 * MIB
    });
    drop(other);
    eventually("the load fills up again", || {
        is_level(used()) && held(&worker) > 190 * MIB
    });
    let measured = worker.measure(LIMIT).unwrap();
    assert!(
        measured
            .iter()
            .any(|one| one.quantity == Quantity::MemoryUsed),
        "{measured:?}"
    );
}

#[test]
fn block_traffic_keeps_its_rate_past_the_page_cache() {
    if !is_root() {
        return;
    }
    let fs = FileSystem::ext4(64);
    let io = |mode, directory: PathBuf| {
        Job::Io(IoLoad {
            directory,
            mode,
            block_size: 64 << 10,
            rate: Some(4 << 20),
            workers: 2,
            file_size: 8 << 20,
            reserve_bytes: MIB,
        })
    };
    for (mode, counters) in [
        (IoMode::Read, &["read_bytes:"][..]),
        (IoMode::Write, &["write_bytes:"]),
        (IoMode::Mixed, &["read_bytes:", "write_bytes:"]),
    ] {
        let mut worker = fs.start(&io(mode, fs.path())).unwrap();
        let moved = |worker: &WorkerHandle| -> u64 {
            counters.iter().map(|name| number(worker, "io", name)).sum()
        };
        let (began, before) = (Instant::now(), moved(&worker));
        pause(Duration::from_millis(3500));
        let rate = (moved(&worker) - before) as f64 / began.elapsed().as_secs_f64();
        eprintln!("{mode:?}: asked {}, the kernel counted {rate:.0}", 4 << 20);
        assert!(rate < 4.4 * MIB as f64, "{rate}");
        assert!(rate > 2.0 * MIB as f64, "{rate}");
        let measured = worker.measure(LIMIT).unwrap();
        let [measured] = measured.as_slice() else {
            panic!("{measured:?}");
        };
        eprintln!("{measured}");
        assert_eq!(measured.quantity, Quantity::BytesPerSecond);
        assert!((measured.achieved / rate - 1.0).abs() < 0.2, "{measured:?}");
    }
    let mut job = io(IoMode::Write, fs.path());
    if let Job::Io(load) = &mut job {
        load.file_size = 64 << 20;
    }
    let why = refusal(fs.start(&job));
    assert!(why.contains("beside the reserve"), "{why}");
}
