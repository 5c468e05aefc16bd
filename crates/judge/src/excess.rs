//! Whether one arm has more events than another, beyond what is allowed.
//!
//! While the experiment's rate is at most `r` times the control's, the next event is the
//! experiment's with probability at most `q = ρₑr / (ρ꜀ + ρₑr)`. The Bayes factor of
//! [`crate::counts`] with its prior cut to the shares above `q` is an e-value against that, by
//! the argument of [`crate::sequential`]: `BF · P(θ > q | counts) / P(θ > q)`, with `θ` from
//! the Beta(kq, k(1-q)) prior. One-sided, it needs fewer events than the two-sided test for
//! what a canary asks, "is it worse", and with `r` above 1, "is it worse by more than 10 %".
//!
//! Assumptions and clusters: as in [`crate::counts`].

use crate::binomial::incomplete_beta;
use crate::counts::Shares;
use crate::dirichlet::ln_bayes_factor_of_two;
use crate::evidence::Evidence;
use crate::level::Alpha;
use crate::unusable::Unusable;

/// 64 bytes, whatever is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExcessTest {
    share: f64,
    concentration: f64,
    /// `ln P(θ > q)` of the prior.
    prior: f64,
    control: u64,
    experiment: u64,
    strongest: Evidence,
}

/// Beyond this many events nothing is claimed: the series is exact up to here.
const EVENTS_MAX: u64 = 1_000_000_000;
const CONCENTRATION: f64 = 100.0;

impl ExcessTest {
    /// `shares` of control and experiment, in this order; `ratio_max` is the largest rate
    /// ratio that is allowed. With `k = 100`.
    ///
    /// # Errors
    /// More than two arms, or a ratio that is not between 10⁻⁶ and 10⁶.
    pub fn new(shares: &Shares, ratio_max: f64) -> Result<Self, Unusable> {
        Self::with_concentration(shares, ratio_max, CONCENTRATION)
    }

    /// # Errors
    /// As [`Self::new`], or a concentration that is not between 0.001 and 10⁹.
    pub fn with_concentration(shares: &Shares, ratio_max: f64, k: f64) -> Result<Self, Unusable> {
        let (Some(control), Some(experiment), 2) = (shares.get(0), shares.get(1), shares.arms())
        else {
            return Err(Unusable::Arms(shares.arms()));
        };
        for (value, range) in [(ratio_max, 1e-6..=1e6), (k, 1e-3..=1e9)] {
            if !range.contains(&value) {
                return Err(Unusable::Scale(value));
            }
        }
        let share = experiment * ratio_max / (control + experiment * ratio_max);
        Ok(Self {
            share,
            concentration: k,
            prior: mass_above(share, k, 0.0, 0.0).ln(),
            control: 0,
            experiment: 0,
            strongest: Evidence::NONE,
        })
    }

    /// Everything that happened since the last call. A look follows.
    pub fn observe(&mut self, control: u64, experiment: u64) -> Evidence {
        self.control = self.control.saturating_add(control);
        self.experiment = self.experiment.saturating_add(experiment);
        let now = self.evidence();
        self.strongest = self.strongest.stronger(now);
        now
    }

    /// Takes what another one has counted, as one batch.
    ///
    /// # Errors
    /// Another question.
    pub fn merge(&mut self, other: &Self) -> Result<Evidence, Unusable> {
        if (self.share, self.concentration) != (other.share, other.concentration) {
            return Err(Unusable::Different);
        }
        Ok(self.observe(other.control, other.experiment))
    }

    /// That the rate ratio is above what is allowed, as of now.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        if self.control.saturating_add(self.experiment) > EVENTS_MAX {
            return Evidence::from_ln(f64::NEG_INFINITY);
        }
        let (control, experiment, k) = (
            self.control as f64,
            self.experiment as f64,
            self.concentration,
        );
        let both = ln_bayes_factor_of_two(self.share, experiment, control, k);
        let above = mass_above(self.share, k, experiment, control).ln();
        Evidence::from_ln(both + above - self.prior)
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

fn mass_above(share: f64, k: f64, experiment: f64, control: f64) -> f64 {
    incomplete_beta(
        k * (1.0 - share) + control,
        k * share + experiment,
        1.0 - share,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn test(ratio_max: f64, k: f64) -> ExcessTest {
        ExcessTest::with_concentration(&Shares::two_equal(), ratio_max, k).unwrap()
    }

    #[test]
    fn more_is_proven_sooner_than_by_two_sides_and_less_never() {
        let (mut more, mut less) = (test(1.0, 1.0), test(1.0, 1.0));
        // scipy 1.17.1: binom(12, 6)/4^6 * 2^6 * 2 * betainc(.5, 6.5, .5).
        let evidence = more.observe(0, 6).ln().exp();
        assert!((evidence - 28.782_665_5).abs() < 1e-6, "{evidence}");
        assert!(more.is_proven(Alpha::FIVE_PERCENT));
        less.observe(1_000, 600);
        assert!(less.evidence().ln() < -3.0 && less.p_value() == 1.0);
    }

    #[test]
    fn what_is_allowed_is_not_harm() {
        let (mut strict, mut lenient) = (test(1.0, 100.0), test(1.5, 100.0));
        strict.observe(10_000, 12_000);
        lenient.observe(10_000, 12_000);
        assert!(strict.is_proven(Alpha::FIVE_PERCENT) && !lenient.is_proven(Alpha::FIVE_PERCENT));
        lenient.observe(0, 10_000);
        assert!(lenient.is_proven(Alpha::FIVE_PERCENT));
        assert_eq!(strict.merge(&lenient), Err(Unusable::Different));
        let three = Shares::new(&[1.0, 1.0, 1.0]).unwrap();
        assert_eq!(ExcessTest::new(&three, 1.0), Err(Unusable::Arms(3)));
    }

    proptest! {
        #[test]
        fn nothing_is_nan(
            ratio in 1e-6_f64..1e6, k in 1e-3_f64..1e9,
            counts in prop::collection::vec((any::<u64>(), 0_u64..10_000), 0..4),
        ) {
            let mut test = test(ratio, k);
            for (control, experiment) in counts {
                test.observe(control % 10_000, experiment);
                prop_assert!(!test.evidence().ln().is_nan());
                test.observe(control, experiment);
                prop_assert!(!test.evidence().ln().is_nan());
            }
        }
    }
}
