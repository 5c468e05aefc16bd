//! Proof of harm that may be looked for after every window.
//!
//! The null hypothesis is "the bad rate is at most `b`". For one alternative rate `r > b` the
//! likelihood ratio `(r/b)^bad ((1-r)/(1-b))^good` has, under every rate up to `b`, an
//! expectation of at most 1 (one request contributes `x r/b + (1-x)(1-r)/(1-b)` with `x` the
//! true rate, which grows with `x` and is 1 at `x = b`). Mixing it over a prior on `r` keeps
//! that, so the mixture is a non-negative supermartingale that starts at 1, and Ville's
//! inequality bounds the chance that it ever reaches `1/alpha` by `alpha`: at any number of
//! looks, in batches of any size (Ville 1939; Robbins, "Statistical methods related to the
//! law of the iterated logarithm", Ann. Math. Stat. 41, 1970; Ramdas et al., "Game-theoretic
//! statistics and safe anytime-valid inference", Statist. Sci. 38, 2023).
//!
//! The prior is Jeffreys' Beta(½, ½) cut to `b..1`, which gives, with `I` the regularised
//! incomplete beta function,
//! `M = B(bad+½, good+½) I_{1-b}(good+½, bad+½) / (B(½, ½) I_{1-b}(½, ½) b^bad (1-b)^good)`.
//!
//! Assumption: given the past, a request is bad with probability at most `b` while the null
//! holds; independence in time is not needed.

mod watch;

use std::time::Duration;

use statrs::function::beta::ln_beta;

use crate::binomial::incomplete_beta;
use crate::bounds::usable;
use crate::tally::Window;
use crate::verdict::{Degraded, Objective};
use crate::words;
use crate::worst::Scan;

pub use watch::{BadRateWatch, Counted};

/// Tests "at most this share is bad"; see the module.
#[derive(Debug, Clone)]
pub struct BadRateTest {
    bad_rate_max: f64,
    bad: u64,
    good: u64,
    proven: bool,
    log_threshold: f64,
}

/// Watches one objective; the first proof of harm ends it.
#[derive(Debug, Clone)]
pub struct HarmWatch {
    confidence: f64,
    degraded: Degraded,
    ratio: Option<(f64, BadRateWatch)>,
    latency: Option<(f64, Duration, BadRateWatch)>,
    worst: Option<(u64, Scan)>,
    budget: Option<Budget>,
    harm: Option<Harm>,
}

#[derive(Debug, Clone)]
struct Budget {
    bad_max: u64,
    bad: u64,
}

/// A sentence with the numbers at the time of proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Harm {
    pub finding: String,
    /// End of the window that completed the proof, since the drill's start.
    pub at: Duration,
}

const PRIOR: f64 = 0.5;
const REQUESTS_MAX: u64 = 1_000_000_000;

impl BadRateTest {
    /// `alpha` is the chance of ever calling a rate of at most `bad_rate_max` harmful.
    #[must_use]
    pub fn new(bad_rate_max: f64, alpha: f64) -> Self {
        Self {
            bad_rate_max,
            bad: 0,
            good: 0,
            proven: false,
            log_threshold: -alpha.clamp(1e-300, 1.0).ln(),
        }
    }

    /// Adds requests; true from the first look at which the rate is proven to be above.
    pub fn observe(&mut self, bad: u64, good: u64) -> bool {
        self.bad = self.bad.saturating_add(bad);
        self.good = self.good.saturating_add(good);
        self.proven = self.proven || self.log_evidence() >= self.log_threshold;
        self.proven
    }

    fn counted(&self) -> Counted {
        let (bad, good) = (self.bad, self.good);
        Counted { bad, good }
    }

    fn requests(&self) -> u64 {
        self.bad.saturating_add(self.good)
    }

    /// Natural logarithm of the mixture `M`: the evidence against the null. Minus infinity
    /// when there is none, or when there are more requests than the series is exact for
    /// (10⁹: nothing is claimed then); plus infinity for a bad request where none is allowed.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        let b = self.bad_rate_max;
        if b.is_nan() || b >= 1.0 || self.bad.saturating_add(self.good) > REQUESTS_MAX {
            return f64::NEG_INFINITY;
        }
        if b <= 0.0 {
            return if self.bad > 0 { f64::INFINITY } else { 0.0 };
        }
        let (bad, good) = (self.bad as f64, self.good as f64);
        let mass_above = |good: f64, bad: f64| incomplete_beta(good + PRIOR, bad + PRIOR, 1.0 - b);
        ln_beta(bad + PRIOR, good + PRIOR) - ln_beta(PRIOR, PRIOR) + mass_above(good, bad).ln()
            - mass_above(0.0, 0.0).ln()
            - bad * b.ln()
            - good * (-b).ln_1p()
    }
}

impl HarmWatch {
    /// With ratio and latency both watched, each gets half of `1 - confidence`; the worst
    /// window and the budget need none. So harm is claimed of a system that meets its objective with
    /// probability at most `1 - confidence` over the whole watch. `success_ratio_max` is not
    /// watched: that a system answers where it should refuse is no harm.
    #[must_use]
    pub fn new(objective: &Objective, confidence: f64, count_degraded_as: Degraded) -> Self {
        let confidence = usable(confidence);
        let tests = u32::from(objective.success_ratio_min.is_some())
            + u32::from(objective.latency.is_some());
        let alpha = (1.0 - confidence) / f64::from(tests.max(1));
        let test = |share: f64| BadRateWatch::new(1.0 - share, alpha);
        Self {
            confidence,
            degraded: count_degraded_as,
            ratio: objective.success_ratio_min.map(|min| (min, test(min))),
            latency: objective
                .latency
                .map(|(quantile, max)| (quantile, max, test(quantile))),
            worst: objective
                .worst_window
                .map(|(length, max)| (max, Scan::new(length, count_degraded_as))),
            budget: objective.bad_max.map(|bad_max| Budget { bad_max, bad: 0 }),
            harm: None,
        }
    }

    /// Takes the next window, in order of time, and returns the harm once it is proven.
    pub fn observe(&mut self, window: &Window) -> Option<&Harm> {
        if self.harm.is_none() {
            // Each takes the window in, whatever the others say of it.
            let findings = [
                self.worst(window),
                self.budget(window),
                self.ratio(window),
                self.latency(window),
            ];
            let finding = findings.into_iter().flatten().next();
            let at = window.counts().end();
            self.harm = finding.map(|finding| Harm { finding, at });
        }
        self.harm.as_ref()
    }

    fn worst(&mut self, window: &Window) -> Option<String> {
        let (max, scan) = self.worst.as_mut()?;
        scan.push(&window.counts());
        let worst = scan.worst.filter(|w| w.bad > *max)?;
        Some(format!(
            "{} bad requests within {} from {}: the limit is {}.",
            words::count(worst.bad),
            words::duration(worst.length),
            words::duration(worst.start),
            words::count(*max),
        ))
    }

    fn budget(&mut self, window: &Window) -> Option<String> {
        let budget = self.budget.as_mut()?;
        let bad = self.degraded.bad(&window.counts());
        budget.bad = budget.bad.saturating_add(bad);
        (budget.bad > budget.bad_max).then(|| {
            format!(
                "{} bad requests are beyond the budget of {}.",
                words::count(budget.bad),
                words::count(budget.bad_max)
            )
        })
    }

    fn ratio(&mut self, window: &Window) -> Option<String> {
        let (min, test) = self.ratio.as_mut()?;
        let counts = window.counts();
        let bad = self.degraded.bad(&counts);
        let good = self.degraded.good(counts.good, counts.degraded);
        test.observe(bad, good).map(|seen| {
            format!(
                "{} of {} requests were bad: a success ratio below {} is proven at {} confidence, whenever one looks.",
                words::count(seen.bad),
                words::count(seen.bad.saturating_add(seen.good)),
                words::percent(*min),
                words::percent(self.confidence),
            )
        })
    }

    fn latency(&mut self, window: &Window) -> Option<String> {
        let (quantile, max, test) = self.latency.as_mut()?;
        let limit = u64::try_from(max.as_micros()).unwrap_or(u64::MAX);
        // A cell that straddles the limit counts as fast: harm is not claimed on a doubt.
        let slow = window
            .latency
            .iter_recorded()
            .filter(|cell| window.latency.lowest_equivalent(cell.value_iterated_to()) > limit)
            .fold(0_u64, |sum, cell| sum.saturating_add(cell.count_at_value()));
        let fast = window.latency.len().saturating_sub(slow);
        test.observe(slow, fast).map(|seen| {
            format!(
                "{} of {} requests took longer than {}: a {} above it is proven at {} confidence, whenever one looks.",
                words::count(seen.bad),
                words::count(seen.bad.saturating_add(seen.good)),
                words::duration(*max),
                words::quantile(*quantile),
                words::percent(self.confidence),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::latency_histogram;

    /// The requests after which harm was claimed, over `runs` streams of `events` requests.
    ///
    /// A good request only lowers the evidence, so looking after every bad one finds the same
    /// alarms as looking after each.
    fn alarms(rate: f64, null: f64, runs: usize, events: u64) -> Vec<u64> {
        let mut random = ChaCha8Rng::seed_from_u64(20_261_123);
        (0..runs)
            .filter_map(|_| {
                let mut test = BadRateTest::new(null, 0.05);
                let mut good = 0;
                (1..=events).find(|_| {
                    if random.random::<f64>() >= rate {
                        good += 1;
                        return false;
                    }
                    test.observe(1, std::mem::take(&mut good))
                })
            })
            .collect()
    }

    #[test]
    fn looking_after_every_request_raises_at_most_five_percent_false_alarms() {
        for (null, events) in [(0.01, 10_000), (0.1, 2_000)] {
            let false_alarms = alarms(null, null, 1_000, events).len();
            assert!(false_alarms <= 50, "{false_alarms} of 1000 at {null}");
            assert!(false_alarms > 0, "a test that never speaks proves nothing");
        }
    }

    #[test]
    fn real_harm_is_proven_within_tens_of_requests() {
        let mut stops = alarms(0.3, 0.01, 200, 2_000);
        assert_eq!(stops.len(), 200);
        stops.sort_unstable();
        assert!(stops[100] <= 20, "median {}", stops[100]);
    }

    /// Integrated numerically with scipy.integrate.quad, 1.17.1.
    #[test]
    fn the_mixture_agrees_with_numeric_integration() {
        for (bad, good, null, expected) in MIXTURES {
            let mut test = BadRateTest::new(null, 0.05);
            test.observe(bad, good);
            assert!(
                (test.log_evidence() - expected).abs() < 1e-6,
                "{bad} {good}: {}",
                test.log_evidence()
            );
        }
    }

    include!("sequential/reference.rs");

    #[test]
    fn the_edges_of_the_range_claim_nothing_and_do_not_fail() {
        for null in [f64::NAN, -1.0, 0.0, 1e-300, 0.5, 1.0, 2.0, f64::INFINITY] {
            for (bad, good) in [(0, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (0, 10_000_000)] {
                let mut test = BadRateTest::new(null, 0.05);
                let proven = test.observe(bad, good);
                assert!(!test.log_evidence().is_nan(), "{null} {bad} {good}");
                assert!(!proven || bad > 0, "{null} {bad} {good}");
            }
        }
    }

    fn window(start_ms: u64, good: u64, bad: u64, latency_us: u64) -> Window {
        let mut latency = latency_histogram().unwrap();
        latency.record_n(latency_us, good + bad).unwrap();
        let (start, length) = (Duration::from_millis(start_ms), Duration::from_millis(100));
        Window {
            start,
            length,
            good,
            degraded: 0,
            bad,
            late: 0,
            latency,
        }
    }

    #[test]
    fn a_watch_stops_at_the_first_proof_and_keeps_it() {
        let objective = Objective {
            success_ratio_min: Some(0.99),
            ..Objective::default()
        };
        let mut watch = HarmWatch::new(&objective, 0.95, Degraded::Bad);
        assert_eq!(watch.observe(&window(0, 100, 0, 1_000)), None);
        let harm = watch.observe(&window(100, 60, 40, 1_000)).cloned().unwrap();
        assert_eq!(harm.at, Duration::from_millis(200));
        assert_eq!(
            harm.finding,
            "40 of 200 requests were bad: a success ratio below 99 % is proven at 95 % confidence, whenever one looks."
        );
        assert_eq!(watch.observe(&window(200, 100, 0, 1_000)), Some(&harm));
    }

    #[test]
    fn a_watch_counts_the_budget_over_all_windows() {
        let objective = Objective {
            bad_max: Some(5),
            ..Objective::default()
        };
        let mut watch = HarmWatch::new(&objective, 0.95, Degraded::Bad);
        assert_eq!(watch.observe(&window(0, 1_000_000, 5, 1)), None);
        assert_eq!(watch.observe(&window(100, 1_000_000, 0, 1)), None);
        let harm = watch.observe(&window(200, 1_000_000, 1, 1)).unwrap();
        assert_eq!(harm.finding, "6 bad requests are beyond the budget of 5.");
    }

    #[test]
    fn a_watch_sees_slowness_and_bursts_too() {
        let slow = Objective {
            latency: Some((0.99, Duration::from_millis(300))),
            ..Objective::default()
        };
        let mut watch = HarmWatch::new(&slow, 0.95, Degraded::Bad);
        assert_eq!(watch.observe(&window(0, 100, 0, 300_000)), None);
        let harm = watch
            .observe(&window(100, 50, 0, 400_000))
            .cloned()
            .unwrap();
        assert!(
            harm.finding
                .starts_with("50 of 150 requests took longer than 300 ms"),
            "{harm:?}"
        );

        let burst = Objective {
            worst_window: Some((Duration::from_millis(200), 5)),
            ..Objective::default()
        };
        let mut watch = HarmWatch::new(&burst, 0.95, Degraded::Bad);
        assert_eq!(watch.observe(&window(0, 1000, 3, 1)), None);
        let harm = watch.observe(&window(100, 1000, 3, 1)).cloned().unwrap();
        assert_eq!(
            harm.finding,
            "6 bad requests within 200 ms from 0 s: the limit is 5."
        );
    }
}
