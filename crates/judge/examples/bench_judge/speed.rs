//! Updates per second of one core, and the memory of one stream.

use std::hint::black_box;

use firedrill_judge::distribution::DistributionTest;
use firedrill_judge::mean::difference::{MeanDifference, Side};
use firedrill_judge::share::TwoShares;
use firedrill_judge::threshold::ShareThreshold;
use firedrill_judge::users::FirstEvents;
use firedrill_judge::{CountTest, Shares};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::figure::Figure;
use crate::world::latency;

const UPDATES: u64 = 50_000_000;
const LOOKS: u32 = 1000;

pub(crate) fn measure() -> bool {
    let mut counts = CountTest::new(Shares::two_equal());
    // Each event is followed by a look: the p-value is kept up to date.
    per_second("count updates with a look after each", 1e7, UPDATES, |i| {
        let _ = counts.event((i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63) as usize);
    });
    black_box(counts.p_value());

    let mut test = DistributionTest::new().expect("usable constants");
    let mut random = ChaCha8Rng::seed_from_u64(20_261_123);
    let latencies: Vec<u64> = (0..1 << 16).map(|_| latency(&mut random, 1.0)).collect();
    per_second("latency observations of two arms", 5e6, UPDATES, |i| {
        let side = if i & 1 == 0 {
            Side::Control
        } else {
            Side::Experiment
        };
        test.observe(side, latencies[(i % (1 << 16)) as usize]);
    });
    let begin = on_core();
    for _ in 0..LOOKS {
        black_box(test.look());
    }
    let each = (on_core() - begin) / f64::from(LOOKS) * 1e6;
    let metric = "one look at the distributions of 50 million latencies";
    print(metric, each, "us", "", f64::NAN);

    let mut sums = MeanDifference::new();
    per_second(
        "sums of users with a look after each",
        f64::NAN,
        UPDATES / 5,
        |i| {
            let side = if i & 1 == 0 {
                Side::Control
            } else {
                Side::Experiment
            };
            let _ = sums.observe(side, (i % 17) as f64);
        },
    );
    black_box(sums.p_value());
    memory(&test);
    true
}

fn per_second(metric: &str, asked: f64, updates: u64, mut update: impl FnMut(u64)) {
    let begin = on_core();
    (0..updates).for_each(&mut update);
    let rate = updates as f64 / (on_core() - begin);
    print(metric, rate, "1/s", "asked", asked);
}

/// Seconds that this thread has had a core: others on the machine do not count.
fn on_core() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    first.unwrap_or(f64::NAN) / 1e9
}

fn memory(latencies: &DistributionTest) {
    let mut hour = DistributionTest::new().expect("usable constants");
    hour.observe(Side::Control, 3_600_000_000);
    hour.observe(Side::Experiment, 3_600_000_000);
    let two_arms = size_of::<CountTest>() + 2 * (size_of::<f64>() + size_of::<u64>());
    for (metric, bytes) in [
        ("memory: counts of two arms", two_arms),
        ("memory: shares of two arms", size_of::<TwoShares>()),
        (
            "memory: threshold of one stream",
            size_of::<ShareThreshold>(),
        ),
        ("memory: means of two arms", size_of::<MeanDifference>()),
        (
            "memory: first events of 100,000 users",
            FirstEvents::new(100_000).memory_bytes(),
        ),
        (
            "memory: distributions of two arms, these latencies",
            latencies.memory_bytes(),
        ),
        (
            "memory: distributions of two arms, latencies up to an hour",
            hour.memory_bytes(),
        ),
    ] {
        print(metric, bytes as f64, "bytes", "", f64::NAN);
    }
}

fn print(metric: &str, value: f64, unit: &str, peer: &str, peer_value: f64) {
    Figure {
        metric: metric.into(),
        value,
        unit,
        peer,
        peer_value,
        ratio: value / peer_value,
    }
    .print();
}
