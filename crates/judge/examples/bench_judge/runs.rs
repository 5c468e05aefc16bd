//! Many seeded runs on all cores, each with a random number generator of its own.

use std::num::NonZeroUsize;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 20_261_123;

/// The results in the order of the runs, whatever the number of cores.
pub(crate) fn all<T: Send>(
    runs: usize,
    name: &str,
    one: impl Fn(&mut ChaCha8Rng) -> T + Sync,
) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // FNV-1a: each scenario has its own stream of runs.
    let name = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let run = |at: usize| one(&mut ChaCha8Rng::seed_from_u64(SEED ^ name ^ at as u64));
    let part = runs.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let run = &run;
        let workers: Vec<_> = (0..runs)
            .step_by(part)
            .map(|from| {
                scope.spawn(move || (from..(from + part).min(runs)).map(run).collect::<Vec<_>>())
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|w| w.join().unwrap_or_default())
            .collect()
    })
}

/// How many runs ended so, and the lower bound of their rate at 99 %.
pub(crate) fn rate(
    runs: usize,
    name: &str,
    one: impl Fn(&mut ChaCha8Rng) -> bool + Sync,
) -> (f64, f64) {
    let ended = all(runs, name, one).into_iter().filter(|so| *so).count();
    let bounds = firedrill_judge::ratio_bounds(ended as u64, runs as u64, 0.99);
    (bounds.value, bounds.low)
}
