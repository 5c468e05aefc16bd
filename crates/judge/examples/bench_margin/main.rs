//! Searches on simulated systems whose break point is known, beside bisection and a ramp:
//! how often the interval covers it, and what that costs; and certificates of a target that is
//! a tenth of the axis below or above the break point. `cargo xtask bench margin` runs it;
//! And the same searches where others count, and are read every so often. `runs=500` and `seed=20261123` are its settings.
//!
//! Bisection and ramp use the same trials, cut short by the same test, and stop at the same
//! width, so that only the searches differ.
#![expect(
    clippy::print_stdout,
    reason = "a measurement tells its figures by printing"
)]

mod certificate;
mod read;
mod search;
mod system;

use std::error::Error;

use certificate::Certified;
use firedrill_judge::margin::Scale;
use search::Found;
use system::{KINDS, Kind, System};

/// One figure of all runs.
type Measure<T> = (&'static str, &'static str, fn(&[T]) -> f64);

const CERTIFICATES: [Measure<Certified>; 4] = [
    ("certificate right", "%", |runs| {
        100.0 * mean(runs, |r| f64::from(u8::from(r.right == Some(true))))
    }),
    ("certificate wrong", "%", |runs| {
        100.0 * mean(runs, |r| f64::from(u8::from(r.right == Some(false))))
    }),
    ("trials of a certificate", "count", |runs| {
        mean(runs, |r| f64::from(r.cost.trials))
    }),
    ("bad events of a certificate", "count", |runs| {
        mean(runs, |r| r.cost.bad as f64)
    }),
];

const MEASURES: [Measure<Found>; 6] = [
    ("interval covers the break point", "%", |runs| {
        100.0 * mean(runs, |r| f64::from(u8::from(r.covers())))
    }),
    ("answered", "%", |runs| {
        100.0 * mean(runs, |r| f64::from(u8::from(r.answered)))
    }),
    ("trials", "count", |runs| {
        mean(runs, |r| f64::from(r.cost.trials))
    }),
    ("bad events spent", "count", |runs| {
        mean(runs, |r| r.cost.bad as f64)
    }),
    ("requests", "count", |runs| {
        mean(runs, |r| r.cost.requests as f64)
    }),
    ("furthest beyond the break point", "% of the axis", |runs| {
        100.0 * mean(runs, |r| r.cost.beyond)
    }),
];
/// Below this share of runs an interval that claims 95 % does not keep its word.
const COVERAGE_MIN: f64 = 93.0;

fn main() -> Result<(), Box<dyn Error>> {
    let runs = setting("runs", 500)?;
    let seed = setting("seed", 20_261_123)?;
    let mut too_few = Vec::new();
    for (name, kind) in KINDS {
        let all = measure(kind, runs, seed)?;
        let covered = print(name, &all);
        certificates(name, kind, runs, seed)?;
        too_few.extend(read::by_counters(name, kind, runs, seed)?);
        if covered < COVERAGE_MIN {
            too_few.push(format!("{name}: {covered:.1} %"));
        }
    }
    if too_few.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the interval covers the break point too seldom, or more was spent than was allowed: {}",
        too_few.join(", ")
    )
    .into())
}

/// Ours, bisection and ramp, each on the same systems; half of the axes are logarithmic.
fn measure(kind: Kind, runs: u64, seed: u64) -> Result<[Vec<Found>; 3], Box<dyn Error>> {
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    for run in 0..runs {
        let scale = if run % 2 == 0 {
            Scale::Linear
        } else {
            Scale::Log
        };
        let question = system::question(scale);
        let seed = seed.wrapping_add(run);
        all[0].push(search::adaptive(&question, &mut System::draw(kind, seed))?);
        all[1].push(search::bisection(&question, &mut System::draw(kind, seed)));
        all[2].push(search::ramp(&question, &mut System::draw(kind, seed)));
    }
    Ok(all)
}

/// Returns how often ours covered, in percent.
fn print(name: &str, [ours, bisection, ramp]: &[Vec<Found>; 3]) -> f64 {
    for (peer, peers) in [("bisection", bisection), ("linear ramp", ramp)] {
        for measure in MEASURES {
            figure(name, measure, ours, (peer, peers));
        }
    }
    MEASURES[0].2(ours)
}

/// Half of the targets hold, and half of the axes are logarithmic.
fn certificates(name: &str, kind: Kind, runs: u64, seed: u64) -> Result<(), Box<dyn Error>> {
    let (mut ours, mut ramps) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let scale = if run % 2 == 0 {
            Scale::Linear
        } else {
            Scale::Log
        };
        let (question, holds) = (system::question(scale), run % 4 < 2);
        let draw = || System::draw(kind, seed.wrapping_add(run));
        ours.push(certificate::ours(&question, &mut draw(), holds)?);
        ramps.push(certificate::ramp(&question, &mut draw(), holds));
    }
    for measure in CERTIFICATES {
        figure(name, measure, &ours, ("linear ramp", &ramps));
    }
    Ok(())
}

/// One JSON object on a line. A ratio without a meaning (of nothing) is null.
fn figure<T>(name: &str, (metric, unit, of): Measure<T>, ours: &[T], (peer, peers): (&str, &[T])) {
    let (value, peer_value) = (of(ours), of(peers));
    println!(
        "{}",
        serde_json::json!({
            "bench": "margin", "metric": format!("{name}: {metric}"), "value": value,
            "unit": unit, "peer": peer, "peer_value": peer_value,
            "ratio": peer_value / value,
        })
    );
}

fn mean<T>(runs: &[T], of: impl Fn(&T) -> f64) -> f64 {
    runs.iter().map(of).sum::<f64>() / runs.len().max(1) as f64
}

fn setting(name: &str, default: u64) -> Result<u64, Box<dyn Error>> {
    let given =
        std::env::args().find_map(|a| Some(a.strip_prefix(name)?.strip_prefix('=')?.to_owned()));
    Ok(given.map_or(Ok(default), |text| text.parse())?)
}
