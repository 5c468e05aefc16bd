use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const BATCH: usize = 25;

/// Requests of an arm: their share of bad ones, and the time that they take in the mean.
#[derive(Clone, Copy)]
struct Truth {
    bad: f64,
    seconds: f64,
}

const WELL: Truth = Truth {
    bad: 0.02,
    seconds: 0.02,
};

fn batch(random: &mut ChaCha8Rng, truth: Truth) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..BATCH {
        if random.random::<f64>() < truth.bad {
            batch.bad += 1;
        } else {
            batch.good += 1;
        }
        let time = -truth.seconds * (1.0 - random.random::<f64>()).ln();
        batch.times.push((time * 31.0 / 32.0, time, 1));
    }
    batch
}

/// So many users, of whom each makes as many requests with the same outcome.
fn clustered(users: Outcomes, requests: u64) -> Batch {
    Batch {
        good: users.good * requests,
        bad: users.bad * requests,
        users,
        ..Batch::default()
    }
}

/// Ten users in a hundred more have trouble, each a hundred times: of requests that is proof, of
/// users it is chance.
#[test]
fn a_user_counts_once_however_much_comes_of_it() {
    let of = |ask: Ask| {
        let mut canary = Canary::new(&[ask], Alpha::FIVE_PERCENT).unwrap();
        let users = |good| Outcomes {
            good,
            bad: 100 - good,
        };
        canary.observe(&clustered(users(95), 100), &clustered(users(85), 100));
        canary
    };
    let canary = of(Ask::SuccessRatio { tolerance: 0.0 });
    assert_eq!(standing(&canary), [Standing::Harmed]);
    assert_eq!(canary.counted(), [10_000, 10_000]);
    let canary = of(Ask::UserRatio { tolerance: 0.0 });
    assert_eq!(standing(&canary), [Standing::NotYet]);
    assert_eq!(canary.counted(), [100, 100]);
    assert_eq!(canary.requests(), [10_000, 10_000]);
    let judged = canary.judged()[0];
    assert_eq!(
        (judged.control, judged.experiment),
        (Some(0.95), Some(0.85))
    );
}

/// Few users with many requests have as many users answered in both arms, and not as many requests.
#[test]
fn answers_are_missed_by_users_where_users_are_asked_about() {
    let few = |requests| clustered(Outcomes { good: 20, bad: 0 }, requests);
    let is_missing = |ask: Ask| {
        let mut canary = Canary::new(&[ask], Alpha::FIVE_PERCENT).unwrap();
        canary.observe(&few(100), &few(20));
        canary.answers_are_missing()
    };
    assert!(is_missing(Ask::SuccessRatio { tolerance: 0.0 }));
    assert!(!is_missing(Ask::UserRatio { tolerance: 0.0 }));
    let mut hangs = Canary::new(&[Ask::UserRatio { tolerance: 0.0 }], Alpha::FIVE_PERCENT).unwrap();
    hangs.observe(&few(1), &Batch::default());
    hangs.observe(&few(1), &Batch::default());
    assert!(hangs.answers_are_missing());
}

fn asks() -> [Ask; 2] {
    [
        Ask::SuccessRatio { tolerance: 0.0 },
        Ask::Latency {
            quantile: Probability::new(0.9).unwrap(),
            tolerance: 0.0,
        },
    ]
}

/// Looked at after every batch; which KPI was harmed first, and after how many requests per arm.
fn run(seed: u64, asks: &[Ask], control: Truth, experiment: Truth, batches: usize) -> Canary {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut canary = Canary::new(asks, Alpha::FIVE_PERCENT).unwrap();
    for _ in 0..batches {
        let (one, other) = (batch(&mut random, control), batch(&mut random, experiment));
        canary.observe(&one, &other);
        if is_harmed(&canary) {
            break;
        }
    }
    canary
}

fn is_harmed(canary: &Canary) -> bool {
    let judged = canary.judged();
    canary.answers_are_missing() || judged.iter().any(|one| one.standing == Standing::Harmed)
}

fn standing(canary: &Canary) -> Vec<Standing> {
    canary.judged().iter().map(|one| one.standing).collect()
}

/// Two equal arms, looked at all the time: at most 5 % are told apart. The 99.9 % point of a binomial
/// of 150 at 5 % is 17.
#[test]
fn equal_arms_are_rarely_told_apart_however_often_one_looks() {
    let alarms = (0..150).filter(|seed| is_harmed(&run(*seed, &asks(), WELL, WELL, 24)));
    let alarms = alarms.count();
    assert!(alarms <= 17, "{alarms}");
}

#[test]
fn failures_and_delays_are_found_each_by_its_kpi_and_soon() {
    let failing = Truth { bad: 0.5, ..WELL };
    let slow = Truth {
        seconds: 0.2,
        ..WELL
    };
    for seed in 0..20 {
        let canary = run(seed, &asks(), WELL, failing, 40);
        assert_eq!(standing(&canary)[0], Standing::Harmed, "{seed}");
        assert!(canary.requests()[1] <= 200, "{:?}", canary.requests());
        let canary = run(seed, &asks(), WELL, slow, 40);
        assert_eq!(standing(&canary)[1], Standing::Harmed, "{seed}");
        assert!(canary.requests()[1] <= 400, "{:?}", canary.requests());
    }
}

#[test]
fn the_interval_of_an_effect_holds_it() {
    let failing = Truth { bad: 0.1, ..WELL };
    let asks = [Ask::SuccessRatio { tolerance: 0.2 }];
    let held = (0..100).filter(|seed| {
        let difference = run(*seed, &asks, WELL, failing, 40).judged()[0].difference;
        difference.contains(-0.08) && difference.high() - difference.low() < 0.25
    });
    assert!(held.count() >= 95);
}

#[test]
fn what_is_within_the_tolerance_is_shown_to_be_harmless_and_never_harm() {
    let asks = [
        Ask::SuccessRatio { tolerance: 0.05 },
        Ask::Latency {
            quantile: Probability::HALF,
            tolerance: 0.05,
        },
    ];
    let worse = Truth {
        bad: 0.03,
        seconds: 0.03,
    };
    for seed in 0..10 {
        let canary = run(seed, &asks, WELL, worse, 120);
        assert_eq!(standing(&canary), [Standing::Harmless; 2], "{seed}");
    }
}

#[test]
fn requests_that_hang_are_missed() {
    let mut canary = Canary::new(&asks(), Alpha::FIVE_PERCENT).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    assert!(!canary.answers_are_missing());
    canary.observe(&batch(&mut random, WELL), &batch(&mut random, WELL));
    assert!(!canary.answers_are_missing());
    for _ in 0..4 {
        canary.observe(&batch(&mut random, WELL), &Batch::default());
    }
    assert!(canary.answers_are_missing());
}

#[test]
fn arms_that_are_not_even_are_told() {
    let alpha = Alpha::new(0.001).unwrap();
    assert_eq!(are_even([510, 490], alpha), Ok(true));
    assert_eq!(are_even([700, 300], alpha), Ok(false));
    assert_eq!(are_even([0, 0], alpha), Ok(true));
}

#[test]
fn nothing_is_nan_on_nothing_and_on_extremes() {
    let mut canary = Canary::new(&asks(), Alpha::FIVE_PERCENT).unwrap();
    assert_eq!(standing(&canary), [Standing::NotYet; 2]);
    let huge = Batch {
        good: u64::MAX,
        bad: u64::MAX,
        users: Outcomes {
            good: u64::MAX,
            bad: u64::MAX,
        },
        times: vec![(0.0, f64::INFINITY, 3), (f64::MAX, f64::NAN, 2)],
    };
    for (control, experiment) in [(&huge, &Batch::default()), (&Batch::default(), &huge)] {
        canary.observe(control, experiment);
        for one in canary.judged() {
            assert!(!one.difference.low().is_nan() && !one.difference.high().is_nan());
            assert!(one.control.is_none_or(|value| !value.is_nan()));
        }
    }
    for wrong in [-0.1, f64::NAN, f64::INFINITY] {
        let asks = [Ask::SuccessRatio { tolerance: wrong }];
        assert!(Canary::new(&asks, Alpha::FIVE_PERCENT).is_err());
    }
}

/// The experiment's counts in each batch are a tenth of the control's, as they were before.
fn unequal(before: [u64; 2], then: [u64; 2], batches: usize) -> Canary {
    let before = Before {
        requests: before,
        seconds: [1.0, 1.0],
    };
    let asks = [Ask::SuccessRatio { tolerance: 0.5 }];
    let mut canary = Canary::relative_to(&before, &asks, Alpha::FIVE_PERCENT).unwrap();
    let of = |good| Batch {
        good,
        ..Batch::default()
    };
    for _ in 0..batches {
        canary.observe(&of(then[0]), &of(then[1]));
    }
    canary
}

#[test]
fn arms_may_get_different_amounts_and_only_a_change_of_the_proportion_is_missed() {
    // Equal arms would have missed them at once.
    assert!(!unequal([10_000, 1_000], [1_000, 100], 100).answers_are_missing());
    assert!(unequal([10_000, 1_000], [1_000, 40], 10).answers_are_missing());
    assert!(!unequal([10_000, 1_000], [1_000, 400], 10).answers_are_missing());
    // The busier one is the experiment: half of what came is missing, though it has more.
    assert!(unequal([1_000, 10_000], [100, 500], 10).answers_are_missing());
    // Little is known before, so little is expected.
    assert!(!unequal([20, 4], [1_000, 100], 3).answers_are_missing());
}

/// Counters that are behind by a second in ten: of the same traffic, an arm may seem to have more.
#[test]
fn what_may_have_come_at_another_time_is_not_expected() {
    let strict = Before {
        requests: [1_000, 1_000],
        seconds: [10.0, 10.0],
    };
    let behind = Before {
        seconds: [6.0, 14.0],
        ..strict
    };
    let missing = |before: &Before| {
        let asks = [Ask::SuccessRatio { tolerance: 0.5 }];
        let mut canary = Canary::relative_to(before, &asks, Alpha::FIVE_PERCENT).unwrap();
        let [control, experiment] = [1_000, 500].map(|good| Batch {
            good,
            ..Batch::default()
        });
        canary.observe(&control, &experiment);
        canary.answers_are_missing()
    };
    assert!(missing(&strict) && !missing(&behind));
    let nobody = Before {
        requests: [10, 0],
        ..strict
    };
    let asks = [Ask::SuccessRatio { tolerance: 0.5 }];
    assert!(Canary::relative_to(&nobody, &asks, Alpha::FIVE_PERCENT).is_err());
}

/// Buckets from 0.1 to 0.5 s: both arms in the same one may be 0.4 s apart, and be so in different
/// ones without any difference.
#[test]
fn the_width_of_a_bucket_is_neither_harm_nor_its_absence() {
    let asks = [Ask::Latency {
        quantile: Probability::HALF,
        tolerance: 0.2,
    }];
    let of = |least, most| Batch {
        good: 5_000,
        times: vec![(least, most, 5_000)],
        ..Batch::default()
    };
    let standing_of = |control: &Batch, experiment: &Batch| {
        let mut canary = Canary::new(&asks, Alpha::FIVE_PERCENT).unwrap();
        canary.observe(control, experiment);
        standing(&canary)[0]
    };
    assert_eq!(standing_of(&of(0.1, 0.5), &of(0.1, 0.5)), Standing::NotYet);
    assert_eq!(standing_of(&of(0.0, 0.1), &of(0.1, 0.5)), Standing::NotYet);
    assert_eq!(
        standing_of(&of(0.0, 0.1), &of(0.0, 0.1)),
        Standing::Harmless
    );
    assert_eq!(standing_of(&of(0.0, 0.1), &of(0.5, 1.0)), Standing::Harmed);
}
