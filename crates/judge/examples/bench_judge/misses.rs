//! Three cases that the incumbent is known to pass, where something is wrong.

use firedrill_judge::distribution::{Direction, DistributionTest};
use firedrill_judge::excess::ExcessTest;
use firedrill_judge::kayenta::{Class, Metric};
use firedrill_judge::mean::difference::Side;
use firedrill_judge::order::PairedIncrease;
use firedrill_judge::{Alpha, Shares};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::figure::Figure;
use crate::world::normal;

const ALPHA: Alpha = Alpha::FIVE_PERCENT;

pub(crate) fn measure() -> bool {
    let found = [errors_against_none(), most_are_slow(), wider_spread()];
    found.iter().all(|found| *found)
}

/// Errors per minute of 0, 1, 2, 1, 0, 0 against none, over and over.
///
/// Six minutes hold four events against none. No test can be sure at 5 % then: by chance alone
/// all four are in one arm with probability 1/16. So it is asked when each is sure.
fn errors_against_none() -> bool {
    let pattern = [0, 1, 2, 1, 0, 0];
    let mut test =
        ExcessTest::with_concentration(&Shares::two_equal(), 1.0, 1.0).expect("usable constants");
    let minutes = (1..=600).find(|minute| {
        test.observe(0, pattern[(minute - 1) % 6]);
        test.is_proven(ALPHA)
    });
    let kayenta = (10..=600).find(|minutes| {
        let errors: Vec<f64> = (0..*minutes).map(|i| pattern[i % 6] as f64).collect();
        let zeros = vec![0.0; *minutes];
        Metric::default().classify(&zeros, &errors).class == Class::High
    });
    print(
        "minutes until errors of 0, 1, 2, 1, 0, 0 against none are high",
        minutes,
        kayenta,
        "minutes",
    );
    minutes.is_some_and(|m| m <= 12)
}

/// Seven of ten requests take 100 times as long.
fn most_are_slow() -> bool {
    let slow = [
        100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 1.0, 1.0, 1.0,
    ];
    let mut order = PairedIncrease::new().expect("usable constants");
    let pairs = slow.iter().position(|value| {
        order.observe(&1.0, value);
        order.is_proven(ALPHA)
    });
    let is_high = Metric::default().classify(&[1.0; 10], &slow).class == Class::High;
    let (pairs, kayenta) = (pairs.map(|at| at + 1), is_high.then_some(10));
    print(
        "pairs of ten until seven of 100 against 1 are high",
        pairs,
        kayenta,
        "pairs",
    );
    pairs.is_some()
}

/// The same median, three times the standard deviation.
fn wider_spread() -> bool {
    let mut random = ChaCha8Rng::seed_from_u64(20_261_123);
    let mut test = DistributionTest::new().expect("usable constants");
    let (mut control, mut experiment) = (Vec::new(), Vec::new());
    let (mut ours, mut kayenta) = (None, None);
    for pairs in 1..=5_000_usize {
        for (side, values, spread) in [
            (Side::Control, &mut control, 10.0),
            (Side::Experiment, &mut experiment, 30.0),
        ] {
            let value = (1000.0 + spread * normal(&mut random)).round();
            test.observe(side, value as u64);
            values.push(value);
        }
        if pairs % 10 == 0 && ours.is_none() {
            ours = (test.direction(ALPHA) == Some(Direction::Both)).then_some(pairs);
        }
        if pairs % 500 == 0 && kayenta.is_none() {
            let class = Metric::default().classify(&control, &experiment).class;
            kayenta = (class != Class::Pass).then_some(pairs);
        }
    }
    print(
        "pairs until three times the spread is found",
        ours,
        kayenta,
        "pairs",
    );
    ours.is_some()
}

fn print(metric: &str, ours: Option<usize>, kayenta: Option<usize>, unit: &str) {
    let number = |found: Option<usize>| found.map_or(f64::INFINITY, |at| at as f64);
    Figure {
        metric: format!("known miss: {metric} (null is never)"),
        value: number(ours),
        unit,
        peer: "Kayenta's judge",
        peer_value: number(kayenta),
        ratio: number(kayenta) / number(ours),
    }
    .print();
}
