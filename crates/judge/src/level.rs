//! Error rates and probabilities that are known to be usable.

use std::num::NonZeroU32;

use crate::unusable::Unusable;

/// The chance of a false claim that is accepted, strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Alpha(f64);

/// Strictly between 0 and 1: a share that is tested against, or which quantile is meant.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Probability(f64);

const ALPHA_MIN: f64 = 1e-300;

impl Alpha {
    pub const FIVE_PERCENT: Self = Self(0.05);

    /// # Errors
    /// What does not lie between 1e-300 and 1.
    pub fn new(alpha: f64) -> Result<Self, Unusable> {
        if (ALPHA_MIN..1.0).contains(&alpha) {
            Ok(Self(alpha))
        } else {
            Err(Unusable::Alpha(alpha))
        }
    }

    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// An equal part for each of several claims: together they keep this rate (Bonferroni).
    #[must_use]
    pub fn split(self, claims: NonZeroU32) -> Self {
        Self((self.0 / f64::from(claims.get())).max(ALPHA_MIN))
    }

    pub(crate) fn half(self) -> Self {
        Self((self.0 / 2.0).max(ALPHA_MIN))
    }

    /// `ln(1/alpha)`: the evidence at which a claim is made.
    pub(crate) fn bar(self) -> f64 {
        -self.0.ln()
    }
}

impl Probability {
    pub const HALF: Self = Self(0.5);

    /// # Errors
    /// What does not lie strictly between 0 and 1.
    pub fn new(probability: f64) -> Result<Self, Unusable> {
        if probability > 0.0 && probability < 1.0 {
            Ok(Self(probability))
        } else {
            Err(Unusable::Probability(probability))
        }
    }

    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_error_rate_is_refused() {
        for bad in [f64::NAN, -0.1, 0.0, 1.0, f64::INFINITY, 1e-301] {
            assert!(Alpha::new(bad).is_err(), "{bad}");
        }
        for bad in [f64::NAN, -0.1, 0.0, 1.0, f64::NEG_INFINITY] {
            assert!(Probability::new(bad).is_err(), "{bad}");
        }
        let five = Alpha::FIVE_PERCENT;
        assert!((five.split(NonZeroU32::new(5).unwrap()).get() - 0.01).abs() < 1e-15);
        assert!(
            Alpha::new(1e-300)
                .unwrap()
                .split(NonZeroU32::MAX)
                .bar()
                .is_finite()
        );
    }
}
