//! Workers that do not confirm renewals.

use std::time::{Duration, Instant};

use firedrill_kernel::{Pidfd, ProcessIdentity, Signal, process};
use firedrill_undo::{Guardian, Primitive, Work};
use firedrill_worker::Job;
use firedrill_worker::stress::CpuLoad;

use crate::herd::{Herd, wait_for};

/// Of which a third is longer than a worker is given, and a quarter of it long enough for one that
/// runs to confirm on a busy host.
const LEASE: Duration = Duration::from_millis(2400);

fn load() -> Primitive {
    let job = Job::Cpu(CpuLoad {
        percent: 1.0,
        threads: 1,
        cpus: None,
        ahead: false,
    });
    let place = Vec::new();
    Primitive::RunWorker(Work { job, place })
}

fn worker_of(guardian: &Guardian) -> ProcessIdentity {
    let guardian = guardian.ready().guardian.pid;
    let children = process::list().unwrap().into_iter();
    let mut workers = children
        .filter(|pid| matches!(process::stat(*pid), Ok(Some(stat)) if stat.parent == guardian));
    let pid = workers.next().unwrap();
    ProcessIdentity::of(pid).unwrap().unwrap()
}

fn pause(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
    }
}

fn send(process: &ProcessIdentity, signal: Signal) {
    let pidfd = Pidfd::open(process).unwrap().unwrap();
    pidfd.send(signal).unwrap();
}

#[test]
fn a_stopped_worker_is_killed_by_the_third_renewal_of_a_short_lease() {
    let herd = Herd::of(0);
    let mut config = herd.config();
    config.lease = LEASE;
    let guardian = Guardian::spawn(config).unwrap();
    let applied = guardian.apply(vec![load()]).unwrap();
    let worker = worker_of(&guardian);
    send(&worker, Signal::Stop);
    // It misses the first and is found out at the second, unless it confirmed one while it was
    // being stopped: 1 s of silence would take it past the third, and a third of the lease more.
    for _ in 0..3 {
        guardian.renew().unwrap();
        pause(LEASE / 3);
    }
    wait_for("the worker's end", || worker.is_dying().unwrap_or(true));
    let observed = guardian.observe(applied.id).unwrap();
    assert_eq!(observed.achieved, 0, "{observed:?}");
    assert_eq!(guardian.finish().unwrap().residue, []);
}

#[test]
fn a_worker_that_confirms_is_left_alone_however_short_the_lease_is() {
    let herd = Herd::of(0);
    let mut config = herd.config();
    config.lease = LEASE;
    let guardian = Guardian::spawn(config).unwrap();
    let applied = guardian.apply(vec![load()]).unwrap();
    for _ in 0..6 {
        guardian.renew().unwrap();
        pause(LEASE / 6);
    }
    assert_eq!(guardian.observe(applied.id).unwrap().achieved, 1);
    guardian.finish().unwrap();
}
