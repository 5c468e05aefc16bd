//! The Bayes factor of counts: a Dirichlet mixture of multinomials against fixed shares.

use crate::binomial::{deviance, stirling_error};

/// `ln B(kρ + c) - ln B(kρ) - Σ cᵢ ln ρᵢ` for counts `c`, shares `ρ` that sum to 1, and `k > 0`.
///
/// Written with Stirling's errors `δ` and deviances `D`, which do not cancel where the counts
/// are large: with `aᵢ = kρᵢ + cᵢ` and `A = Σ aᵢ` it is
/// `Σ D(aᵢ, Aρᵢ) + ½ (ln A/k - Σ ln aᵢ/kρᵢ) + Σ (δ(aᵢ) - δ(kρᵢ)) - δ(A) + δ(k)`.
pub(crate) fn ln_bayes_factor(arms: impl Iterator<Item = (f64, f64)> + Clone, k: f64) -> f64 {
    let total: f64 = k + arms.clone().map(|(_, count)| count).sum::<f64>();
    let arms: f64 = arms
        .map(|(share, count)| {
            let prior = k * share;
            let posterior = prior + count;
            deviance(posterior, total * share) - 0.5 * (posterior / prior).ln()
                + stirling_error(posterior)
                - stirling_error(prior)
        })
        .sum();
    arms + 0.5 * (total / k).ln() - stirling_error(total) + stirling_error(k)
}

/// Two counts, the first with this share.
pub(crate) fn ln_bayes_factor_of_two(share: f64, first: f64, second: f64, k: f64) -> f64 {
    ln_bayes_factor([(share, first), (1.0 - share, second)].into_iter(), k)
}

/// The concentration with which a mixture excludes most at this many events, `k >= 0.001`.
///
/// Howard et al., "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann.
/// Statist. 49 (2021), section 3.5: `events / (2 ln(1/α) + ln(1 + 2 ln(1/α)))`, less the one
/// that the beta-binomial adds by itself.
pub(crate) fn concentration_for(events: f64, alpha: f64) -> f64 {
    let twice = -2.0 * alpha.ln();
    (events / (twice + twice.ln_1p()) - 1.0).clamp(1e-3, 1e9)
}

/// `n KL(observed || share)`: how far a share lies from the observed one, in nats.
pub(crate) fn distance(share: f64, first: f64, second: f64) -> f64 {
    let total = first + second;
    divergence(first, total * share) + divergence(second, total * (1.0 - share))
}

/// `x ln(x/mean) + mean - x`, also at `x = 0`.
pub(crate) fn divergence(x: f64, mean: f64) -> f64 {
    if x <= 0.0 {
        mean
    } else if mean <= 0.0 {
        f64::INFINITY
    } else {
        deviance(x, mean).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use statrs::function::gamma::ln_gamma;

    use super::*;

    #[test]
    fn it_is_what_the_gamma_functions_say_and_does_not_cancel() {
        let direct = |share: f64, a: f64, b: f64, k: f64| {
            let beta = |x: f64, y: f64| ln_gamma(x) + ln_gamma(y) - ln_gamma(x + y);
            beta(k * share + a, k * (1.0 - share) + b)
                - beta(k * share, k * (1.0 - share))
                - a * share.ln()
                - b * (1.0 - share).ln()
        };
        for (share, a, b, k) in [
            (0.8, 148.0, 62.0, 100.0),
            (0.5, 0.0, 3.0, 0.01),
            (0.01, 7.0, 90.0, 1e4),
        ] {
            let (ours, plain) = (
                ln_bayes_factor_of_two(share, a, b, k),
                direct(share, a, b, k),
            );
            assert!(
                (ours - plain).abs() < 1e-9,
                "{share} {a} {b}: {ours} {plain}"
            );
        }
        // At 10^18 events of equal shares it is -½ ln(n/k) + ½ ln(π/2) or so: mpmath says -18.1955.
        let huge = ln_bayes_factor_of_two(0.5, 5e17, 5e17, 100.0);
        assert!((huge + 0.5 * (1e16_f64).ln()).abs() < 0.01, "{huge}");
    }
}
