//! Tail probabilities of the binomial distribution, right also for very many trials.
//!
//! `P(B >= k) = I_p(k, n-k+1)`, the regularised incomplete beta function, as a continued
//! fraction (modified Lentz; Numerical Recipes, 3rd ed., section 6.4) behind a prefactor in
//! saddle-point form (C. Loader, "Fast and Accurate Computation of Binomial Probabilities",
//! 2000), which does not cancel when the counts are large. The fraction takes about
//! `sqrt(n)` steps; above [`EXACT_MAX`] trials the Chernoff bound `exp(-n KL(k/n || p))`
//! takes its place: it is never below the true tail, so every answer stays valid and only
//! gets a little more cautious.

use std::f64::consts::PI;

use statrs::function::gamma::ln_gamma;

/// Trials up to which tails are exact.
const EXACT_MAX: u64 = 100_000_000;
const STEPS_MAX: u32 = 200_000;

/// `P(B >= k)` for `B ~ Binomial(n, p)`; an upper bound of it above [`EXACT_MAX`] trials.
pub(crate) fn at_least(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 || p >= 1.0 {
        return 1.0;
    }
    if k > n || p <= 0.0 {
        return 0.0;
    }
    if k == n {
        return (n as f64 * p.ln()).exp();
    }
    if n > EXACT_MAX {
        return if (k as f64) <= n as f64 * p {
            1.0
        } else {
            chernoff(k, n, p)
        };
    }
    incomplete_beta(k as f64, (n - k) as f64 + 1.0, p)
}

/// `P(B <= k)` for `B ~ Binomial(n, p)`, with the same remark.
pub(crate) fn at_most(k: u64, n: u64, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    if k == 0 {
        return (n as f64 * (-p).ln_1p()).exp();
    }
    if n > EXACT_MAX {
        return if (k as f64) >= n as f64 * p {
            1.0
        } else {
            chernoff(k, n, p)
        };
    }
    incomplete_beta((n - k) as f64, k as f64 + 1.0, 1.0 - p)
}

/// `I_x(a, b)` for `a, b > 0` and `0 <= x <= 1`.
pub(crate) fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // x^a (1-x)^b / B(a, b)
    let front = density(a, a + b, x) * a * b / (a + b);
    let value = if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, 1.0 - x) / b
    };
    value.clamp(0.0, 1.0)
}

fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_zero = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for step in 1..=STEPS_MAX {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        let change = d * c;
        h *= change;
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    h
}

/// `Γ(n+1) / (Γ(x+1) Γ(n-x+1)) p^x (1-p)^(n-x)` for real `0 < x < n`.
fn density(x: f64, n: f64, p: f64) -> f64 {
    let rest = n - x;
    let log = stirling_error(n)
        - stirling_error(x)
        - stirling_error(rest)
        - deviance(x, n * p)
        - deviance(rest, n * (1.0 - p));
    (n / (2.0 * PI * x * rest)).sqrt() * log.exp()
}

/// `ln Γ(n+1)` less Stirling's `(n+½) ln n - n + ½ ln 2π`.
pub(crate) fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        return ln_gamma(n + 1.0) - (n + 0.5) * n.ln() + n - 0.5 * (2.0 * PI).ln();
    }
    let square = n * n;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * square)) / square) / square) / n
}

/// `x ln(x/mean) + mean - x`, without cancellation near `x = mean`.
pub(crate) fn deviance(x: f64, mean: f64) -> f64 {
    if (x - mean).abs() >= 0.1 * (x + mean) {
        return x * (x / mean).ln() + mean - x;
    }
    let v = (x - mean) / (x + mean);
    let mut sum = (x - mean) * v;
    let mut term = 2.0 * x * v;
    for j in 1..1000 {
        term *= v * v;
        let next = sum + term / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

fn chernoff(k: u64, n: u64, p: f64) -> f64 {
    let (k, n) = (k as f64, n as f64);
    (-deviance(k, n * p) - deviance(n - k, n * (1.0 - p))).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From scipy.stats.binom (1.17): sf(k-1, n, p) and cdf(k, n, p).
    #[test]
    fn tails_agree_with_scipy() {
        for (k, n, p, upper, lower) in REFERENCE {
            let near = |ours: f64, theirs: f64| (ours - theirs).abs() <= 1e-9 * theirs.max(1e-12);
            assert!(
                near(at_least(k, n, p), upper),
                "{k} {n} {p}: {} {upper}",
                at_least(k, n, p)
            );
            assert!(
                near(at_most(k, n, p), lower),
                "{k} {n} {p}: {} {lower}",
                at_most(k, n, p)
            );
        }
    }

    include!("binomial/reference.rs");

    #[test]
    fn beyond_the_exact_range_a_tail_is_never_understated() {
        let n = EXACT_MAX + 1;
        let k = (n as f64 * 0.9902) as u64;
        let exact = incomplete_beta(k as f64, (n - k) as f64 + 1.0, 0.99);
        assert!(at_least(k, n, 0.99) >= exact);
        let k = (n as f64 * 0.98995) as u64;
        let exact = incomplete_beta((n - k) as f64, k as f64 + 1.0, 1.0 - 0.99);
        assert!(at_most(k, n, 0.99) >= exact);
    }
}
