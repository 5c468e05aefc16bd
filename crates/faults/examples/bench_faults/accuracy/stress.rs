//! Processor time and memory that workers take, by what `/proc` says of them.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_undo::{Primitive, Work};
use firedrill_worker::Job;
use firedrill_worker::stress::{CpuLoad, MemoryAmount, MemoryLoad};
use serde_json::json;

use super::cost::cpu_of;
use super::{InForce, beside_asked};
use crate::Outcome;
use crate::figure::Figure;
use crate::processes::{our_processes, wait};

const TIME: Duration = Duration::from_secs(6);

/// Points of one core.
const CPU_GOAL: f64 = 2.0;

/// Ours and `stress-ng --cpu-load` for the same share, one after the other, each on a processor of
/// its own choice.
pub(super) fn cpu() -> Outcome<bool> {
    let mut well = true;
    for asked in [20.0, 50.0, 80.0] {
        let load = CpuLoad {
            percent: asked,
            threads: 1,
            cpus: None,
            ahead: false,
        };
        let fault = work(Job::Cpu(load))?;
        let pid = *our_processes("worker")?.first().ok_or("no worker")?;
        let ours = share(|| cpu_of(pid))?;
        fault.end()?;
        let goal = (asked - CPU_GOAL, asked + CPU_GOAL);
        well &= beside_asked(
            &format!("cpu {asked} %"),
            "% of one core",
            asked,
            ours,
            goal,
        );
        if let Some(theirs) = stress_ng(asked)? {
            Figure {
                bench: "faults",
                metric: format!("cpu {asked} %: distance from what was asked"),
                value: (ours - asked).abs(),
                unit: "points",
                peer: Some(("stress-ng --cpu-load", (theirs - asked).abs())),
                also: json!({"peer_achieved": theirs}),
            }
            .print();
        }
    }
    Ok(well)
}

/// Percent of a core over the time, after a moment to settle.
fn share(cpu: impl Fn() -> Outcome<f64>) -> Outcome<f64> {
    wait(Duration::from_millis(500));
    let (before, start) = (cpu()?, Instant::now());
    wait(TIME);
    Ok((cpu()? - before) / start.elapsed().as_secs_f64() * 100.0)
}

/// What the other tool achieves; nothing where it is not installed.
fn stress_ng(percent: f64) -> Outcome<Option<f64>> {
    let mut child = match Command::new("stress-ng")
        .args(["--quiet", "--cpu", "1", "--cpu-load", &percent.to_string()])
        .args(["--timeout", "60s"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
    {
        Ok(child) => child,
        Err(_) => {
            println!(
                "{}",
                json!({"skipped": "stress-ng", "why": "it is not installed"})
            );
            return Ok(None);
        }
    };
    wait(Duration::from_millis(500));
    let stressor = firedrill_kernel::process::list()?
        .into_iter()
        .filter_map(|pid| {
            firedrill_kernel::process::stat(pid)
                .ok()
                .flatten()
                .map(|s| (pid, s))
        })
        .find(|(_, stat)| stat.parent == child.id());
    let achieved = match stressor {
        Some((pid, _)) => share(|| cpu_of(pid)).map(Some),
        None => Err("stress-ng has started nothing".into()),
    };
    // SIGTERM, so that it ends its own processes.
    crate::processes::signal(child.id(), rustix::process::Signal::TERM)?;
    child.wait()?;
    achieved
}

/// Resident memory of the worker beyond what a worker with next to nothing has.
pub(super) fn memory() -> Outcome<bool> {
    let (one, many) = (1 << 20, 256 << 20);
    let base = resident_with(one)?;
    let full = resident_with(many)?;
    let asked = (many - one) as f64;
    let goal = (asked * 0.99, asked * 1.01);
    Ok(beside_asked(
        "memory 256 MiB",
        "bytes",
        asked,
        full - base,
        goal,
    ))
}

fn resident_with(bytes: u64) -> Outcome<f64> {
    let fault = work(Job::Memory(MemoryLoad {
        amount: MemoryAmount::Bytes(bytes),
        total: false,
        reserve: None,
    }))?;
    wait(Duration::from_secs(1));
    let pid = *our_processes("worker")?.first().ok_or("no worker")?;
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    fault.end()?;
    let resident = text
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    Ok(resident.ok_or("smaps_rollup says no Rss")? * 1024.0)
}

fn work(job: Job) -> Outcome<InForce> {
    InForce::of(vec![Primitive::RunWorker(Work {
        job,
        place: Vec::new(),
    })])
}
