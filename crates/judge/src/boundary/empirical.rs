//! A band around the whole empirical distribution function, valid at all times.
//!
//! With probability `1 - α`, for all `t >= m` and all `x`: `|F̂ₜ(x) - F(x)| <= r(t)`,
//! `r(t) = A √((ln(1 + ln(t/m)) + C)/t)` with `A = 0.85`, where `C` solves
//! `min over η of 4 e^(-γ²C) (1 + 1/((γ² - 1) ln η)) = α`,
//! `γ² = 2/η (A - √(2(η-1)/C))²` (Howard & Ramdas, "Sequential estimation of quantiles with
//! applications to A/B testing and best-arm identification", Bernoulli 28, 2022, theorem 2).
//!
//! Assumption: independent observations of one distribution.

const A: f64 = 0.85;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Band {
    c: f64,
    from: f64,
}

impl Band {
    /// `from`: the number of observations at which it begins, at least 1.
    pub(crate) fn new(alpha: f64, from: u64) -> Self {
        let (mut wide, mut narrow) = (C_MIN, C_MIN);
        while error(narrow) > alpha && narrow < 1e6 {
            narrow *= 2.0;
        }
        for _ in 0..60 {
            let middle = f64::midpoint(wide, narrow);
            if error(middle) > alpha {
                wide = middle;
            } else {
                narrow = middle;
            }
        }
        Self {
            c: narrow,
            from: from.max(1) as f64,
        }
    }

    /// Half its height after so many observations; infinite before its beginning.
    pub(crate) fn radius(&self, t: u64) -> f64 {
        radius(self.c, self.from, t)
    }
}

/// The `C` at which the radii of two bands add up to `distance` gives each band's error rate;
/// their sum is a p-value for "the two distributions are the same". 1 where nothing is known.
pub(crate) fn p_value(distance: f64, from: u64, t: [u64; 2]) -> f64 {
    let from = from.max(1) as f64;
    let both = |c: f64| radius(c, from, t[0]) + radius(c, from, t[1]);
    if distance.is_nan() || distance <= both(C_MIN) {
        return 1.0;
    }
    let (mut reached, mut missed) = (C_MIN, C_MIN);
    while both(missed) < distance && missed < 1e6 {
        missed *= 2.0;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(reached, missed);
        if both(middle) < distance {
            reached = middle;
        } else {
            missed = middle;
        }
    }
    (2.0 * error(reached)).min(1.0)
}

/// No error rate below 1 has a smaller `C`.
const C_MIN: f64 = 5.0;

fn radius(c: f64, from: f64, t: u64) -> f64 {
    let t = t as f64;
    if t < from {
        return f64::INFINITY;
    }
    A * (((t / from).ln().ln_1p() + c) / t).sqrt()
}

/// The error rate of this `C`, minimised over `η` by golden section.
fn error(c: f64) -> f64 {
    let at = |eta: f64| {
        let root = A - (2.0 * (eta - 1.0) / c).sqrt();
        let gamma = 2.0 / eta * root * root;
        if root <= 0.0 || gamma <= 1.0 || eta <= 1.0 {
            return f64::INFINITY;
        }
        4.0 * (-gamma * c).exp() * (1.0 + 1.0 / ((gamma - 1.0) * eta.ln()))
    };
    // Beyond this eta there is no solution: sqrt(eta/2) + sqrt(2(eta-1)/c) = A.
    let (mut low, mut high) = (1.0, 2.0 * A * A);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if (middle / 2.0).sqrt() + (2.0 * (middle - 1.0) / c).sqrt() < A {
            low = middle;
        } else {
            high = middle;
        }
    }
    let golden = (5_f64.sqrt() - 1.0) / 2.0;
    let (mut from, mut to) = (1.0, low);
    for _ in 0..60 {
        let (left, right) = (to - golden * (to - from), from + golden * (to - from));
        if at(left) < at(right) {
            to = right;
        } else {
            from = left;
        }
    }
    at(f64::midpoint(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The constants of the paper's formula, computed with confseq 0.0.10, whose own minimum
    /// over η is exact to five digits.
    #[test]
    fn constants_and_radius_agree_with_confseq() {
        for (alpha, c) in [
            (0.05, 8.1227),
            (0.025, 8.6226),
            (0.01, 9.2835),
            (0.005, 9.7834),
            (0.001, 10.9431),
        ] {
            let band = Band::new(alpha, 100);
            assert!((band.c - c).abs() < 6e-5, "{alpha}: {band:?}");
        }
        let radius = Band::new(0.05, 100).radius(1000);
        assert!((radius - 0.082_047_69).abs() < 2e-7, "{radius}");
        assert_eq!(Band::new(0.05, 100).radius(99), f64::INFINITY);
    }

    #[test]
    fn the_p_value_is_the_band_turned_around() {
        let band = Band::new(0.025, 50);
        let distance = band.radius(400) + band.radius(700);
        assert!((p_value(distance, 50, [400, 700]) - 0.05).abs() < 1e-9);
        for distance in [f64::NAN, -1.0, 0.0, 0.1] {
            assert_eq!(p_value(distance, 50, [60, 60]), 1.0);
        }
        assert_eq!(p_value(1.0, 50, [49, 1_000_000]), 1.0);
        assert!(p_value(1.0, 1, [u64::MAX, u64::MAX]) <= 1e-300);
    }
}
