use std::collections::HashMap;

use super::prober::{Pace, send};
use super::{InForce, beside_asked};
use crate::Outcome;
use crate::bed::Bed;
use crate::figure::quantile;

const PER_SECOND: u32 = 10_000;
const SECONDS: u32 = 5;

/// The goals, in milliseconds.
const MEAN: f64 = 0.2;
const P99: f64 = 1.0;

/// Delay added at 10,000 packets a second: each packet against its twin, which left at the same
/// moment past the fault.
pub(super) fn measure(bed: &Bed, seed: u64) -> Outcome<bool> {
    let mut well = true;
    for asked in [1.0, 20.0, 100.0] {
        let arguments = format!(
            r#"{{"delay": "{asked}ms", "remote-port": {}}}"#,
            super::THROUGH
        );
        let fault = InForce::on_traffic(bed, "switching.latency", &arguments, seed)?;
        let pace = Pace {
            per_second: PER_SECOND,
            count: PER_SECOND * SECONDS,
            size: 100,
            burst: 1,
            paired: true,
        };
        let (through, past) = send(bed, pace)?;
        fault.end()?;
        let twins: HashMap<u32, f64> = past
            .0
            .iter()
            .map(|twin| (twin.number, twin.took.as_secs_f64()))
            .collect();
        let mut added: Vec<f64> = through
            .0
            .iter()
            .filter_map(|one| Some((one.took.as_secs_f64() - twins.get(&one.number)?) * 1e3))
            .collect();
        added.sort_by(f64::total_cmp);
        let arrived = added.len() as f64 / f64::from(pace.count);
        let mean = added.iter().sum::<f64>() / added.len() as f64;
        let p99 = quantile(&added, 0.99).ok_or("nothing arrived")?;
        let p50 = quantile(&added, 0.5).ok_or("nothing arrived")?;
        let name = format!("delay {asked} ms at {PER_SECOND}/s");
        let show = |what: &str, value, goal| {
            beside_asked(
                &format!("{name}.{what}"),
                "ms",
                asked,
                value,
                (asked - goal, asked + goal),
            )
        };
        well &= show("mean", mean, MEAN);
        show("p50", p50, MEAN);
        well &= show("p99", p99, P99);
        well &= beside_asked(&format!("{name}.arrived"), "1", 1.0, arrived, (0.9999, 1.0));
    }
    Ok(well)
}
