use std::fs;

use firedrill_kernel::process;
use serde_json::json;

use super::prober::{Pace, send};
use super::{InForce, THROUGH};
use crate::Outcome;
use crate::bed::Bed;
use crate::figure::Figure;
use crate::processes::workers;

const PER_SECOND: u32 = 10_000;
const SECONDS: u32 = 3;
const ROUNDS: usize = 3;

/// Processor time that ten thousand packets a second through the queue take: the worker's own, and
/// the whole system's beside the same traffic without it, by turns.
pub(super) fn measure(bed: &Bed, seed: u64) -> Outcome<bool> {
    let arguments = format!(r#"{{"delay": "20ms", "remote-port": {THROUGH}}}"#);
    let (mut worker, mut with, mut without) = (0.0, 0.0, 0.0);
    for _ in 0..ROUNDS {
        without += busy_while_sending(bed)?;
        let fault = InForce::on_traffic(bed, "switching.latency", &arguments, seed)?;
        let pids = workers()?;
        let [pid] = pids[..] else {
            return Err("the queue has not one worker".into());
        };
        let before = cpu_of(pid)?;
        with += busy_while_sending(bed)?;
        worker += cpu_of(pid)? - before;
        fault.end()?;
    }
    let seconds = f64::from(SECONDS) * ROUNDS as f64;
    for (metric, value) in [
        ("nfqueue cost per 10,000 packets/s: worker", worker),
        (
            "nfqueue cost per 10,000 packets/s: whole system",
            with - without,
        ),
    ] {
        Figure {
            bench: "faults",
            metric: metric.into(),
            value: value / seconds * 100.0,
            unit: "% of one core",
            peer: None,
            also: json!({"seconds": seconds}),
        }
        .print();
    }
    Ok(true)
}

/// Seconds for which processors were not idle, soft interrupts included.
fn busy_while_sending(bed: &Bed) -> Outcome<f64> {
    let before = busy()?;
    let pace = Pace {
        per_second: PER_SECOND,
        count: PER_SECOND * SECONDS,
        size: 100,
        burst: 10,
        paired: false,
    };
    send(bed, pace)?;
    Ok(busy()? - before)
}

/// Of all processors since boot, from `/proc/stat`.
fn busy() -> Outcome<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().flat_map(str::parse).collect();
    let idle: f64 = ticks.get(3..5).ok_or("/proc/stat is short")?.iter().sum();
    let all: f64 = ticks.get(..8).ok_or("/proc/stat is short")?.iter().sum();
    Ok((all - idle) / 100.0)
}

/// Seconds of processor time that a process has had.
pub(super) fn cpu_of(pid: u32) -> Outcome<f64> {
    let stat = process::stat(pid)?.ok_or("the worker has ended")?;
    Ok(stat.cpu().as_secs_f64())
}
