//! How often an interval misses the truth at any of its looks.

use firedrill_judge::mean::difference::{MeanDifference, Side};
use firedrill_judge::mean::{BoundedMean, SubGaussianMean};
use firedrill_judge::order::PairedOrder;
use firedrill_judge::quantile::{quantile_difference, quantile_sequence};
use firedrill_judge::share::{Outcomes, ShareSequence, share_difference};
use firedrill_judge::{Alpha, CountTest, Probability, Shares, latency_histogram};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::figure::Figure;
use crate::runs;
use crate::world::{events_of_user, exponential, is, normal};

const ALPHA: Alpha = Alpha::FIVE_PERCENT;

type Scenario = (&'static str, fn(&mut ChaCha8Rng) -> bool);

/// Each must miss in at most 5 % of the runs.
const SEQUENCES: [Scenario; 10] = [
    ("rate ratio of 1.5", rate_ratio),
    ("share of one arm of three", arm_share),
    ("share of 0.99", |random| share(random, 0.99)),
    ("share of 0.3", |random| share(random, 0.3)),
    ("difference of two shares", difference_of_shares),
    ("mean of bounded values", bounded_mean),
    ("mean of Gaussian values", sub_gaussian_mean),
    ("difference of means of sums per user", mean_difference),
    ("probability that one arm's value is the larger", order),
    (
        "p90 of a stream, and the difference of two arms' p50",
        quantiles,
    ),
];

pub(crate) fn measure(runs: usize) -> bool {
    let mut well = true;
    for (name, misses) in SEQUENCES {
        let (rate, low) = runs::rate(runs, name, misses);
        well &= low <= ALPHA.get();
        Figure {
            metric: format!("coverage at all looks together: {name}"),
            value: 1.0 - rate,
            unit: "share of runs",
            peer: "1 - alpha",
            peer_value: 1.0 - ALPHA.get(),
            ratio: (1.0 - rate) / (1.0 - ALPHA.get()),
        }
        .print();
    }
    well
}

fn rate_ratio(random: &mut ChaCha8Rng) -> bool {
    let mut test = CountTest::new(Shares::new(&[0.8, 0.2]).expect("usable weights"));
    let second = 0.2 * 1.5 / (0.8 + 0.2 * 1.5);
    (1..=3_000).any(|at| {
        test.event(usize::from(is(random, second))).expect("an arm");
        at % 10 == 0 && !test.rate_ratio(1, 0, ALPHA).expect("an arm").contains(1.5)
    })
}

fn arm_share(random: &mut ChaCha8Rng) -> bool {
    let mut test = CountTest::new(Shares::new(&[0.4, 0.3, 0.3]).expect("usable weights"));
    (1..=3_000).any(|at| {
        let arm = if is(random, 0.5) {
            1
        } else {
            2 * usize::from(is(random, 0.5))
        };
        test.event(arm).expect("an arm");
        at % 10 == 0 && !test.share(1, ALPHA).expect("an arm").contains(0.5)
    })
}

fn outcome(random: &mut ChaCha8Rng, share: f64) -> Outcomes {
    let good = u64::from(is(random, share));
    Outcomes {
        good,
        bad: 1 - good,
    }
}

fn share(random: &mut ChaCha8Rng, share: f64) -> bool {
    let (mut sequence, truth) = (
        ShareSequence::new(),
        Probability::new(share).expect("a probability"),
    );
    // The interval is what this does not reject; asking for one share is quicker.
    (1..=10_000).any(|_| {
        sequence.observe(outcome(random, share));
        sequence.evidence(truth).is_proof(ALPHA)
    })
}

fn difference_of_shares(random: &mut ChaCha8Rng) -> bool {
    let (mut first, mut second) = (ShareSequence::new(), ShareSequence::new());
    (1..=2_000).any(|at| {
        first.observe(outcome(random, 0.9));
        second.observe(outcome(random, 0.8));
        at % 40 == 0 && !share_difference(&first, &second, ALPHA).contains(-0.1)
    })
}

fn bounded_mean(random: &mut ChaCha8Rng) -> bool {
    let mut mean = BoundedMean::new(0.0, 10.0).expect("a usable range");
    (1..=3_000).any(|_| {
        // Cubes of uniform values: skewed, with mean 2.5.
        mean.observe(10.0 * random.random::<f64>().powi(3))
            .expect("within the range");
        mean.excludes(2.5, ALPHA)
    })
}

fn sub_gaussian_mean(random: &mut ChaCha8Rng) -> bool {
    let mut mean = SubGaussianMean::new(3.0).expect("a usable spread");
    (1..=10_000).any(|_| {
        mean.observe(7.0 + 3.0 * normal(random))
            .expect("a finite value");
        !mean.interval(ALPHA).contains(7.0)
    })
}

fn mean_difference(random: &mut ChaCha8Rng) -> bool {
    let mut test = MeanDifference::new();
    (1..=10_000).any(|_| {
        let events = events_of_user(random) as f64;
        let (side, sum) = match is(random, 0.3) {
            true => (Side::Experiment, events + 2.0 * exponential(random)),
            false => (Side::Control, events),
        };
        test.observe(side, sum).expect("a finite sum");
        !test.interval(ALPHA).contains(2.0)
    })
}

fn order(random: &mut ChaCha8Rng) -> bool {
    let mut order = PairedOrder::new().expect("usable constants");
    (1..=3_000).any(|at| {
        // The larger of two exponentials with rates 2 and 3: with probability 0.6 the first.
        let (control, experiment) = (exponential(random) / 3.0, exponential(random) / 2.0);
        order.observe(&control, &experiment);
        at % 10 == 0 && !order.interval(ALPHA).contains(0.6)
    })
}

/// Uniform over 1 to 1,000 and over 201 to 1,200. Each interval gets half of alpha.
fn quantiles(random: &mut ChaCha8Rng) -> bool {
    let [mut control, mut experiment] =
        [(); 2].map(|()| latency_histogram().expect("usable constants"));
    let (p90, half) = (
        Probability::new(0.9).expect("a probability"),
        Alpha::new(0.025).expect("a rate"),
    );
    (1..=1_000).any(|at| {
        let value = |random: &mut ChaCha8Rng| 1 + (1000.0 * random.random::<f64>()) as u64;
        let _ = control.record(value(random));
        let _ = experiment.record(200 + value(random));
        at % 50 == 0 && {
            let one = quantile_sequence(&control, p90, half);
            let apart = quantile_difference(&control, &experiment, Probability::HALF, half);
            !one.contains(900.0) || !apart.contains(200.0)
        }
    })
}
