//! The mean of observations that lie in a known range, with their own variance.
//!
//! `Sₜ = Σ (Xᵢ - μ)` is sub-exponential with the range as its scale and the variance process
//! `Vₜ = Σ (Xᵢ - X̂ᵢ)²`, where `X̂ᵢ` is the mean before the i-th (Howard et al. 2021, theorem 4,
//! "empirical Bernstein"). With the gamma-exponential boundary `u` at half the error rate on
//! each side, `X̄ₜ ± u(Vₜ)/t` holds the mean at all times together with probability `1 - α`:
//! no variance has to be known, and where it is small the interval is narrow.
//!
//! Assumption: the range, and given the past the same mean for each observation. If the mean
//! moves, the interval is for the mean of the means so far. Unit: that of the observations.

use crate::boundary::gamma::Gamma;
use crate::interval::Interval;
use crate::level::Alpha;
use crate::unusable::Unusable;

/// 56 bytes, whatever is observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundedMean {
    low: f64,
    high: f64,
    tightest_at: f64,
    n: u64,
    /// Both in units of the range.
    sum: f64,
    variance: f64,
}

/// In units of the squared range: 1,000 observations that spread over a tenth of it.
const TIGHTEST_AT: f64 = 10.0;

impl BoundedMean {
    /// # Errors
    /// A range that is not finite or is empty.
    pub fn new(low: f64, high: f64) -> Result<Self, Unusable> {
        let width = high - low;
        if !width.is_finite() || width <= 0.0 {
            return Err(Unusable::Range { low, high });
        }
        Ok(Self {
            low,
            high,
            tightest_at: TIGHTEST_AT,
            n: 0,
            sum: 0.0,
            variance: 0.0,
        })
    }

    /// # Errors
    /// What lies outside of the range, which is not counted.
    pub fn observe(&mut self, value: f64) -> Result<(), Unusable> {
        if !(self.low..=self.high).contains(&value) {
            let (low, high) = (self.low, self.high);
            return Err(Unusable::Outside { value, low, high });
        }
        let unit = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let before = if self.n == 0 {
            0.5
        } else {
            self.sum / self.n as f64
        };
        self.variance += (unit - before) * (unit - before);
        self.sum += unit;
        self.n = self.n.saturating_add(1);
        Ok(())
    }

    /// Adds what the other one has observed.
    ///
    /// # Errors
    /// Another range.
    pub fn merge(&mut self, other: &Self) -> Result<(), Unusable> {
        if (self.low, self.high) != (other.low, other.high) {
            return Err(Unusable::Different);
        }
        self.n = self.n.saturating_add(other.n);
        self.sum += other.sum;
        self.variance += other.variance;
        Ok(())
    }

    #[must_use]
    pub fn observations(&self) -> u64 {
        self.n
    }

    /// `None` without observations.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.value(self.sum / self.n as f64))
    }

    /// The whole range without observations.
    #[must_use]
    pub fn interval(&self, alpha: Alpha) -> Interval {
        if self.n == 0 {
            return Interval::new(self.low, self.high);
        }
        let each = alpha.half();
        let gamma = Gamma::tightest_at(self.tightest_at, each.get(), 1.0);
        let reach = gamma.exponential(self.variance, each.bar()) / self.n as f64;
        let mean = self.sum / self.n as f64;
        Interval::new(self.value(mean - reach), self.value(mean + reach))
    }

    /// Whether the interval leaves this mean out: quicker than the interval itself.
    #[must_use]
    pub fn excludes(&self, mean: f64, alpha: Alpha) -> bool {
        let each = alpha.half();
        let gamma = Gamma::tightest_at(self.tightest_at, each.get(), 1.0);
        let unit = (mean - self.low) / (self.high - self.low);
        let above = self.sum - self.n as f64 * unit;
        // The evidence rises with the deviation, so only its own side can be reached.
        self.n > 0 && gamma.ln_exponential(above.abs(), self.variance) > each.bar()
    }

    fn value(&self, unit: f64) -> f64 {
        (self.low + unit.clamp(0.0, 1.0) * (self.high - self.low)).clamp(self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_steady_stream_gets_a_narrow_interval_in_its_own_unit() {
        let mut mean = BoundedMean::new(0.0, 2_000.0).unwrap();
        for i in 0..1_000 {
            mean.observe(300.0 + f64::from(i % 5)).unwrap();
        }
        let interval = mean.interval(Alpha::FIVE_PERCENT);
        assert!(interval.contains(302.0), "{interval:?}");
        assert!(interval.high() - interval.low() < 40.0, "{interval:?}");
    }

    #[test]
    fn what_was_not_promised_is_refused() {
        for (low, high) in [
            (1.0, 1.0),
            (2.0, 1.0),
            (f64::NAN, 1.0),
            (f64::MIN, f64::MAX),
            (0.0, f64::INFINITY),
        ] {
            assert!(BoundedMean::new(low, high).is_err(), "{low} {high}");
        }
        let mut mean = BoundedMean::new(0.0, 1.0).unwrap();
        for value in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(mean.observe(value).is_err(), "{value}");
        }
        assert_eq!((mean.observations(), mean.mean()), (0, None));
        assert_eq!(
            mean.merge(&BoundedMean::new(0.0, 2.0).unwrap()),
            Err(Unusable::Different)
        );
    }

    proptest! {
        #[test]
        fn the_mean_lies_in_the_interval_and_the_interval_in_the_range(
            values in prop::collection::vec(-1e300_f64..1e300, 0..50), alpha in 1e-9_f64..0.99,
        ) {
            let mut all = BoundedMean::new(-8e307, 8e307).unwrap();
            let mut parts = [all, all];
            for (at, value) in values.iter().enumerate() {
                all.observe(*value).unwrap();
                parts[at % 2].observe(*value).unwrap();
            }
            let [mut sum, other] = parts;
            sum.merge(&other).unwrap();
            prop_assert_eq!(sum.observations(), all.observations());
            for mean in [all, sum] {
                let interval = mean.interval(Alpha::new(alpha).unwrap());
                prop_assert!(interval.low() >= -8e307 && interval.high() <= 8e307);
                let inside = f64::midpoint(interval.low(), interval.high());
                prop_assert!(!mean.excludes(inside, Alpha::new(alpha).unwrap()));
                if let Some(mean) = mean.mean() {
                    prop_assert!(interval.contains(mean));
                }
            }
        }
    }
}
