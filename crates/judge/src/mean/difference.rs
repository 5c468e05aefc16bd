//! How far the means of two arms lie apart, for sums per user or anything else without a range.
//!
//! `Δ̄ = X̄₂ - X̄₁` has the squared standard error `e² = s₁²/n₁ + s₂²/n₂`. In units of the pooled
//! standard deviation `s`, with `v = s²/e²` for time, the normal mixture boundary gives
//! `Δ̄ ± s u(v)/v`: an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy &
//! Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Ann.
//! Statist. 2024). The evidence is that of the mixture sequential probability ratio test.
//!
//! It is asymptotic: for few observations it is not valid, so nothing is claimed before each
//! arm has [`OBSERVATIONS_MIN`]; and not for means that do not exist. Assumption: observations
//! are independent, one for each user, entered when the user's sum is complete, and the
//! traffic's split between the arms is kept. Users that differ a lot are what this is for.
//! Unit: that of the observations.

use crate::boundary::normal::Normal;
use crate::evidence::Evidence;
use crate::interval::Interval;
use crate::level::Alpha;
use crate::unusable::Unusable;

/// 80 bytes, whatever is observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanDifference {
    arms: [Moments; 2],
    strongest: Evidence,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Control,
    Experiment,
}

/// Mean and sum of squared deviations (Welford 1962), mergeable (Chan, Golub & LeVeque 1979).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Moments {
    n: u64,
    mean: f64,
    squares: f64,
}

/// Of each arm, before anything is claimed.
pub const OBSERVATIONS_MIN: u64 = 200;
/// Tightest here, in observations of both arms.
const TIGHTEST_AT: f64 = 1000.0;
/// Larger observations are refused, so that their squares stay finite.
const VALUE_MAX: f64 = 1e140;

impl MeanDifference {
    #[must_use]
    pub fn new() -> Self {
        Self {
            arms: [Moments::default(); 2],
            strongest: Evidence::NONE,
        }
    }

    /// The sum of one user, or any observation. A look follows each.
    ///
    /// # Errors
    /// What is not finite, or beyond 10¹⁴⁰; it is not counted.
    pub fn observe(&mut self, side: Side, value: f64) -> Result<(), Unusable> {
        if value.is_nan() || value.abs() > VALUE_MAX {
            return Err(Unusable::Outside {
                value,
                low: -VALUE_MAX,
                high: VALUE_MAX,
            });
        }
        let [control, experiment] = &mut self.arms;
        match side {
            Side::Control => control.observe(value),
            Side::Experiment => experiment.observe(value),
        }
        self.strongest = self.strongest.stronger(self.evidence());
        Ok(())
    }

    /// Adds what the other one has observed; a look follows.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.arms.iter_mut().zip(&other.arms) {
            ours.merge(theirs);
        }
        self.strongest = self.strongest.stronger(self.evidence());
    }

    /// Against equal means, as of now. None at all before there are enough observations, or
    /// while no observation differs from another.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let Some((difference, s, v)) = self.standing() else {
            return Evidence::NONE;
        };
        Evidence::from_ln(mixture().ln_both(difference / s * v, v))
    }

    /// That the experiment's mean is the larger one, as of now.
    #[must_use]
    pub fn evidence_above(&self) -> Evidence {
        let Some((difference, s, v)) = self.standing() else {
            return Evidence::NONE;
        };
        Evidence::from_ln(mixture().ln_above(difference / s * v, v))
    }

    /// Valid at every look, once there are enough observations.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        self.strongest.p_value()
    }

    #[must_use]
    pub fn is_proven(&self, alpha: Alpha) -> bool {
        self.strongest.is_proof(alpha)
    }

    /// Of the experiment's mean less the control's. Everything before there are enough.
    #[must_use]
    pub fn interval(&self, alpha: Alpha) -> Interval {
        let Some((difference, s, v)) = self.standing() else {
            return Interval::EVERYTHING;
        };
        let reach = s * mixture().both(v, alpha.bar()) / v;
        Interval::new(difference - reach, difference + reach)
    }

    /// The difference, the pooled standard deviation and the time in its units.
    fn standing(&self) -> Option<(f64, f64, f64)> {
        let [control, experiment] = self.arms;
        if control.n.min(experiment.n) < OBSERVATIONS_MIN {
            return None;
        }
        let freedom = control.n as f64 + experiment.n as f64 - 2.0;
        let pooled = (control.squares + experiment.squares) / freedom;
        let error = control.error() + experiment.error();
        let (s, v) = (pooled.sqrt(), pooled / error);
        let usable = s > 0.0 && v > 0.0 && s.is_finite() && v.is_finite();
        usable.then_some((experiment.mean - control.mean, s, v))
    }
}

impl Default for MeanDifference {
    fn default() -> Self {
        Self::new()
    }
}

impl Moments {
    fn observe(&mut self, value: f64) {
        self.n = self.n.saturating_add(1);
        let before = value - self.mean;
        self.mean += before / self.n as f64;
        self.squares += before * (value - self.mean);
    }

    fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        let (ours, theirs) = (self.n as f64, other.n as f64);
        let apart = other.mean - self.mean;
        let weight = theirs / (ours + theirs);
        self.mean += apart * weight;
        self.squares += other.squares + apart * apart * ours * weight;
        self.n = self.n.saturating_add(other.n);
    }

    /// The squared standard error of the mean.
    fn error(&self) -> f64 {
        let n = self.n as f64;
        self.squares / (n - 1.0) / n
    }
}

fn mixture() -> Normal {
    Normal::tightest_at(TIGHTEST_AT, Alpha::FIVE_PERCENT.get())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn two(
        control: impl Fn(u32) -> f64,
        experiment: impl Fn(u32) -> f64,
        users: u32,
    ) -> MeanDifference {
        let mut test = MeanDifference::new();
        for i in 0..users {
            test.observe(Side::Control, control(i)).unwrap();
            test.observe(Side::Experiment, experiment(i)).unwrap();
        }
        test
    }

    #[test]
    fn a_difference_is_found_with_its_size_and_equal_arms_pass() {
        let apart = two(|i| f64::from(i % 7), |i| f64::from(i % 7) + 1.0, 1_000);
        assert!(apart.is_proven(Alpha::FIVE_PERCENT));
        let interval = apart.interval(Alpha::FIVE_PERCENT);
        assert!(
            interval.contains(1.0) && interval.low() > 0.5,
            "{interval:?}"
        );
        assert!(apart.evidence_above() > apart.evidence());
        let same = two(|i| f64::from(i % 7), |i| f64::from((i + 3) % 7), 1_000);
        assert!(!same.is_proven(Alpha::FIVE_PERCENT));
        assert!(same.interval(Alpha::FIVE_PERCENT).contains(0.0));
    }

    #[test]
    fn few_or_constant_observations_claim_nothing() {
        let few = two(|_| 0.0, |i| 1e6 + f64::from(i), 199);
        let constant = two(|_| 1.0, |_| 2.0, 1_000);
        for test in [few, constant] {
            assert_eq!(test.evidence_above(), Evidence::NONE);
            assert_eq!(test.evidence(), Evidence::NONE);
            assert_eq!(test.interval(Alpha::FIVE_PERCENT), Interval::EVERYTHING);
        }
    }

    #[test]
    fn merged_parts_are_the_whole() {
        let (one, other) = (|i: u32| f64::from(i % 7), |i: u32| f64::from(i * i % 311));
        let whole = two(one, other, 900);
        let mut parts = two(one, other, 250);
        parts.merge(&two(|i| one(i + 250), |i| other(i + 250), 650));
        let (a, b) = (
            whole.interval(Alpha::FIVE_PERCENT),
            parts.interval(Alpha::FIVE_PERCENT),
        );
        assert!((a.low() - b.low()).abs() < 1e-9 && (a.high() - b.high()).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn nothing_is_nan(values in prop::collection::vec(prop::num::f64::ANY, 1..20)) {
            let mut test = MeanDifference::new();
            for value in values.iter().cycle().take(1_000) {
                let _ = test.observe(Side::Control, *value);
                let _ = test.observe(Side::Experiment, -*value);
            }
            let mut twice = test;
            twice.merge(&test);
            for test in [test, twice] {
                prop_assert!(!test.evidence().ln().is_nan());
                let interval = test.interval(Alpha::FIVE_PERCENT);
                prop_assert!(interval.low() <= interval.high());
            }
        }
    }
}
