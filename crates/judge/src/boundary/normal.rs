//! The normal mixture, for sub-Gaussian sums: `E exp(λS - λ²V/2) <= 1` for every `λ`.
//!
//! Mixed over `λ ~ N(0, 1/ρ)`, or its positive half (Howard et al. 2021, section 3.2; Robbins
//! 1970).

use statrs::function::erf::erfc;

/// `ρ` decides at which variance the boundary is tightest; any is valid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Normal {
    rho: f64,
}

impl Normal {
    /// Tightest where the variance process is `v > 0`: `v / (2 ln 1/α + ln(1 + 2 ln 1/α))`.
    pub(crate) fn tightest_at(v: f64, alpha: f64) -> Self {
        let twice = (-2.0 * alpha.ln()).max(0.0);
        Self {
            rho: v / (twice + twice.ln_1p()).max(1e-3),
        }
    }

    /// `½ ln(ρ/(V+ρ)) + S²/(2(V+ρ))`.
    pub(crate) fn ln_both(&self, s: f64, v: f64) -> f64 {
        let sum = v + self.rho;
        0.5 * (self.rho / sum).ln() + (s / sum) * (s / 2.0)
    }

    /// `½ ln(4ρ/(V+ρ)) + S²/(2(V+ρ)) + ln Φ(S/√(V+ρ))`: evidence for a positive sum.
    pub(crate) fn ln_above(&self, s: f64, v: f64) -> f64 {
        let below = erfc(-s / (v + self.rho).sqrt() / std::f64::consts::SQRT_2) / 2.0;
        self.ln_both(s, v) + std::f64::consts::LN_2 + below.ln()
    }

    /// The `|S|` that reaches this evidence: `√((V+ρ)(ln(1 + V/ρ) + 2 bar))`.
    pub(crate) fn both(&self, v: f64, bar: f64) -> f64 {
        ((v + self.rho) * ((v / self.rho).ln_1p() + 2.0 * bar)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::crossing;

    /// confseq 0.0.10, `v_opt` = 100, alpha = 0.05.
    #[test]
    fn it_agrees_with_confseq() {
        let bar = 20_f64.ln();
        let both = Normal::tightest_at(100.0, 0.05);
        assert!((both.rho - 12.60056).abs() < 1e-5, "{both:?}");
        assert!((both.both(100.0, bar) - 30.35209).abs() < 1e-5);
        assert!((both.ln_both(30.352_09, 100.0) - bar).abs() < 1e-5);
        let above = Normal::tightest_at(100.0, 0.1);
        let reached = crossing(0.0, 100.0, |s| above.ln_above(s, 100.0) > bar);
        assert!((reached - 27.66071).abs() < 1e-5, "{reached}");
    }
}
