//! E-values: how strongly a stream speaks against a hypothesis.
//!
//! An e-value is what a bet of 1 against the hypothesis has become. While the hypothesis is
//! true its expectation is at most 1, whenever one stops, so it reaches `1/alpha` with
//! probability at most `alpha` at any number of looks (Ville 1939). E-values of the same
//! stream may be averaged, those of independent streams multiplied (Ramdas et al.,
//! "Game-theoretic statistics and safe anytime-valid inference", Statist. Sci. 38, 2023).

use crate::level::Alpha;

/// The natural logarithm of an e-value: 0 says nothing, plus infinity is a proof, minus
/// infinity the loss of the whole bet. Never NaN.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Evidence(f64);

impl Evidence {
    pub const NONE: Self = Self(0.0);

    /// NaN counts as no evidence at all: minus infinity.
    #[must_use]
    pub fn from_ln(ln: f64) -> Self {
        Self(if ln.is_nan() { f64::NEG_INFINITY } else { ln })
    }

    /// A p-value turned into a bet: `(1 - p + p ln p) / (p (ln p)²)`.
    ///
    /// The mixture over `k` of the calibrators `k p^(k-1)`: Vovk & Wang, "E-values:
    /// calibration, combination and applications", Ann. Statist. 49 (2021), equation 2. The
    /// p-value may be the smallest seen so far. NaN counts as 1.
    #[must_use]
    pub fn from_p_value(p: f64) -> Self {
        let p = if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) };
        let log = p.ln();
        // Near 1 the quotient cancels; its series there is 1/2 + (1-p)/6.
        if 1.0 - p < 1e-4 {
            return Self::from_ln((0.5 + (1.0 - p) / 6.0).ln());
        }
        if p == 0.0 {
            return Self(f64::INFINITY);
        }
        Self::from_ln((1.0 - p + p * log).ln() - log - 2.0 * (-log).ln())
    }

    #[must_use]
    pub fn ln(self) -> f64 {
        self.0
    }

    /// `min(1, 1/e)`. Of the strongest evidence so far, this is a p-value valid at every look.
    #[must_use]
    pub fn p_value(self) -> f64 {
        (-self.0).exp().min(1.0)
    }

    /// Whether it reaches `1/alpha`.
    #[must_use]
    pub fn is_proof(self, alpha: Alpha) -> bool {
        self.0 >= alpha.bar()
    }

    pub(crate) fn stronger(self, other: Self) -> Self {
        if other.0 > self.0 { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_p_value_is_one_over_the_bet_and_never_above_one() {
        assert!((Evidence::from_ln(20_f64.ln()).p_value() - 0.05).abs() < 1e-15);
        assert_eq!(Evidence::from_ln(-3.0).p_value(), 1.0);
        assert_eq!(Evidence::from_ln(f64::NAN).p_value(), 1.0);
        assert!(Evidence::from_ln(20_f64.ln() + 1e-12).is_proof(Alpha::FIVE_PERCENT));
        assert!(!Evidence::from_ln(f64::NAN).is_proof(Alpha::FIVE_PERCENT));
    }

    /// Its integral over p is 1: a bet that loses nothing and gains nothing.
    #[test]
    fn a_calibrated_p_value_is_a_fair_bet() {
        // In u = ln p, so that the peak at 0 is resolved.
        let steps = 2_000_000;
        let width = 2_000.0 / f64::from(steps);
        let area: f64 = (0..steps)
            .map(|i| -(f64::from(i) + 0.5) * width)
            .filter(|u| *u > -700.0)
            .map(|u| (Evidence::from_p_value(u.exp()).ln() + u).exp() * width)
            .sum();
        // The tail below e^-700 holds 1/700 of it.
        assert!((area + 1.0 / 700.0 - 1.0).abs() < 1e-4, "{area}");
    }

    proptest! {
        #[test]
        fn evidence_is_never_nan(p in prop::num::f64::ANY, ln in prop::num::f64::ANY) {
            for evidence in [Evidence::from_p_value(p), Evidence::from_ln(ln)] {
                prop_assert!(!evidence.ln().is_nan());
                prop_assert!((0.0..=1.0).contains(&evidence.p_value()));
            }
        }
    }
}
