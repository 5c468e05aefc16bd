//! The mean of observations whose spread is known.
//!
//! With `E exp(λ(X - μ)) <= exp(λ²σ²/2)`, the normal mixture boundary `u` gives
//! `X̄ₜ ± u(tσ²)/t` at all times together (Howard et al. 2021, section 3.2). Gaussian
//! observations have `σ` as their standard deviation; whatever lies in a range has at most half
//! its width. Assumption: `σ` is no less than that, and given the past each has the same mean.
//! Unit: that of the observations.

use crate::boundary::normal::Normal;
use crate::evidence::Evidence;
use crate::interval::Interval;
use crate::level::Alpha;
use crate::unusable::Unusable;

/// 32 bytes, whatever is observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubGaussianMean {
    sigma: f64,
    n: u64,
    /// In units of sigma.
    sum: f64,
}

const TIGHTEST_AT: f64 = 1000.0;

impl SubGaussianMean {
    /// # Errors
    /// A spread that is not positive and finite.
    pub fn new(sigma: f64) -> Result<Self, Unusable> {
        if !sigma.is_finite() || sigma <= 0.0 {
            return Err(Unusable::Scale(sigma));
        }
        Ok(Self {
            sigma,
            n: 0,
            sum: 0.0,
        })
    }

    /// # Errors
    /// What is not finite, or further from 0 than 10¹⁵⁰ times the spread.
    pub fn observe(&mut self, value: f64) -> Result<(), Unusable> {
        let unit = value / self.sigma;
        if unit.is_nan() || unit.abs() > 1e150 {
            let reach = 1e150 * self.sigma;
            return Err(Unusable::Outside {
                value,
                low: -reach,
                high: reach,
            });
        }
        self.sum += unit;
        self.n = self.n.saturating_add(1);
        Ok(())
    }

    /// Adds what the other one has observed.
    ///
    /// # Errors
    /// Another spread.
    pub fn merge(&mut self, other: &Self) -> Result<(), Unusable> {
        if self.sigma != other.sigma {
            return Err(Unusable::Different);
        }
        self.n = self.n.saturating_add(other.n);
        self.sum += other.sum;
        Ok(())
    }

    /// Against this mean.
    #[must_use]
    pub fn evidence(&self, mean: f64) -> Evidence {
        let n = self.n as f64;
        let deviation = self.sum - n * (mean / self.sigma);
        Evidence::from_ln(mixture().ln_both(deviation, n))
    }

    /// That the mean is above this one.
    #[must_use]
    pub fn evidence_above(&self, mean: f64) -> Evidence {
        let n = self.n as f64;
        let deviation = self.sum - n * (mean / self.sigma);
        Evidence::from_ln(mixture().ln_above(deviation, n))
    }

    /// Everything without observations.
    #[must_use]
    pub fn interval(&self, alpha: Alpha) -> Interval {
        if self.n == 0 {
            return Interval::EVERYTHING;
        }
        let n = self.n as f64;
        let reach = mixture().both(n, alpha.bar()) / n;
        let mean = self.sum / n;
        Interval::new((mean - reach) * self.sigma, (mean + reach) * self.sigma)
    }
}

fn mixture() -> Normal {
    Normal::tightest_at(TIGHTEST_AT, Alpha::FIVE_PERCENT.get())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Half-width 0.095982 at 1,000 observations, sigma 1, alpha 0.05 (Waudby-Smith et al.,
    /// "Time-uniform central limit theory and asymptotic confidence sequences", 2021).
    #[test]
    fn the_published_half_width_comes_out() {
        let mut mean = SubGaussianMean::new(1.0).unwrap();
        for _ in 0..1000 {
            mean.observe(5.0).unwrap();
        }
        let interval = mean.interval(Alpha::FIVE_PERCENT);
        assert!((interval.high() - 5.095_982).abs() < 1e-6, "{interval:?}");
        assert!((mean.evidence(interval.high()).ln() - 20_f64.ln()).abs() < 1e-9);
        assert!(mean.evidence_above(6.0) < Evidence::NONE);
        assert!(mean.evidence_above(4.0).is_proof(Alpha::FIVE_PERCENT));
    }

    proptest! {
        #[test]
        fn nothing_is_nan(
            sigma in 1e-300_f64..1e300, values in prop::collection::vec(prop::num::f64::ANY, 0..40),
            null in prop::num::f64::ANY,
        ) {
            let mut mean = SubGaussianMean::new(sigma).unwrap();
            for value in values {
                let _ = mean.observe(value);
            }
            let interval = mean.interval(Alpha::FIVE_PERCENT);
            prop_assert!(interval.low() <= interval.high());
            prop_assert!(!mean.evidence(null).ln().is_nan());
            prop_assert!(!mean.evidence_above(null).ln().is_nan());
        }
    }
}
