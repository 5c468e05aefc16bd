//! Exact confidence bounds.
//!
//! Every bound here is one-sided at the confidence asked for: "at least `low`" is wrong in at
//! most `1 - confidence` of all repetitions, and so is "at most `high`". Read together as an
//! interval, the two cover with probability `2 * confidence - 1` at the least. One side is
//! what a threshold needs, and it makes 299 clean requests enough for 99 % at 95 %.
//!
//! Assumption: requests are independent and alike within the phase. Failures that come in
//! bursts break it (the truth is then less certain than the bounds say), which is why an
//! objective also bounds its worst window, a count that assumes nothing.

use hdrhistogram::Histogram;

use crate::binomial::{at_least, at_most};

/// A share between 0 and 1 with its one-sided bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub confidence: f64,
}

/// A quantile of the latency with its one-sided bounds, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileEstimate {
    /// Which quantile, 0 to 1.
    pub quantile: f64,
    pub value: u64,
    pub low: u64,
    /// Absent when there are too few observations to bound it from above.
    pub high: Option<u64>,
    pub confidence: f64,
}

/// Bounds of the probability behind `good` successes in `n` independent trials.
///
/// `low` solves `P(B >= good) = 1 - confidence`, `high` solves `P(B <= good) = 1 - confidence`,
/// with `B ~ Binomial(n, p)`: Clopper & Pearson, "The use of confidence or fiducial limits
/// illustrated in the case of the binomial", Biometrika 26 (1934). Never less sure than
/// stated. `good` above `n` counts as `n`; without trials the bounds are 0 and 1 and the
/// value is 0.5. Each bound is rounded outward by at most 2⁻⁶⁰. A confidence outside 0.5 to 1
/// is brought to the nearer end.
#[must_use]
pub fn ratio_bounds(good: u64, n: u64, confidence: f64) -> Estimate {
    let confidence = usable(confidence);
    if n == 0 {
        return Estimate {
            value: 0.5,
            low: 0.0,
            high: 1.0,
            confidence,
        };
    }
    let good = good.min(n);
    let error = 1.0 - confidence;
    let value = good as f64 / n as f64;
    let low = match good {
        0 => 0.0,
        _ => bisect(0.0, value, |p| at_least(good, n, p) <= error).0,
    };
    let high = match good {
        _ if good == n => 1.0,
        _ => bisect(value, 1.0, |p| at_most(good, n, p) > error).1,
    };
    Estimate {
        value,
        low,
        high,
        confidence,
    }
}

/// Bounds of a quantile from order statistics; no shape of distribution is assumed.
///
/// With `n` observations and `B ~ Binomial(n, q)`, the `l`-th smallest is a lower bound for
/// the largest `l` with `P(B <= l-1) <= 1 - confidence`, the `u`-th an upper bound for the
/// smallest `u` with `P(B >= u) <= 1 - confidence` (David & Nagaraja, "Order Statistics",
/// 3rd ed., section 7.1). Bounds are widened to the ends of the histogram's cells. `None` for
/// an empty histogram or a quantile not strictly between 0 and 1.
#[must_use]
pub fn quantile_bounds(
    histogram: &Histogram<u64>,
    quantile: f64,
    confidence: f64,
) -> Option<QuantileEstimate> {
    let n = histogram.len();
    if n == 0 || !(quantile > 0.0 && quantile < 1.0) {
        return None;
    }
    let confidence = usable(confidence);
    let error = 1.0 - confidence;
    // How many ranks, counted from the smallest, lie surely below the quantile.
    let below = last_where(n, |rank| at_most(rank - 1, n, quantile) <= error);
    let not_above = last_where(n, |rank| at_least(rank, n, quantile) > error);
    let rank = ((n as f64 * quantile).ceil() as u64).clamp(1, n);
    let low = match below {
        0 => 0,
        rank => histogram.lowest_equivalent(at_rank(histogram, rank)),
    };
    let high =
        (not_above < n).then(|| histogram.highest_equivalent(at_rank(histogram, not_above + 1)));
    let value = histogram
        .highest_equivalent(at_rank(histogram, rank))
        .min(histogram.max());
    Some(QuantileEstimate {
        quantile,
        value,
        low,
        high,
        confidence,
    })
}

/// Brings a confidence into the range where bounds mean something.
pub(crate) fn usable(confidence: f64) -> f64 {
    if confidence.is_nan() {
        0.95
    } else {
        confidence.clamp(0.5, 1.0 - 1e-12)
    }
}

/// Narrows `from..to` around the one place where `inside` turns false.
fn bisect(mut from: f64, mut to: f64, inside: impl Fn(f64) -> bool) -> (f64, f64) {
    for _ in 0..60 {
        let middle = f64::midpoint(from, to);
        if inside(middle) {
            from = middle;
        } else {
            to = middle;
        }
    }
    (from, to)
}

/// The largest rank in `1..=n` for which `holds`, where it holds up to some rank and not
/// after; 0 when it never does.
pub(crate) fn last_where(n: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut yes, mut no) = (0, n.saturating_add(1));
    while no - yes > 1 {
        let middle = yes + (no - yes) / 2;
        if holds(middle) {
            yes = middle;
        } else {
            no = middle;
        }
    }
    yes
}

/// A value in the cell that holds the observation of this rank (1 is the smallest).
pub(crate) fn at_rank(histogram: &Histogram<u64>, rank: u64) -> u64 {
    let mut seen = 0_u64;
    for cell in histogram.iter_recorded() {
        seen = seen.saturating_add(cell.count_at_value());
        if seen >= rank {
            return cell.value_iterated_to();
        }
    }
    histogram.max()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::latency_histogram;

    /// From scipy.stats.beta.ppf(0.05, k, n-k+1) and ppf(0.95, k+1, n-k), version 1.17.1.
    #[test]
    fn bounds_of_a_ratio_agree_with_scipy() {
        for (good, n, low, high) in [
            (0, 10, 0.0, 0.2588655508930522),
            (10, 10, 0.7411344491069477, 1.0),
            (7, 10, 0.39337578389458766, 0.9127355660858496),
            (4998, 5000, 0.9987413820750336, 0.9999289231156031),
            (299, 299, 0.9900308532071007, 1.0),
            (1, 1000, 5.129197890901781e-05, 0.004734993575499777),
            (985, 1000, 0.9769964511490499, 0.9907315690194783),
        ] {
            let ours = ratio_bounds(good, n, 0.95);
            assert!(
                (ours.low - low).abs() < 1e-11,
                "{good}/{n}: {} {low}",
                ours.low
            );
            assert!(
                (ours.high - high).abs() < 1e-11,
                "{good}/{n}: {} {high}",
                ours.high
            );
        }
    }

    /// Ranks computed with scipy.stats.binom 1.17.1.
    #[test]
    fn bounds_of_a_quantile_are_the_order_statistics_that_scipy_finds() {
        for (n, q, low, high) in [
            (100, 0.5, 42, Some(59)),
            (300, 0.99, 294, Some(300)),
            (1000, 0.99, 985, Some(996)),
            (298, 0.99, 292, None),
        ] {
            // Values up to 1,000 each have a cell of their own at three digits.
            let mut histogram = latency_histogram().unwrap();
            (1..=n).for_each(|v| histogram.record(v).unwrap());
            let ours = quantile_bounds(&histogram, q, 0.95).unwrap();
            assert_eq!((ours.low, ours.high), (low, high), "n={n} q={q}");
        }
    }

    #[test]
    fn without_data_nothing_is_claimed() {
        let none = ratio_bounds(0, 0, 0.95);
        assert_eq!((none.low, none.high), (0.0, 1.0));
        assert_eq!(
            quantile_bounds(&latency_histogram().unwrap(), 0.99, 0.95),
            None
        );
    }

    proptest! {
        #[test]
        fn a_ratio_lies_between_its_bounds_whatever_the_counts(
            good in any::<u64>(), n in any::<u64>(), confidence in prop::num::f64::ANY,
        ) {
            let e = ratio_bounds(good, n, confidence);
            prop_assert!(0.0 <= e.low && e.low <= e.value, "{e:?}");
            prop_assert!(e.value <= e.high && e.high <= 1.0, "{e:?}");
        }

        #[test]
        fn more_confidence_never_narrows(good in 0_u64..=2000, more in 0_u64..2000) {
            let (loose, tight) = (ratio_bounds(good, good + more, 0.99), ratio_bounds(good, good + more, 0.9));
            prop_assert!(loose.low <= tight.low && tight.high <= loose.high);
        }

        #[test]
        fn a_quantile_lies_between_its_bounds(
            values in prop::collection::vec(any::<u64>(), 1..200), q in prop::num::f64::ANY,
        ) {
            let mut histogram = latency_histogram().unwrap();
            values.iter().for_each(|v| histogram.record(*v).unwrap());
            if let Some(e) = quantile_bounds(&histogram, q, 0.95) {
                prop_assert!(e.low <= e.value, "{e:?}");
                prop_assert!(e.high.is_none_or(|high| e.value <= high), "{e:?}");
            } else {
                prop_assert!(!(q > 0.0 && q < 1.0));
            }
        }
    }
}
