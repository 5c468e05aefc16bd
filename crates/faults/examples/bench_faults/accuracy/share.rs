use std::collections::HashMap;

use super::prober::{Arrival, Pace, send};
use super::{InForce, THROUGH, beside_asked};
use crate::Outcome;
use crate::bed::Bed;

const COUNT: u32 = 20_000;

/// The normal quantile for one error in a million over a family of ten, two-sided.
const Z: f64 = 5.33;

/// What a share is of, out of what was sent.
type Hits = fn(&[Arrival]) -> usize;

/// Shares of packets that were dropped, doubled, changed or sent ahead.
pub(super) fn measure(bed: &Bed, seed: u64) -> Outcome<bool> {
    let rows: [(&str, &str, f64, Hits); 6] = [
        ("switching.loss", r#""percent": 10"#, 0.1, missing),
        ("switching.loss", r#""percent": 1"#, 0.01, missing),
        (
            "switching.loss",
            r#""percent": 10, "mechanism": "nfqueue""#,
            0.1,
            missing,
        ),
        ("switching.duplicate", r#""percent": 5"#, 0.05, doubled),
        ("switching.corrupt", r#""percent": 5"#, 0.05, missing),
        (
            "switching.reorder",
            r#""percent": 25, "delay": "20ms""#,
            0.25,
            ahead,
        ),
    ];
    let mut well = true;
    for (fault, arguments, share, hits) in rows {
        let filtered = format!(r#"{{{arguments}, "remote-port": {THROUGH}}}"#);
        let in_force = InForce::on_traffic(bed, fault, &filtered, seed)?;
        let pace = Pace {
            per_second: 10_000,
            count: COUNT,
            size: 100,
            burst: 10,
            paired: false,
        };
        let (through, _) = send(bed, pace)?;
        in_force.end()?;
        let achieved = hits(&through.0) as f64 / f64::from(COUNT);
        let half = Z * (share * (1.0 - share) / f64::from(COUNT)).sqrt();
        let name = format!("{fault} {}", arguments.replace('"', ""));
        well &= beside_asked(&name, "1", share, achieved, (share - half, share + half));
    }
    Ok(well)
}

/// Not come, or not as they were sent: a changed packet fails its checksum.
fn missing(arrivals: &[Arrival]) -> usize {
    let intact = arrivals.iter().filter(|arrival| arrival.intact);
    let numbers: std::collections::HashSet<u32> = intact.map(|arrival| arrival.number).collect();
    COUNT as usize - numbers.len()
}

fn doubled(arrivals: &[Arrival]) -> usize {
    let mut times: HashMap<u32, u32> = HashMap::new();
    for arrival in arrivals {
        *times.entry(arrival.number).or_default() += 1;
    }
    times.values().filter(|times| **times > 1).count()
}

/// Come in less than half of the delay that the others have.
fn ahead(arrivals: &[Arrival]) -> usize {
    let early = |arrival: &&Arrival| arrival.took.as_millis() < 10;
    arrivals.iter().filter(early).count()
}
