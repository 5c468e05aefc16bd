//! What is observed: arrivals, days, users and latencies.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

pub(crate) fn is(random: &mut ChaCha8Rng, probability: f64) -> bool {
    random.random::<f64>() < probability
}

/// Standard normal (Box & Muller).
pub(crate) fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle) = (1.0 - random.random::<f64>(), random.random::<f64>());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// With mean 1.
pub(crate) fn exponential(random: &mut ChaCha8Rng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}

/// A Poisson count, by exponential gaps.
pub(crate) fn poisson(random: &mut ChaCha8Rng, mean: f64) -> u64 {
    let (mut count, mut at) = (0, exponential(random));
    while at < mean {
        count += 1;
        at += exponential(random);
    }
    count
}

/// A rate that swings by 80 % over a day of 1,440 minutes, with mean 1.
pub(crate) fn of_day(minute: u64) -> f64 {
    1.0 + 0.8 * (std::f64::consts::TAU * minute as f64 / 1440.0).sin()
}

/// Latency in microseconds: log-normal, median 20 ms.
pub(crate) fn latency(random: &mut ChaCha8Rng, scale: f64) -> u64 {
    (20_000.0 * scale * (0.5 * normal(random)).exp()) as u64
}

/// How many events one user causes: most a few, some very many, about 6 on average.
pub(crate) fn events_of_user(random: &mut ChaCha8Rng) -> u64 {
    let heavy = if is(random, 0.1) { 30.0 } else { 3.0 };
    1 + (heavy * exponential(random)) as u64
}
