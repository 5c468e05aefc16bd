//! What is done to the values before they are compared.

use super::metric::{Missing, Outliers};

/// Larger values are brought to this, so that differences and sums stay finite.
const VALUE_MAX: f64 = 1e290;

/// Missing values removed or replaced, outliers kept or removed; in rising order.
pub(crate) fn prepared(values: &[f64], missing: Missing, outliers: Outliers) -> Vec<f64> {
    let mut kept: Vec<f64> = values
        .iter()
        .filter_map(|v| match (v.is_nan(), missing) {
            (false, _) => Some(v.clamp(-VALUE_MAX, VALUE_MAX)),
            (true, Missing::Replace) => Some(0.0),
            (true, Missing::Remove) => None,
        })
        .collect();
    kept.sort_by(f64::total_cmp);
    if let Outliers::Remove { factor } = outliers {
        let (low, high) = fences(&kept, factor);
        kept.retain(|v| low <= *v && *v <= high);
    }
    kept
}

/// `min(p01, Q1 - factor IQR)` and `max(p99, Q3 + factor IQR)`.
fn fences(sorted: &[f64], factor: f64) -> (f64, f64) {
    let factor = if factor.is_nan() {
        0.0
    } else {
        factor.clamp(0.0, 1e6)
    };
    let (lower, upper) = (percentile(sorted, 0.25), percentile(sorted, 0.75));
    let reach = factor * (upper - lower);
    let (first, last) = (percentile(sorted, 0.01), percentile(sorted, 0.99));
    (first.min(lower - reach), last.max(upper + reach))
}

/// Interpolated between order statistics at `p (n - 1)`: R's type 7 (Hyndman & Fan, "Sample
/// quantiles in statistical packages", Am. Stat. 50, 1996). 0 without values.
fn percentile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = p * last as f64;
    let (below, part) = (place.floor(), place - place.floor());
    let at = |i: usize| sorted.get(i.min(last)).copied().unwrap_or(0.0);
    let (from, to) = (at(below as usize), at(below as usize + 1));
    from + part * (to - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy 2.4: `percentile([1, 2, 4, 8, 16], [1, 25, 75, 99])`.
    #[test]
    fn percentiles_agree_with_numpy() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (p, expected) in [(0.01, 1.04), (0.25, 2.0), (0.75, 8.0), (0.99, 15.68)] {
            assert!((percentile(&values, p) - expected).abs() < 1e-12, "{p}");
        }
        assert_eq!(percentile(&[], 0.5), 0.0);
        assert_eq!(percentile(&[3.0], 0.99), 3.0);
    }

    #[test]
    fn missing_values_and_outliers_are_treated_as_asked() {
        let values = [2.0, f64::NAN, 1.0];
        assert_eq!(
            prepared(&values, Missing::Remove, Outliers::Keep),
            [1.0, 2.0]
        );
        assert_eq!(
            prepared(&values, Missing::Replace, Outliers::Keep),
            [0.0, 1.0, 2.0]
        );
        let mut many: Vec<f64> = (0..200).map(|i| f64::from(i % 10)).collect();
        many.push(1000.0);
        let kept = prepared(&many, Missing::Remove, Outliers::Remove { factor: 3.0 });
        assert_eq!((kept.len(), kept.last()), (200, Some(&9.0)));
    }
}
