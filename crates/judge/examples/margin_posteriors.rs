//! Random trials, and the posterior of each sequence: one JSON object a line, for
//! `compat/oracles/questplus_posterior.py` to compare with QUEST+.
//!
//! These are the model's plain cases, without drift and with certain outcomes: QUEST+ has
//! nothing to compare the others with.
#![expect(clippy::print_stdout, reason = "its output is what is compared")]

use firedrill_judge::margin::belief::{Belief, Prior};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const CASES: usize = 50;

fn main() {
    let mut random = ChaCha8Rng::seed_from_u64(20_261_123);
    for _ in 0..CASES {
        println!("{}", case(&mut random));
    }
}

fn case(random: &mut ChaCha8Rng) -> serde_json::Value {
    let cells = random.random_range(5..60);
    let prior = Prior {
        cells: shares(cells, random),
        below: 0.0,
        beyond: 0.0,
        spreads: spreads(random),
        drifts: vec![(0.0, 1.0)],
        lapse: random.random_range(0.0..0.1),
    };
    let mut belief = Belief::new(&prior);
    let trials: Vec<(usize, bool)> = (0..random.random_range(1..40))
        .map(|_| (random.random_range(0..=cells), random.random()))
        .collect();
    for (at, broken) in &trials {
        belief.observe(*at, f64::from(u8::from(*broken)));
    }
    let (spreads, of_spreads): (Vec<f64>, Vec<f64>) = prior.spreads.iter().copied().unzip();
    json!({
        "break-points": (0..cells).map(|cell| cell as f64 + 0.5).collect::<Vec<_>>(),
        "spreads": spreads,
        "prior": prior.cells,
        "prior-of-spreads": of_spreads,
        "lapse": prior.lapse,
        "trials": trials,
        "posterior": belief.places()[1..=cells],
        "posterior-of-spreads": belief.spreads(),
    })
}

fn shares(count: usize, random: &mut ChaCha8Rng) -> Vec<f64> {
    let shares: Vec<f64> = (0..count).map(|_| random.random_range(0.1..1.0)).collect();
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|share| share / sum).collect()
}

/// Rising, because QUEST+ takes a domain in order.
fn spreads(random: &mut ChaCha8Rng) -> Vec<(f64, f64)> {
    let count = random.random_range(1..6);
    let mut at = 0.0;
    let sizes = (0..count).map(|_| {
        at += random.random_range(0.2..4.0);
        at
    });
    let sizes: Vec<f64> = sizes.collect();
    sizes.into_iter().zip(shares(count, random)).collect()
}
