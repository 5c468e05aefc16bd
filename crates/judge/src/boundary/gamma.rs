//! Gamma mixtures, for sums with a heavier tail than the normal.
//!
//! [`Gamma::ln_exponential`] for sub-exponential sums of scale `c`
//! (`E exp(λS - ψ(λ)V) <= 1`, `ψ(λ) = (-ln(1-cλ) - cλ)/c²`), such as sums of bounded
//! observations with their empirical variance; [`Gamma::ln_poisson`] for sums of
//! compensated Poisson counts (`ψ(λ) = (e^cλ - cλ - 1)/c²`). Howard et al. 2021, propositions
//! 9 and 10. In units of `c`, with `κ = ρ/c²`, both come to
//! `D(a, x) + ½ ln(κ/a) + δ(a) - δ(κ)` plus the logarithm of a ratio of incomplete gamma
//! functions, with the deviance `D` and Stirling's error `δ`, which do not cancel.

use statrs::function::gamma::{checked_gamma_lr, checked_gamma_ur};

use crate::binomial::{deviance, stirling_error};
use crate::interval::crossing;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gamma {
    rho: f64,
    scale: f64,
}

/// Above this the incomplete gamma function is replaced by a bound that is never too large.
const EXACT_MAX: f64 = 1e8;

impl Gamma {
    /// `rho` as in [`super::normal::Normal`], at twice the error rate: these are one-sided.
    pub(crate) fn tightest_at(v: f64, alpha: f64, scale: f64) -> Self {
        let twice = (-2.0 * (2.0 * alpha).min(0.999).ln()).max(0.0);
        Self {
            rho: v / (twice + twice.ln_1p()).max(1e-3),
            scale,
        }
    }

    /// Evidence for a positive sub-exponential sum.
    pub(crate) fn ln_exponential(&self, s: f64, v: f64) -> f64 {
        let square = self.scale * self.scale;
        let kappa = self.rho / square;
        let (a, x) = (
            (v + self.rho) / square,
            s / self.scale + (v + self.rho) / square,
        );
        if x.is_nan() || x <= 0.0 {
            return f64::NEG_INFINITY;
        }
        self.core(a, x, kappa) + lower(a, x).ln() - lower(kappa, kappa).ln()
    }

    /// Evidence for a positive sum of counts less their mean.
    pub(crate) fn ln_poisson(&self, s: f64, v: f64) -> f64 {
        let square = self.scale * self.scale;
        let kappa = self.rho / square;
        let (a, x) = (
            s / self.scale + (v + self.rho) / square,
            (v + self.rho) / square,
        );
        if a.is_nan() || a <= 0.0 {
            return f64::NEG_INFINITY;
        }
        self.core(a, x, kappa) + upper(a, x).ln() - upper(kappa, kappa).ln()
    }

    /// The `S` at which a sub-exponential sum reaches this evidence.
    pub(crate) fn exponential(&self, v: f64, bar: f64) -> f64 {
        reach(v, |s| self.ln_exponential(s, v) > bar)
    }

    /// The `S` at which a sum of counts reaches this evidence.
    #[cfg(test)]
    fn poisson(&self, v: f64, bar: f64) -> f64 {
        reach(v, |s| self.ln_poisson(s, v) > bar)
    }

    #[expect(clippy::unused_self, reason = "the part that both mixtures share")]
    fn core(&self, a: f64, x: f64, kappa: f64) -> f64 {
        deviance(a, x) + 0.5 * (kappa / a).ln() + stirling_error(a) - stirling_error(kappa)
    }
}

/// Doubles until it is beyond, then narrows.
fn reach(v: f64, is_beyond: impl Fn(f64) -> bool) -> f64 {
    let mut outside = v.max(1.0);
    for _ in 0..200 {
        if is_beyond(outside) {
            return crossing(0.0, outside, is_beyond);
        }
        outside *= 2.0;
    }
    f64::INFINITY
}

/// `P(a, x)`, or less.
fn lower(a: f64, x: f64) -> f64 {
    if a > EXACT_MAX {
        // The median of the gamma distribution lies below its mean.
        return if x >= a { 0.5 } else { 0.0 };
    }
    checked_gamma_lr(a, x).unwrap_or(0.0)
}

/// `Q(a, x)`, or less.
fn upper(a: f64, x: f64) -> f64 {
    if a > EXACT_MAX {
        // The median lies less than 1 below the mean.
        return if x <= a - 1.0 { 0.5 } else { 0.0 };
    }
    checked_gamma_ur(a, x).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// confseq 0.0.10, `v_opt` = 100, c = 2, alpha = 0.05.
    #[test]
    fn both_agree_with_confseq() {
        let gamma = Gamma::tightest_at(100.0, 0.05, 2.0);
        let bar = 20_f64.ln();
        let (exponential, poisson) = (gamma.exponential(100.0, bar), gamma.poisson(100.0, bar));
        assert!((exponential - 33.02017).abs() < 1e-5, "{exponential}");
        assert!((poisson - 30.1949).abs() < 1e-4, "{poisson}");
        assert!((gamma.ln_poisson(10.0, 100.0) + 0.069_912_19).abs() < 1e-6);
    }

    #[test]
    fn beyond_the_exact_range_evidence_is_only_understated() {
        let gamma = Gamma::tightest_at(10.0, 0.05, 1.0);
        for v in [0.9e8, 1.1e8] {
            let s = 5.0 * f64::sqrt(v);
            assert!(gamma.ln_exponential(s, v) > 3.0 && gamma.ln_poisson(s, v) > 3.0);
        }
        for (s, v) in [
            (0.0, 0.0),
            (-1e300, 1e300),
            (1e300, 1e300),
            (f64::NAN, 1.0),
            (-5.0, 1.0),
        ] {
            assert!(!gamma.ln_exponential(s, v).is_nan(), "{s} {v}");
            assert!(!gamma.ln_poisson(s, v).is_nan(), "{s} {v}");
        }
    }
}
