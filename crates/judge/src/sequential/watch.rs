//! Harm that begins late.
//!
//! A test that has seen a hundred thousand good requests allows a thousand bad ones at 99 % before
//! it speaks: the share of all of them is still within its limit. So [`BadRateWatch`] asks three
//! times: of everything, and of what came since its last restarts, in two spans. The `j`-th run of
//! a span has `alpha / (4 j (j+1))`, all runs of both together at most `alpha / 2`, the test of
//! everything the other half; so the chance of ever calling a rate harmful that never was above
//! the limit is at most `alpha`, by Boole's inequality over Ville's (change detection by e-values
//! that are begun anew: Shin, Ramdas & Rinaldo, "E-detectors", NEJSDS 2, 2023). What it costs is
//! `ln(4 j (j+1))` more evidence, a few bad requests even after a day.

use super::BadRateTest;

/// Tests "at most this share is bad", whenever it ceases to be so. About 200 bytes.
#[derive(Debug, Clone)]
pub struct BadRateWatch {
    bad_rate_max: f64,
    alpha: f64,
    whole: BadRateTest,
    spans: [Span; 2],
    proof: Option<Counted>,
}

/// What a proof stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub bad: u64,
    pub good: u64,
}

#[derive(Debug, Clone)]
struct Span {
    /// Requests after which it begins anew.
    requests: u64,
    run: u64,
    test: BadRateTest,
}

/// Lengths of the spans, in requests of which one may be bad.
const SPANS: [f64; 2] = [10.0, 100.0];

impl BadRateWatch {
    /// `alpha` is the chance of ever calling a rate harmful that never was above `bad_rate_max`.
    #[must_use]
    pub fn new(bad_rate_max: f64, alpha: f64) -> Self {
        let span = |length: f64| Span {
            // Where none may be bad, or nothing is known of it, there is no end.
            requests: (length / bad_rate_max.max(0.0)).ceil() as u64,
            run: 1,
            test: BadRateTest::new(bad_rate_max, of_run(alpha, 1)),
        };
        Self {
            bad_rate_max,
            alpha,
            whole: BadRateTest::new(bad_rate_max, alpha / 2.0),
            spans: SPANS.map(span),
            proof: None,
        }
    }

    /// Adds requests. What proves that the rate is above, from the first look on at which it does.
    pub fn observe(&mut self, bad: u64, good: u64) -> Option<Counted> {
        if self.proof.is_some() {
            return self.proof;
        }
        let whole = self.whole.observe(bad, good).then(|| self.whole.counted());
        let spans = self.spans.each_mut().map(|span| {
            if span.test.requests() >= span.requests {
                span.run = span.run.saturating_add(1);
                span.test = BadRateTest::new(self.bad_rate_max, of_run(self.alpha, span.run));
            }
            span.test.observe(bad, good).then(|| span.test.counted())
        });
        // The most that it can stand on.
        let [short, long] = spans;
        self.proof = whole.or(long).or(short);
        self.proof
    }
}

fn of_run(alpha: f64, run: u64) -> f64 {
    let run = run as f64;
    alpha / (4.0 * run * (run + 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Bad requests from the one on at which harm begins, until it is proven.
    fn to_proof(clean: u64, mut observe: impl FnMut(u64, u64) -> bool) -> u64 {
        for _ in 0..clean / 100 {
            assert!(!observe(0, 100));
        }
        (1..)
            .find(|_| observe(1, 1))
            .expect("harm is proven at last")
    }

    #[test]
    fn harm_that_begins_after_a_day_is_proven_by_a_few_dozen_requests() {
        for (clean, most) in [(0, 10), (10_000, 20), (1_000_000, 30), (80_000_000, 40)] {
            let mut watch = BadRateWatch::new(0.01, 0.05);
            let bad = to_proof(clean, |bad, good| watch.observe(bad, good).is_some());
            assert!(bad <= most, "{bad} bad requests after {clean} good ones");
        }
        // What one test alone would have let pass.
        let mut alone = BadRateTest::new(0.01, 0.05);
        let bad = to_proof(100_000, |bad, good| alone.observe(bad, good));
        assert!(bad > 1_000, "{bad}");
    }

    /// Rates that change all the time and are never above the limit raise at most 5 % false alarms.
    #[test]
    fn a_rate_that_follows_the_day_within_its_limit_is_rarely_called_harm() {
        let mut random = ChaCha8Rng::seed_from_u64(20_261_124);
        let limit = 0.01;
        let alarms = (0..1_000)
            .filter(|run| {
                let mut watch = BadRateWatch::new(limit, 0.05);
                let mut good = 0;
                (0..20_000_u32).any(|request| {
                    let day = f64::from(request) / 5_000.0 + f64::from(*run);
                    // Most of the time at the limit, where false alarms are likeliest.
                    let rate = limit * (1.0 + (std::f64::consts::TAU * day).sin()).min(1.0);
                    if random.random::<f64>() >= rate {
                        good += 1;
                        return false;
                    }
                    watch.observe(1, std::mem::take(&mut good)).is_some()
                })
            })
            .count();
        assert!(alarms <= 50, "{alarms} of 1000");
        assert!(alarms > 0, "a test that never speaks proves nothing");
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(
            limit in prop::num::f64::ANY, alpha in prop::num::f64::ANY,
            counts in prop::collection::vec((any::<u64>(), any::<u64>()), 0..12),
        ) {
            let mut watch = BadRateWatch::new(limit, alpha);
            let mut bad_seen = false;
            for (bad, good) in counts {
                for (bad, good) in [(bad % 1_000, good % 10_000), (bad, good)] {
                    bad_seen |= bad > 0;
                    let proof = watch.observe(bad, good);
                    // An alpha of 1 or more asks for no evidence at all.
                    prop_assert!(proof.is_none() || bad_seen || alpha >= 1.0, "{:?}", proof);
                }
            }
        }
    }
}
