//! The kill matrix: whoever is killed or stopped, at whatever step, nothing is left of a fault.

mod scenario;

use std::time::Duration;

use firedrill_undo::crash::STEPS;
use serde_json::json;

use crate::Outcome;
use crate::bed::Bed;
use crate::cases::{self, Case, Ends};
use crate::figure::quantile;
use crate::snapshot::Snapshot;
use crate::words::Words;
use scenario::{Ended, Lab, Struck, When};

const EVERYBODY: [Struck; 6] = [
    Struck::Owner,
    Struck::Guardian,
    Struck::Both,
    Struck::Cgroup,
    Struck::OwnerStopped,
    Struck::GuardianStopped,
];

/// How many scenarios there were, and how many of them did not keep what is promised.
#[derive(Default)]
struct Count {
    tried: usize,
    unreached: usize,
    failed: usize,
}

pub(crate) fn matrix(words: &Words) -> Outcome<bool> {
    let short = words.get("short", 0_u8)? == 1;
    let moments: usize = words.get("moments", if short { 0 } else { 10 })?;
    let mut random = words.get("seed", 1_u64)?;
    let chosen: String = words.get("struck", String::new())?;
    let mut lab = Lab::new(Bed::new()?);
    let mut count = Count::default();
    for case in cases::chosen(&words.get("fault", String::new())?) {
        let before = lab.settle(case)?;
        for (struck, times) in plan(case, short, moments, &mut random) {
            if struck.word().contains(&chosen) {
                row(&mut lab, case, struck, &times, &before, &mut count)?;
            }
        }
    }
    println!(
        "{}",
        json!({
            "bench": "kill", "metric": "residue", "value": count.failed, "unit": "scenarios",
            "peer": null, "peer_value": null, "ratio": null,
            "n": count.tried, "unreached": count.unreached,
            // The rule of three: Hanley and Lippman-Hand, JAMA 1983.
            "bound": if count.failed == 0 { Some(3.0 / count.tried as f64) } else { None },
        })
    );
    Ok(count.failed == 0 && count.tried > 0)
}

/// Who is struck, and when.
fn plan(case: &Case, short: bool, moments: usize, random: &mut u64) -> Vec<(Struck, Vec<When>)> {
    let steps = || STEPS.iter().map(|step| When::Step(step));
    if short {
        return vec![(Struck::Itself, steps().collect())];
    }
    let mut some = || {
        let times = (0..moments).map(|_| When::After(moment(random)));
        times.collect::<Vec<_>>()
    };
    let mut plan = vec![(Struck::Itself, steps().collect())];
    for struck in EVERYBODY {
        plan.push((struck, steps().chain(some()).collect()));
    }
    if case.ends == Ends::AloneInQueue {
        plan.push((Struck::Worker, vec![When::InForce; moments]));
        plan.push((Struck::WorkerStopped, vec![When::InForce; moments]));
    }
    plan
}

/// Within the time that a drill of the matrix takes. By xorshift (Marsaglia 2003).
fn moment(random: &mut u64) -> Duration {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    Duration::from_micros(*random % 150_000)
}

fn row(
    lab: &mut Lab,
    case: &Case,
    struck: Struck,
    times: &[When],
    before: &Snapshot,
    count: &mut Count,
) -> Outcome<()> {
    let (mut ends, mut failed, mut unreached) = (Vec::new(), 0, Vec::new());
    for when in times {
        let report = lab.play(case, struck, *when, before)?;
        match report.ended {
            Ended::Unreached => unreached.push(format!("{when:?}")),
            Ended::After(time) => ends.push(time),
            Ended::Unseen => {}
        }
        if !report.problems.is_empty() {
            failed += 1;
            println!(
                "{}",
                json!({"failed": case.name(), "struck": struck.word(),
                       "when": format!("{when:?}"), "problems": report.problems})
            );
        }
    }
    if !times.is_empty() && unreached.len() == times.len() {
        failed += 1;
        let why = "no drill came as far as its moment";
        println!(
            "{}",
            json!({"failed": case.name(), "struck": struck.word(), "problems": [why]})
        );
    }
    ends.sort_unstable();
    let shown = |share| quantile(&ends, share).map(|end: Duration| end.as_secs_f64() * 1e3);
    println!(
        "{}",
        json!({
            "bench": "kill", "metric": format!("{}.{}.effect-ended.p50", case.name(), struck.word()),
            "value": shown(0.5), "unit": "ms", "peer": null, "peer_value": null, "ratio": null,
            "max": shown(1.0), "n": times.len(), "unreached": unreached, "failed": failed,
        })
    );
    count.tried += times.len() - unreached.len();
    count.unreached += unreached.len();
    count.failed += failed;
    Ok(())
}
