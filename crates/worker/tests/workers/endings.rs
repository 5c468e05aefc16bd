//! A worker ends with its guardian, its socket or its deadline, whatever is dead or stopped.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_kernel::clock::boottime;
use firedrill_kernel::{Pidfd, ProcessIdentity, Signal, process};
use firedrill_worker::stress::{CpuLoad, MemoryAmount, MemoryLoad};
use firedrill_worker::{Job, WorkerError, WorkerHandle};

use crate::fixture::{LIMIT, config, eventually, is_gone, pause, program, refusal, start};

fn light() -> Job {
    Job::Cpu(CpuLoad {
        percent: 1.0,
        threads: 1,
        cpus: None,
        ahead: false,
    })
}

/// A guardian in a process of its own, and its worker.
fn guardian(lease: Duration) -> (Child, ProcessIdentity) {
    let job = serde_json::to_string(&light()).unwrap();
    let mut child = Command::new(program())
        .args(["guardian", &job, &lease.as_millis().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let pid = line.trim().parse().unwrap_or_else(|_| panic!("{line}"));
    (child, ProcessIdentity::of(pid).unwrap().unwrap())
}

fn signal(process: &ProcessIdentity, signal: Signal) {
    let pidfd = Pidfd::open(process).unwrap().unwrap();
    pidfd.send(signal).unwrap();
}

fn is_stopped(process: &ProcessIdentity) -> bool {
    process
        .stat()
        .unwrap()
        .is_some_and(|stat| stat.state.is_stopped())
}

#[test]
fn a_killed_guardian_takes_its_worker_along_at_once() {
    let (mut guardian, worker) = guardian(Duration::from_secs(600));
    assert!(!is_gone(&worker));
    guardian.kill().unwrap();
    guardian.wait().unwrap();
    eventually("the worker is gone", || is_gone(&worker));
}

#[test]
fn a_stopped_guardian_does_not_keep_its_worker_past_the_deadline() {
    let (mut child, worker) = guardian(Duration::from_secs(3));
    let guardian = ProcessIdentity::of(child.id()).unwrap().unwrap();
    signal(&guardian, Signal::Stop);
    eventually("the guardian is stopped", || is_stopped(&guardian));
    eventually("the worker is gone", || is_gone(&worker));
    assert!(is_stopped(&guardian));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_worker_stopped_past_its_deadline_does_nothing_when_continued() {
    let job = Job::Cpu(CpuLoad {
        percent: 100.0,
        threads: 4,
        cpus: None,
        ahead: false,
    });
    let deadline = boottime() + Duration::from_secs(3);
    let mut worker = WorkerHandle::spawn(&config(), &job, deadline).unwrap();
    let identity = worker.identity();
    signal(&identity, Signal::Stop);
    eventually("the worker is stopped", || is_stopped(&identity));
    while boottime() < deadline + Duration::from_millis(300) {
        pause(Duration::from_millis(50));
    }
    assert!(worker.is_alive());
    signal(&identity, Signal::Cont);
    assert!(worker.reap(LIMIT).unwrap());
}

#[test]
fn a_worker_ends_at_its_deadline_and_not_before_a_renewed_one() {
    let first = boottime() + Duration::from_secs(2);
    let mut worker = WorkerHandle::spawn(&config(), &light(), first).unwrap();
    let second = first + Duration::from_secs(2);
    worker.extend(second).unwrap();
    eventually("the worker keeps the new deadline", || {
        worker.last_beat().unwrap() == second
    });
    assert!(worker.reap(LIMIT).unwrap());
    assert!(boottime() >= second);
    assert!(!worker.is_alive());
    assert!(matches!(
        worker.measure(Duration::from_secs(1)),
        Err(WorkerError::Died)
    ));
}

#[test]
fn a_deadline_in_the_past_starts_nothing() {
    let outcome = WorkerHandle::spawn(&config(), &light(), Duration::from_secs(1));
    assert!(matches!(outcome, Err(WorkerError::Died)), "{outcome:?}");
}

#[test]
fn a_dropped_handle_leaves_no_worker() {
    let worker = start(&light()).unwrap();
    let identity = worker.identity();
    drop(worker);
    assert!(is_gone(&identity));
}

#[test]
fn a_kill_is_followed_by_a_reap() {
    let mut worker = start(&light()).unwrap();
    worker.kill().unwrap();
    assert!(worker.reap(LIMIT).unwrap());
    assert_eq!(process::stat(worker.identity().pid).unwrap(), None);
}

#[test]
fn a_stopped_worker_gives_no_measurement_and_no_beat() {
    let mut worker = start(&light()).unwrap();
    let identity = worker.identity();
    let before = worker.last_beat().unwrap();
    signal(&identity, Signal::Stop);
    eventually("the worker is stopped", || is_stopped(&identity));
    worker.extend(boottime() + 2 * LIMIT).unwrap();
    let outcome = worker.measure(Duration::from_millis(200));
    assert!(matches!(outcome, Err(WorkerError::NoReply { .. })));
    assert_eq!(worker.last_beat().unwrap(), before);
    signal(&identity, Signal::Cont);
    eventually("it beats again", || worker.last_beat().unwrap() > before);
}

#[test]
fn a_job_out_of_bounds_is_refused_in_words() {
    let job = Job::Cpu(CpuLoad {
        percent: 120.0,
        threads: 1,
        cpus: None,
        ahead: false,
    });
    let why = refusal(start(&job));
    assert_eq!(why, "percent is 120; it has to be above 0 and at most 100");
}

#[test]
fn a_worker_is_the_first_that_the_out_of_memory_killer_takes() {
    let job = Job::Memory(MemoryLoad {
        amount: MemoryAmount::Bytes(1 << 20),
        total: false,
        reserve: Some(0),
    });
    let worker = start(&job).unwrap();
    let path = format!("/proc/{}/oom_score_adj", worker.identity().pid);
    assert_eq!(std::fs::read_to_string(path).unwrap().trim(), "1000");
}

#[test]
fn a_program_that_is_no_worker_is_told_apart() {
    let mut config = config();
    config.exe = "/bin/true".into();
    let outcome = WorkerHandle::spawn(&config, &light(), boottime() + LIMIT);
    assert!(matches!(outcome, Err(WorkerError::Died)), "{outcome:?}");
    config.exe = "/nonexistent/firedrill".into();
    let outcome = WorkerHandle::spawn(&config, &light(), boottime() + LIMIT);
    assert!(matches!(outcome, Err(WorkerError::Spawn { .. })));
    config.exe = "/bin/sleep".into();
    config.command = vec!["60".into()];
    config.start_limit = Duration::from_millis(300);
    let began = Instant::now();
    let outcome = WorkerHandle::spawn(&config, &light(), boottime() + LIMIT);
    assert!(matches!(outcome, Err(WorkerError::NoReply { .. })));
    assert!(began.elapsed() >= Duration::from_millis(300));
}
