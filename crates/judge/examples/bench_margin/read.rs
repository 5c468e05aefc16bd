//! Searches whose requests are counted by others, who are read every so often, beside the same
//! searches looked at after every few requests.

use std::error::Error;

use firedrill_judge::margin::Scale;

use crate::search::{Found, adaptive};
use crate::system::{Kind, Reading, System, question};
use crate::{COVERAGE_MIN, MEASURES, figure, mean};

/// How often they are read, and how old what they know may be, in seconds: a proxy each second,
/// and Prometheus as it is often set up.
const READ: [(u64, u64); 2] = [(1, 0), (5, 15)];

/// What is wrong with one of them.
pub(crate) fn by_counters(
    name: &str,
    kind: Kind,
    runs: u64,
    seed: u64,
) -> Result<Vec<String>, Box<dyn Error>> {
    let mut wrong = Vec::new();
    for (every, scrape) in READ {
        let reading = Reading::seconds(every, scrape);
        let (mut ours, mut looked) = (Vec::new(), Vec::new());
        for run in 0..runs {
            let scale = if run % 2 == 0 {
                Scale::Linear
            } else {
                Scale::Log
            };
            let draw = || System::draw(kind, seed.wrapping_add(run));
            ours.push(adaptive(&reading.asks(scale), &mut draw().read(reading))?);
            looked.push(adaptive(&question(scale), &mut draw())?);
        }
        let name = format!("{name}, read every {every} s, {scrape} s old");
        for measure in MEASURES {
            figure(&name, measure, &ours, ("every 10 requests", &looked));
        }
        let covered = MEASURES[0].2(&ours);
        if covered + 2.0 * scatter(covered, runs) < COVERAGE_MIN {
            wrong.push(format!("{name}: {covered:.1} %"));
        }
        let kept = mean(&ours, |run: &Found| f64::from(u8::from(run.within_budget)));
        if kept < 1.0 {
            wrong.push(format!(
                "{name}: within its budget in {:.1} % only",
                kept * 100.0
            ));
        }
    }
    Ok(wrong)
}

/// The standard error of a share in percent, over so many runs: one below the floor by less may be
/// these runs' alone, and is printed all the same.
fn scatter(percent: f64, runs: u64) -> f64 {
    (percent * (100.0 - percent) / runs.max(1) as f64).sqrt()
}
