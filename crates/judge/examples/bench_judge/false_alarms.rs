//! How often a test speaks where nothing is, when it is looked at all the time.

use std::time::Duration;

use firedrill_judge::distribution::DistributionTest;
use firedrill_judge::excess::ExcessTest;
use firedrill_judge::mean::difference::{MeanDifference, Side};
use firedrill_judge::order::{PairedIncrease, PairedOrder};
use firedrill_judge::quantile::quantile_evidence;
use firedrill_judge::rate::RateLimit;
use firedrill_judge::share::{Outcomes, TwoShares};
use firedrill_judge::threshold::{LatencyThreshold, ShareThreshold, Standing};
use firedrill_judge::users::FirstEvents;
use firedrill_judge::{
    Allocation, AllocationCheck, Alpha, CountTest, Probability, Shares, several,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::clustered::{self, Of};
use crate::figure::Figure;
use crate::runs;
use crate::world::{events_of_user, is, latency, normal, of_day, poisson};

const ALPHA: Alpha = Alpha::FIVE_PERCENT;

type Scenario = (&'static str, fn(&mut ChaCha8Rng) -> bool);

/// Each must raise at most 5 % alarms.
const PROMISED: [Scenario; 21] = [
    ("counts of two arms, every event", |random| {
        counts(random, &[0.5, 0.5], 20_000)
    }),
    ("counts of three arms, every event", |random| {
        counts(random, &[0.5, 0.3, 0.2], 10_000)
    }),
    ("counts, days, every minute", counts_of_days),
    ("counts, first event of each user", |random| {
        users_counted(random, 4_000)
    }),
    (
        "counts, first event of each user, filter far too small",
        |random| users_counted(random, 100),
    ),
    ("excess of one arm, every minute of days", excess),
    ("canary of users, clustered, every second", |random| {
        clustered::alarm(random, Of::Users)
    }),
    ("allocation, every 10 assignments", allocation),
    ("shares of two arms, every block", |random| {
        two_shares(random, |_| 0.05)
    }),
    ("shares of two arms, days", |random| {
        two_shares(random, |block| 0.05 * of_day(block * 5))
    }),
    ("threshold at its limit: broken", |random| {
        threshold(random, Standing::Broken)
    }),
    ("threshold at its limit: holds", |random| {
        threshold(random, Standing::Holds)
    }),
    ("p99 at its limit: broken", quantile_threshold),
    ("rate at its limit, days", rate_limit),
    ("means of sums per user", user_sums),
    ("order of pairs, latencies of days", paired),
    ("increase of pairs, latencies of days", increase),
    ("distributions, every 25 pairs", distributions),
    ("medians, every 25 pairs", medians),
    ("any of five KPIs, Bonferroni", |random| {
        kpis(random, several::bonferroni)
    }),
    ("any of five KPIs, e-BH", |random| {
        kpis(random, several::benjamini_hochberg)
    }),
];

/// What happens without the mode that is made for it, to show that the world is that hard.
const NOT_PROMISED: [Scenario; 2] = [
    ("counts, all events of clustered users", users_not_counted),
    (
        "canary of requests, clustered users, every second",
        |random| clustered::alarm(random, Of::Requests),
    ),
];

pub(crate) fn measure(runs: usize) -> bool {
    let mut well = true;
    for (is_promised, scenarios) in [(true, &PROMISED[..]), (false, &NOT_PROMISED[..])] {
        for (name, alarm) in scenarios {
            let (rate, low) = runs::rate(runs, name, alarm);
            well &= low <= ALPHA.get() || !is_promised;
            let mode = if is_promised {
                "false alarms"
            } else {
                "false alarms of the wrong mode"
            };
            Figure {
                metric: format!("{mode}: {name}"),
                value: rate,
                unit: "share of runs",
                peer: "alpha",
                peer_value: ALPHA.get(),
                ratio: ALPHA.get() / rate,
            }
            .print();
        }
    }
    well
}

fn count_test(weights: &[f64]) -> CountTest {
    CountTest::new(Shares::new(weights).expect("usable weights"))
}

fn counts(random: &mut ChaCha8Rng, shares: &[f64], events: u32) -> bool {
    let mut test = count_test(shares);
    for _ in 0..events {
        let mut at = random.random::<f64>();
        let arm = shares.iter().position(|share| {
            at -= share;
            at < 0.0
        });
        test.event(arm.unwrap_or(0)).expect("an arm");
    }
    test.is_proven(ALPHA)
}

fn counts_of_days(random: &mut ChaCha8Rng) -> bool {
    let mut test = count_test(&[0.8, 0.2]);
    for minute in 0..1440 {
        let mean = 5.0 * of_day(minute);
        let counts = [poisson(random, 0.8 * mean), poisson(random, 0.2 * mean)];
        test.batch(&counts).expect("two arms");
    }
    test.is_proven(ALPHA)
}

fn users_counted(random: &mut ChaCha8Rng, room: u64) -> bool {
    let (mut test, mut seen) = (count_test(&[0.5, 0.5]), FirstEvents::new(room));
    for _ in 0..4_000 {
        let (user, arm) = (random.random::<u64>(), usize::from(is(random, 0.5)));
        for _ in 0..events_of_user(random) {
            if seen.is_first(user) {
                test.event(arm).expect("an arm");
            }
        }
    }
    test.is_proven(ALPHA)
}

fn users_not_counted(random: &mut ChaCha8Rng) -> bool {
    let mut test = count_test(&[0.5, 0.5]);
    for _ in 0..4_000 {
        let arm = usize::from(is(random, 0.5));
        for _ in 0..events_of_user(random) {
            test.event(arm).expect("an arm");
        }
    }
    test.is_proven(ALPHA)
}

fn excess(random: &mut ChaCha8Rng) -> bool {
    let mut test = ExcessTest::new(&Shares::two_equal(), 1.2).expect("a usable ratio");
    (0..1440).any(|minute| {
        let mean = 2.0 * of_day(minute);
        test.observe(poisson(random, mean), poisson(random, 1.2 * mean));
        test.is_proven(ALPHA)
    })
}

fn allocation(random: &mut ChaCha8Rng) -> bool {
    let mut check = AllocationCheck::new(Shares::two_equal(), ALPHA).expect("usable constants");
    (0..2_000).any(|_| {
        let first = (0..10).filter(|_| is(random, 0.5)).count() as u64;
        check.assigned(&[first, 10 - first]) != Ok(Allocation::AsAsked)
    })
}

fn outcomes(random: &mut ChaCha8Rng, n: u64, bad: f64) -> Outcomes {
    let bad = (0..n).filter(|_| is(random, bad)).count() as u64;
    Outcomes { good: n - bad, bad }
}

fn two_shares(random: &mut ChaCha8Rng, bad: fn(u64) -> f64) -> bool {
    let mut test = TwoShares::new();
    (0..1_000).any(|block| {
        let (control, experiment) = (
            outcomes(random, 8, bad(block)),
            outcomes(random, 2, bad(block)),
        );
        test.observe(control, experiment);
        test.is_proven(ALPHA)
    })
}

fn threshold(random: &mut ChaCha8Rng, wrong: Standing) -> bool {
    let share = Probability::new(0.98).expect("a probability");
    let mut test = ShareThreshold::good_min(share, ALPHA);
    // Either is wrong at the limit itself, so each is waited for alone.
    let (mut good, mut bad) = (0, 0);
    for _ in 0..1_500 {
        let is_bad = is(random, 0.02);
        good += u64::from(!is_bad);
        bad += u64::from(is_bad);
        // Evidence against the limit rises with what is bad, evidence for it with what is good.
        let is_worth_a_look = if wrong == Standing::Broken {
            is_bad
        } else {
            good >= 10
        };
        if is_worth_a_look {
            test.observe(good, bad);
            (good, bad) = (0, 0);
        }
        let found = match wrong {
            Standing::Broken => test.standing() == Standing::Broken,
            _ => test.holds(),
        };
        if found {
            return true;
        }
    }
    false
}

fn quantile_threshold(random: &mut ChaCha8Rng) -> bool {
    let p99 = Probability::new(0.99).expect("a probability");
    let limit = Duration::from_millis(300);
    let mut test = LatencyThreshold::quantile_max(p99, limit, ALPHA);
    (0..1_500).any(|_| {
        let latency = if is(random, 0.01) { 301 } else { 299 };
        test.observe(Duration::from_millis(latency)) == Standing::Broken
    })
}

fn rate_limit(random: &mut ChaCha8Rng) -> bool {
    let mut limit = RateLimit::new(0.5).expect("a usable rate");
    (0..1440).any(|minute| {
        // Exposure is requests, which come by day.
        let exposure = 2.0 * of_day(minute);
        let events = poisson(random, 0.5 * exposure);
        limit.observe(events, exposure).expect("usable exposure");
        limit.is_proven(ALPHA)
    })
}

fn user_sums(random: &mut ChaCha8Rng) -> bool {
    let mut test = MeanDifference::new();
    for _ in 0..10_000 {
        let side = if is(random, 0.5) {
            Side::Control
        } else {
            Side::Experiment
        };
        let sum = events_of_user(random) as f64;
        test.observe(side, sum).expect("a finite sum");
    }
    test.is_proven(ALPHA)
}

fn paired(random: &mut ChaCha8Rng) -> bool {
    let mut order = PairedOrder::new().expect("usable constants");
    for minute in 0..3_000 {
        let scale = of_day(minute);
        order.observe(&latency(random, scale), &latency(random, scale));
    }
    order.is_proven(ALPHA)
}

fn increase(random: &mut ChaCha8Rng) -> bool {
    let mut order = PairedIncrease::new().expect("usable constants");
    for minute in 0..2_000 {
        let scale = of_day(minute);
        order.observe(&latency(random, scale), &latency(random, scale));
    }
    order.is_proven(ALPHA)
}

fn two_samples(
    random: &mut ChaCha8Rng,
    mut look: impl FnMut(&mut DistributionTest) -> bool,
) -> bool {
    let mut test = DistributionTest::new().expect("usable constants");
    (0..40).any(|_| {
        for _ in 0..25 {
            for side in [Side::Control, Side::Experiment] {
                test.observe(side, latency(random, 1.0) / 200);
            }
        }
        look(&mut test)
    })
}

fn distributions(random: &mut ChaCha8Rng) -> bool {
    two_samples(random, |test| {
        test.look();
        test.p_value() <= ALPHA.get()
    })
}

fn medians(random: &mut ChaCha8Rng) -> bool {
    two_samples(random, |test| {
        quantile_evidence(test.control(), test.experiment(), Probability::HALF).is_proof(ALPHA)
    })
}

/// Five KPIs that move together; a run stops at the first claim about any.
fn kpis(
    random: &mut ChaCha8Rng,
    claims: fn(&[firedrill_judge::Evidence], Alpha) -> Vec<bool>,
) -> bool {
    let mut tests = [(); 5].map(|()| PairedOrder::new().expect("usable constants"));
    (0..1_000).any(|_| {
        let shared = normal(random);
        for test in &mut tests {
            test.observe(&0.0, &(shared + normal(random)));
        }
        let evidence: Vec<_> = tests.iter().map(PairedOrder::evidence).collect();
        claims(&evidence, ALPHA).contains(&true)
    })
}
