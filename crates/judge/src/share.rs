//! The share of good ones in a stream, and in two.
//!
//! One stream ([`ShareSequence`]): every share `p` is tested by the Bayes factor of a
//! Beta(kp, k(1-p)) prior against it, and the confidence sequence is what is not rejected
//! (Howard & Ramdas, "Sequential estimation of quantiles", Bernoulli 28, 2022, section 3:
//! the beta-binomial mixture). Assumption: given the past, each one is good with the same
//! probability.
//!
//! Two streams ([`TwoShares`]): in a block with `n` and `m` ones, of which `a` and `b` are
//! good, the bet is `θ₁^a (1-θ₁)^(n-a) θ₂^b (1-θ₂)^(m-b) / θ^(a+b) (1-θ)^(n+m-a-b)`, where
//! `θ₁` and `θ₂` are what was learnt before the block, and `θ` their mean with weights `n` and
//! `m`. Its expectation is at most 1 if both streams have the same share in this block,
//! whatever that is, so shares may drift as long as they drift together (Turner, Ly &
//! Grünwald, "Generic E-variables for exact sequential k-sample tests", 2021, theorem 1).

use crate::dirichlet::{concentration_for, ln_bayes_factor_of_two};
use crate::evidence::Evidence;
use crate::interval::{Interval, crossing};
use crate::level::{Alpha, Probability};

/// Counts of one stream. 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareSequence {
    good: u64,
    bad: u64,
    concentration: f64,
}

/// Tests whether two streams have the same share of good ones. About 100 bytes.
#[derive(Debug, Clone)]
pub struct TwoShares {
    pending: [Outcomes; 2],
    past: [Outcomes; 2],
    now: f64,
    strongest: Evidence,
}

/// What one arm did since the last call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub good: u64,
    pub bad: u64,
}

const TIGHTEST_AT: f64 = 1000.0;

impl ShareSequence {
    /// Tightest after about 1,000 observations.
    #[must_use]
    pub fn new() -> Self {
        Self::tightest_at(TIGHTEST_AT, Alpha::FIVE_PERCENT)
    }

    /// Tightest after this many observations, at this error rate; valid at any.
    #[must_use]
    pub fn tightest_at(observations: f64, alpha: Alpha) -> Self {
        let observations = if observations.is_nan() {
            TIGHTEST_AT
        } else {
            observations
        };
        Self {
            good: 0,
            bad: 0,
            concentration: concentration_for(observations.clamp(1.0, 1e12), alpha.get()),
        }
    }

    pub fn observe(&mut self, outcomes: Outcomes) {
        self.good = self.good.saturating_add(outcomes.good);
        self.bad = self.bad.saturating_add(outcomes.bad);
    }

    /// Adds what the other one has counted.
    pub fn merge(&mut self, other: &Self) {
        let (good, bad) = (other.good, other.bad);
        self.observe(Outcomes { good, bad });
    }

    /// Against this share, on both sides.
    #[must_use]
    pub fn evidence(&self, share: Probability) -> Evidence {
        Evidence::from_ln(self.ln(share.get()))
    }

    /// The shares that are not rejected; 0 to 1 without observations.
    #[must_use]
    pub fn interval(&self, alpha: Alpha) -> Interval {
        let n = self.good as f64 + self.bad as f64;
        if n <= 0.0 {
            return Interval::new(0.0, 1.0);
        }
        let observed = self.good as f64 / n;
        let is_out = |share: f64| {
            if share <= 0.0 {
                self.good > 0
            } else if share >= 1.0 {
                self.bad > 0
            } else {
                self.ln(share) > alpha.bar()
            }
        };
        Interval::new(
            crossing(observed, 0.0, is_out),
            crossing(observed, 1.0, is_out),
        )
    }

    fn ln(&self, share: f64) -> f64 {
        ln_bayes_factor_of_two(share, self.good as f64, self.bad as f64, self.concentration)
    }
}

impl Default for ShareSequence {
    fn default() -> Self {
        Self::new()
    }
}

/// How much larger the share of the second stream is: the intervals of the two, each at half
/// the error rate, subtracted. -1 to 1.
#[must_use]
pub fn share_difference(first: &ShareSequence, second: &ShareSequence, alpha: Alpha) -> Interval {
    let (first, second) = (first.interval(alpha.half()), second.interval(alpha.half()));
    Interval::new(second.low() - first.high(), second.high() - first.low())
}

impl Outcomes {
    fn total(self) -> f64 {
        self.good as f64 + self.bad as f64
    }

    fn is_empty(self) -> bool {
        self.good == 0 && self.bad == 0
    }

    fn add(&mut self, other: Self) {
        self.good = self.good.saturating_add(other.good);
        self.bad = self.bad.saturating_add(other.bad);
    }

    /// Jeffreys' estimate, never 0 or 1.
    fn share(self) -> f64 {
        ((self.good as f64 + 0.5) / (self.total() + 1.0)).clamp(1e-15, 1.0 - 1e-15)
    }

    fn ln_likelihood(self, share: f64) -> f64 {
        self.good as f64 * share.ln() + self.bad as f64 * (-share).ln_1p()
    }
}

impl TwoShares {
    #[must_use]
    pub fn new() -> Self {
        Self {
            pending: [Outcomes::default(); 2],
            past: [Outcomes::default(); 2],
            now: 0.0,
            strongest: Evidence::NONE,
        }
    }

    /// What both arms did since the last call. It is kept back until both have done something;
    /// the first block teaches and proves nothing, so let it be small.
    pub fn observe(&mut self, control: Outcomes, experiment: Outcomes) {
        self.pending[0].add(control);
        self.pending[1].add(experiment);
        if self.pending.iter().any(|p| p.is_empty()) {
            return;
        }
        let [control, experiment] = self.pending;
        let (first, second) = (self.past[0].share(), self.past[1].share());
        let (n, m) = (control.total(), experiment.total());
        // As a step from one to the other: where they agree the block bets nothing at all.
        let both = first + (second - first) * (m / (n + m));
        let gain = control.ln_likelihood(first) - control.ln_likelihood(both)
            + experiment.ln_likelihood(second)
            - experiment.ln_likelihood(both);
        self.now += if gain.is_nan() {
            f64::NEG_INFINITY
        } else {
            gain
        };
        self.strongest = self.strongest.stronger(Evidence::from_ln(self.now));
        self.past[0].add(control);
        self.past[1].add(experiment);
        self.pending = [Outcomes::default(); 2];
    }

    /// Takes what another one of the same two streams has seen, as bets beside its own: the
    /// evidence of disjoint observations adds up.
    pub fn merge(&mut self, other: &Self) {
        self.now += other.now;
        if self.now.is_nan() {
            self.now = f64::NEG_INFINITY;
        }
        for arm in 0..2 {
            self.past[arm].add(other.past[arm]);
            self.pending[arm].add(other.pending[arm]);
        }
        self.strongest = self.strongest.stronger(Evidence::from_ln(self.now));
    }

    #[must_use]
    pub fn evidence(&self) -> Evidence {
        Evidence::from_ln(self.now)
    }

    /// Valid at every look.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        self.strongest.p_value()
    }

    #[must_use]
    pub fn is_proven(&self, alpha: Alpha) -> bool {
        self.strongest.is_proof(alpha)
    }
}

impl Default for TwoShares {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcomes(good: u64, bad: u64) -> Outcomes {
        Outcomes { good, bad }
    }

    /// confseq 0.0.10, `bernoulli_confidence_interval(700, 1000, .05, t_opt=100)`, and
    /// `beta_binomial_mixture_bound` with g = 0.2, h = 0.8 at V = `v_opt` = 100.
    #[test]
    fn interval_and_bounds_agree_with_confseq() {
        let mut sequence = ShareSequence::tightest_at(100.0, Alpha::FIVE_PERCENT);
        sequence.observe(outcomes(700, 300));
        let interval = sequence.interval(Alpha::FIVE_PERCENT);
        assert!((interval.low() - 0.651_629).abs() < 1e-6, "{interval:?}");
        assert!((interval.high() - 0.745_949).abs() < 1e-6, "{interval:?}");

        let (g, n) = (0.2, 100.0 / 0.16);
        let bound = |alpha: f64, truncated: bool| {
            let k = concentration_for(n, alpha);
            crossing(0.0, n * (1.0 - g), |s| {
                let (good, bad) = (n * g + s, n * (1.0 - g) - s);
                let above = |good: f64, bad: f64| {
                    crate::binomial::incomplete_beta(k * (1.0 - g) + bad, k * g + good, 1.0 - g)
                        .ln()
                };
                let one_side = if truncated {
                    above(good, bad) - above(0.0, 0.0)
                } else {
                    0.0
                };
                ln_bayes_factor_of_two(g, good, bad, k) + one_side > 20_f64.ln()
            })
        };
        assert!(
            (bound(0.05, false) - 31.4308).abs() < 1e-4,
            "{}",
            bound(0.05, false)
        );
        assert!(
            (bound(0.1, true) - 28.41238).abs() < 1e-4,
            "{}",
            bound(0.1, true)
        );
    }

    #[test]
    fn two_streams_that_differ_are_told_apart_and_equal_ones_are_not() {
        let (mut same, mut other) = (TwoShares::new(), TwoShares::new());
        for _ in 0..20 {
            same.observe(outcomes(9, 1), outcomes(9, 1));
            other.observe(outcomes(9, 1), outcomes(6, 4));
        }
        assert!(other.is_proven(Alpha::FIVE_PERCENT), "{other:?}");
        assert!(!same.is_proven(Alpha::FIVE_PERCENT), "{same:?}");
        assert!(
            same.evidence().ln().abs() < 1e-9,
            "where nothing was learnt nothing is bet"
        );
    }

    /// The formula as it is written at the head of this file, for arms of different size.
    #[test]
    fn a_block_bets_on_what_was_learnt_before_it() {
        let mut test = TwoShares::new();
        test.observe(outcomes(9, 1), outcomes(1, 1));
        assert_eq!(test.evidence(), Evidence::NONE);
        test.observe(outcomes(8, 2), outcomes(0, 2));
        let (first, second) = (9.5_f64 / 11.0, 1.5_f64 / 3.0);
        let both = (10.0 * first + 2.0 * second) / 12.0;
        let bet = first.powi(8) * (1.0 - first).powi(2) * (1.0 - second).powi(2)
            / (both.powi(8) * (1.0 - both).powi(4));
        assert!((test.evidence().ln() - bet.ln()).abs() < 1e-12, "{test:?}");
    }

    #[test]
    fn a_block_waits_for_both_arms() {
        let mut test = TwoShares::new();
        test.observe(outcomes(100, 0), Outcomes::default());
        assert_eq!(test.past[0], Outcomes::default());
        test.observe(Outcomes::default(), outcomes(50, 50));
        assert_eq!(test.past, [outcomes(100, 0), outcomes(50, 50)]);
        let mut twice = test.clone();
        twice.merge(&test);
        assert_eq!(twice.past[1], outcomes(100, 100));
    }

    #[test]
    fn the_difference_of_two_shares_is_between_minus_one_and_one() {
        let (mut one, mut two) = (ShareSequence::new(), ShareSequence::default());
        assert_eq!(
            share_difference(&one, &two, Alpha::FIVE_PERCENT),
            Interval::new(-1.0, 1.0)
        );
        one.observe(outcomes(9_000, 1_000));
        two.observe(outcomes(8_000, 2_000));
        let difference = share_difference(&one, &two, Alpha::FIVE_PERCENT);
        assert!(
            difference.contains(-0.1) && difference.high() < -0.05,
            "{difference:?}"
        );
    }

    proptest! {
        #[test]
        fn nothing_overflows_and_nothing_is_nan(
            blocks in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()), 0..20),
            share in 1e-12_f64..0.999_999, tightest in prop::num::f64::ANY,
        ) {
            let mut test = TwoShares::new();
            let mut sequence = ShareSequence::tightest_at(tightest, Alpha::FIVE_PERCENT);
            for (a, b, c, d) in blocks {
                test.observe(outcomes(a, b), outcomes(c, d));
                sequence.observe(outcomes(a, b));
                prop_assert!(!test.evidence().ln().is_nan());
                let interval = sequence.interval(Alpha::FIVE_PERCENT);
                prop_assert!(0.0 <= interval.low() && interval.high() <= 1.0, "{interval:?}");
                prop_assert!(!sequence.evidence(Probability::new(share).unwrap()).ln().is_nan());
            }
        }

        #[test]
        fn an_interval_holds_what_was_observed(good in 0_u64..100_000, bad in 0_u64..100_000) {
            let mut sequence = ShareSequence::new();
            sequence.observe(outcomes(good, bad));
            if good + bad > 0 {
                let observed = good as f64 / (good + bad) as f64;
                prop_assert!(sequence.interval(Alpha::FIVE_PERCENT).contains(observed));
            }
        }
    }
}
