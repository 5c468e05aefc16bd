//! The kill matrix: whoever is killed or stopped, at whatever step, nothing is left of a fault.

mod scenario;

use std::time::Duration;

use firedrill_undo::crash::STEPS;
use serde_json::{Value, json};

use crate::Outcome;
use crate::bed::Bed;
use crate::cases::{self, Case, Ends};
use crate::figure::{Table, quantile};
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
#[derive(Clone, Copy, Default)]
struct Count {
    tried: usize,
    /// The drill was over before its moment.
    unreached: usize,
    failed: usize,
}

const TABLE: Table<4> = Table(["fault", "scenarios", "over before their moment", "failed"]);

pub(crate) fn matrix(words: &Words) -> Outcome<bool> {
    let short = words.get("short", 0_u8)? == 1;
    let moments: usize = words.get("moments", if short { 0 } else { 10 })?;
    let mut random = words.get("seed", 1_u64)?;
    let chosen: String = words.get("struck", String::new())?;
    let engine: String = words.get("engine", "docker".into())?;
    let as_table = words.get("table", 0_u8)? == 1;
    let cases = cases::chosen(&words.get("fault", String::new())?)?;
    let mut lab = Lab::new(Bed::new()?);
    let mut count = Count::default();
    if as_table {
        TABLE.head();
    }
    for case in cases {
        if let Some(why) = lab.prepare(case, &engine)? {
            cases::skip(&case.name(), &why);
            continue;
        }
        let (before, counted) = (lab.settle(case)?, count);
        for (struck, times) in plan(case, short, moments, &mut random) {
            if struck.word().contains(&chosen) {
                let row = row(&mut lab, case, struck, &times, &before, &mut count)?;
                if !as_table {
                    println!("{row}");
                }
            }
        }
        if as_table {
            count.since(counted).print(case);
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

impl Count {
    fn since(self, before: Self) -> Self {
        Self {
            tried: self.tried - before.tried,
            unreached: self.unreached - before.unreached,
            failed: self.failed - before.failed,
        }
    }

    fn print(self, case: &Case) {
        let figures = [self.tried, self.unreached, self.failed];
        let [tried, unreached, failed] = figures.map(|figure| figure.to_string());
        TABLE.row(&[case.name(), tried, unreached, failed]);
    }
}

/// Who is struck, and when.
fn plan(case: &Case, short: bool, moments: usize, random: &mut u64) -> Vec<(Struck, Vec<When>)> {
    let steps = || STEPS.iter().map(|step| When::Step(step));
    if short {
        return vec![(Struck::Itself, steps().collect())];
    }
    let mut some = || {
        let times = (0..moments).map(|_| When::After(moment(random, case.span())));
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

/// Within that time. By xorshift (Marsaglia 2003).
fn moment(random: &mut u64, within: Duration) -> Duration {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    Duration::from_micros(*random % within.as_micros() as u64)
}

/// All moments of one blow; what is printed of them.
fn row(
    lab: &mut Lab,
    case: &Case,
    struck: Struck,
    times: &[When],
    before: &Snapshot,
    count: &mut Count,
) -> Outcome<Value> {
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
    count.tried += times.len() - unreached.len();
    count.unreached += unreached.len();
    count.failed += failed;
    Ok(json!({
        "bench": "kill", "metric": format!("{}.{}.effect-ended.p50", case.name(), struck.word()),
        "value": shown(0.5), "unit": "ms", "peer": null, "peer_value": null, "ratio": null,
        "max": shown(1.0), "n": times.len(), "unreached": unreached, "failed": failed,
    }))
}
