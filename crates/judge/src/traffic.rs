//! How many requests an answer takes.

use crate::binomial::at_least;
use crate::bounds::usable;
use crate::verdict::Objective;

/// Beyond this no drill is practicable, and the search for the exact number stops.
const TOO_MANY: f64 = 1e15;

/// The fewest requests, all of them good, that prove a share of at least this many.
///
/// The smallest `n` with `success_ratio_min^n <= 1 - confidence`: with fewer even a flawless
/// phase is undecided (for 95 % the "rule of three", Hanley & Lippman-Hand, JAMA 249, 1983).
/// One bad request already asks for more. The same number of observations is needed to bound
/// that quantile of the latency from above. `None` for a share of 1 or more (or not a
/// number), which no traffic proves.
#[must_use]
pub fn requests_needed(success_ratio_min: f64, confidence: f64) -> Option<u64> {
    let ratio = success_ratio_min;
    if ratio.is_nan() || ratio >= 1.0 {
        return None;
    }
    if ratio <= 0.0 {
        return Some(1);
    }
    let error = 1.0 - usable(confidence);
    let estimate = (error.ln() / ratio.ln()).ceil();
    if estimate > TOO_MANY {
        return None;
    }
    // Rounding may leave the estimate one off; the test itself decides.
    let mut n = (estimate as u64).saturating_sub(1).max(1);
    while at_least(n, n, ratio) > error {
        n += 1;
    }
    Some(n)
}

/// The fewest requests with which every part of the objective can be met.
///
/// `None` when some part never can: a success ratio of 1, or a quantile of 1.
#[must_use]
pub fn requests_needed_for(objective: &Objective, confidence: f64) -> Option<u64> {
    let mut needed = 1;
    if let Some(ratio) = objective.success_ratio_min {
        needed = needed.max(requests_needed(ratio, confidence)?);
    }
    if let Some(ratio) = objective.success_ratio_max {
        needed = needed.max(requests_needed(1.0 - ratio, confidence)?);
    }
    if let Some((quantile, _)) = objective.latency {
        needed = needed.max(requests_needed(quantile, confidence)?);
    }
    Some(needed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ratio_bounds;

    #[test]
    fn published_numbers_come_out() {
        assert_eq!(requests_needed(0.99, 0.95), Some(299));
        assert_eq!(requests_needed(0.999, 0.95), Some(2995));
        assert_eq!(requests_needed(0.95, 0.95), Some(59));
        assert_eq!(requests_needed(0.9, 0.9), Some(22));
        assert_eq!(requests_needed(0.0, 0.95), Some(1));
        assert_eq!(requests_needed(1.0, 0.95), None);
        assert_eq!(requests_needed(f64::NAN, 0.95), None);
        assert_eq!(requests_needed(1.0 - 1e-16, 0.95), None);
    }

    proptest! {
        #[test]
        fn one_request_fewer_would_not_do(ratio in 0.01_f64..0.9999, confidence in 0.6_f64..0.999) {
            let n = requests_needed(ratio, confidence).unwrap();
            prop_assert!(ratio_bounds(n, n, confidence).low >= ratio - 1e-12);
            prop_assert!(n == 1 || ratio_bounds(n - 1, n - 1, confidence).low < ratio + 1e-12);
        }
    }
}
