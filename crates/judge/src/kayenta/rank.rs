//! The Mann-Whitney test turned around: by how much one sample is shifted against the other.
//!
//! With both samples ranked together, average ranks for ties, and the rank sum `W` of the `n`
//! values of one, `z = (W - n(n+1)/2 - nm/2 ∓ ½) / σ`, `σ² = nm/12 (n + m + 1 - Σ(t³ - t) /
//! ((n+m)(n+m-1)))` over the ties of `t` values each (Mann & Whitney 1947; Hollander, Wolfe &
//! Chicken, "Nonparametric Statistical Methods", 3rd ed., section 4.1). The interval holds the
//! shifts `μ` at which `x - μ` and `y` are not told apart; where `z` is 0 lies the
//! Hodges-Lehmann estimate. As R's `wilcox.test` and Kayenta do, `z` is a step function
//! searched by Brent's method to within 10⁻⁴ (Brent, "Algorithms for Minimization Without
//! Derivatives", 1973, chapter 4), from the smallest to the largest difference.
//!
//! Assumptions: independent values, distributions that differ by a shift, and enough values
//! for the normal approximation. Unit: that of the values.

use statrs::function::erf::{erfc, erfc_inv};

use crate::interval::Interval;

/// By how much the experiment's values are shifted against the control's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// The Hodges-Lehmann estimate: about the median of all differences.
    pub estimate: f64,
    pub interval: Interval,
}

const TOLERANCE: f64 = 1e-4;
const STEPS_MAX: u32 = 1001;

/// The shift with its interval at this confidence. Both samples in rising order.
///
/// `None` for an empty sample, or where all values of both are tied at an end of the search.
pub(crate) fn shift(experiment: &[f64], control: &[f64], confidence: f64) -> Option<Shift> {
    let (min, max) = (
        experiment.first()? - control.last()?,
        experiment.last()? - control.first()?,
    );
    let z = |mu: f64| standing(experiment, control, mu).map(|(w, sigma)| corrected(w) / sigma);
    let (at_min, at_max) = (z(min)?, z(max)?);
    let critical = quantile_of_normal((1.0 - confidence) / 2.0);
    let root = |level: f64| {
        let f = |mu: f64| z(mu).map_or(0.0, |z| z - level);
        if at_min - level <= 0.0 {
            min
        } else if at_max - level >= 0.0 {
            max
        } else {
            brent(min, max, (at_min - level, at_max - level), f)
        }
    };
    Some(Shift {
        estimate: root(0.0),
        interval: Interval::new(root(critical), root(-critical)),
    })
}

/// The test itself: `U` of the experiment and the two-sided p-value with continuity
/// correction. `None` for an empty sample or when all values are tied. NaN ranks last.
#[must_use]
pub fn mann_whitney(experiment: &[f64], control: &[f64]) -> Option<(f64, f64)> {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (experiment, control) = (sorted(experiment), sorted(control));
    if experiment.is_empty() || control.is_empty() {
        return None;
    }
    let (w, sigma) = standing(&experiment, &control, 0.0)?;
    let u = w + experiment.len() as f64 * control.len() as f64 / 2.0;
    let z = (w.abs() - 0.5) / sigma;
    Some((u, erfc(z / std::f64::consts::SQRT_2).min(1.0)))
}

/// The rank sum of `x - mu` less what is expected, and its standard deviation, unless all
/// values are tied.
pub(crate) fn standing(x: &[f64], y: &[f64], mu: f64) -> Option<(f64, f64)> {
    let (n, m) = (x.len() as f64, y.len() as f64);
    let (mut i, mut j) = (0, 0);
    let (mut rank_sum, mut ties) = (0.0, 0.0);
    while i < x.len() || j < y.len() {
        let next_x = x.get(i).map(|v| v - mu);
        let next_y = y.get(j).copied();
        let value = match (next_x, next_y) {
            (Some(a), Some(b)) if a.total_cmp(&b).is_lt() => a,
            (_, Some(b)) => b,
            (Some(a), None) => a,
            (None, None) => break,
        };
        let (from_i, from_j) = (i, j);
        while x.get(i).is_some_and(|v| is_same(v - mu, value)) {
            i += 1;
        }
        while y.get(j).is_some_and(|v| is_same(*v, value)) {
            j += 1;
        }
        let (of_x, of_both) = ((i - from_i) as f64, (i - from_i + j - from_j) as f64);
        // Ranks from the next one on, shared by all that are tied.
        let rank = (from_i + from_j) as f64 + (of_both + 1.0) / 2.0;
        rank_sum += of_x * rank;
        ties += of_both * (of_both * of_both - 1.0);
    }
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    (variance > 0.0).then(|| {
        (
            rank_sum - n * (n + 1.0) / 2.0 - n * m / 2.0,
            variance.sqrt(),
        )
    })
}

/// Equal as numbers, so that the zeros are; NaN is only equal to NaN.
fn is_same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

fn corrected(w: f64) -> f64 {
    if w == 0.0 { 0.0 } else { w - 0.5 * w.signum() }
}

/// The upper quantile of the standard normal distribution.
fn quantile_of_normal(upper_tail: f64) -> f64 {
    std::f64::consts::SQRT_2 * erfc_inv(2.0 * upper_tail)
}

/// A root of `f` between `a` and `b`, where it has these values of opposite signs.
fn brent(a: f64, b: f64, (fa, fb): (f64, f64), f: impl Fn(f64) -> f64) -> f64 {
    let (mut a, mut b, mut fa, mut fb) = (a, b, fa, fb);
    if fa == 0.0 {
        return a;
    }
    if fb == 0.0 {
        return b;
    }
    // `b` is the best so far, `a` the one before, and the root lies between `b` and `c`.
    let (mut c, mut fc) = (a, fa);
    for _ in 0..STEPS_MAX {
        let before = b - a;
        if fc.abs() < fb.abs() {
            (a, b, c) = (b, c, b);
            (fa, fb, fc) = (fb, fc, fb);
        }
        let tolerance = 2.0 * f64::EPSILON * b.abs() + TOLERANCE / 2.0;
        let half = (c - b) / 2.0;
        if half.abs() <= tolerance || fb == 0.0 {
            return b;
        }
        let mut step = half;
        if before.abs() >= tolerance && fa.abs() > fb.abs() {
            step = interpolated([a, b, c], [fa, fb, fc], tolerance, before).unwrap_or(half);
        }
        if step.abs() < tolerance {
            step = tolerance.copysign(step);
        }
        (a, fa) = (b, fb);
        b += step;
        fb = f(b);
        if (fb > 0.0 && fc > 0.0) || (fb < 0.0 && fc < 0.0) {
            (c, fc) = (a, fa);
        }
    }
    b
}

/// A step by secant or inverse parabola, if it is small enough to be trusted.
fn interpolated(
    [a, b, c]: [f64; 3],
    [fa, fb, fc]: [f64; 3],
    tolerance: f64,
    before: f64,
) -> Option<f64> {
    let width = c - b;
    let (p, q) = if a == c {
        let t = fb / fa;
        (width * t, 1.0 - t)
    } else {
        let (q, t1, t2) = (fa / fc, fb / fc, fb / fa);
        (
            t2 * (width * q * (q - t1) - (b - a) * (t1 - 1.0)),
            (q - 1.0) * (t1 - 1.0) * (t2 - 1.0),
        )
    };
    let (p, q) = if p > 0.0 { (p, -q) } else { (-p, q) };
    let is_trusted =
        p < 0.75 * width * q - (tolerance * q).abs() / 2.0 && p < (before * q / 2.0).abs();
    is_trusted.then(|| p / q)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// R 4's `wilcox.test(c(10,20,30,40), 1:4, conf.int=TRUE, conf.level=.98, exact=FALSE)`.
    #[test]
    fn interval_and_estimate_agree_with_r() {
        let shift = shift(&[10.0, 20.0, 30.0, 40.0], &[1.0, 2.0, 3.0, 4.0], 0.98).unwrap();
        assert!((shift.estimate - 22.5).abs() < 1e-4, "{shift:?}");
        assert!((shift.interval.low() - 6.0).abs() < 1e-4, "{shift:?}");
        assert!((shift.interval.high() - 39.0).abs() < 1e-4, "{shift:?}");
    }

    /// The differences at which the statistic of scipy's ranks goes through its levels; without
    /// the continuity correction these would be -1, 3 and 8.
    #[test]
    fn ties_and_continuity_are_corrected_for() {
        let experiment = [1.0, 1.0, 5.0, 6.0, 6.0, 6.0, 11.0, 13.0];
        let shift = shift(&experiment, &[1.0, 1.0, 2.0, 3.0, 3.0, 5.0, 6.0], 0.98).unwrap();
        for (ours, expected) in [
            (shift.interval.low(), -2.0),
            (shift.estimate, 3.0),
            (shift.interval.high(), 9.0),
        ] {
            assert!((ours - expected).abs() < 2e-4, "{shift:?}");
        }
    }

    /// scipy 1.17.1, `mannwhitneyu(x, y, method="asymptotic")`.
    #[test]
    fn u_and_p_agree_with_scipy() {
        for (x, y, u, p) in [
            (
                &[10.0, 20.0, 30.0, 40.0][..],
                &[1.0, 2.0, 3.0, 4.0][..],
                16.0,
                0.030_382_821_976_577_21,
            ),
            (
                &[0.0, 1.0, 2.0, 1.0, 0.0, 0.0],
                &[0.0; 6],
                27.0,
                0.073_139_799_658_908_92,
            ),
            (
                &[1.0, 2.0, 2.0, 3.0, 9.0],
                &[2.0, 2.0, 4.0, 5.0, 6.0, 7.0],
                10.0,
                0.400_393_948_903_380_2,
            ),
        ] {
            let (ours, our_p) = mann_whitney(x, y).unwrap();
            assert_eq!(ours, u);
            assert!((our_p - p).abs() < 1e-9, "{our_p} {p}");
        }
        assert_eq!(mann_whitney(&[1.0, 1.0], &[1.0]), None);
        assert_eq!(mann_whitney(&[], &[1.0]), None);
    }

    proptest! {
        #[test]
        fn the_estimate_lies_in_its_interval_within_the_differences(
            x in prop::collection::vec(-100_i32..100, 2..40), y in prop::collection::vec(-100_i32..100, 2..40),
        ) {
            let sorted = |v: Vec<i32>| {
                let mut v: Vec<f64> = v.into_iter().map(f64::from).collect();
                v.sort_by(f64::total_cmp);
                v
            };
            let (x, y) = (sorted(x), sorted(y));
            if let Some(shift) = shift(&x, &y, 0.98) {
                let all = Interval::new(x[0] - y[y.len() - 1], x[x.len() - 1] - y[0]);
                for value in [shift.estimate, shift.interval.low(), shift.interval.high()] {
                    prop_assert!(all.contains(value), "{shift:?}");
                }
                prop_assert!(shift.interval.low() <= shift.estimate + TOLERANCE);
                prop_assert!(shift.estimate <= shift.interval.high() + TOLERANCE);
            }
        }
    }
}
