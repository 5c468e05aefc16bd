//! A quantile of one stream at any time, and how far it has moved between two arms.
//!
//! [`quantile_sequence`] bounds one quantile: of the value `x` that is the `p`-quantile, the
//! number of observations up to it is tested against `p` by the beta-binomial mixture, and the
//! interval is what is not rejected. [`quantile_evidence`] multiplies these bets of two arms
//! on a common quantile and takes the value `x` that speaks best for it, an e-value against
//! equal quantiles. [`quantile_difference`] takes the band around both whole distributions: it
//! holds for all quantiles together, and is wider (Howard & Ramdas, "Sequential estimation of
//! quantiles with applications to A/B testing and best-arm identification", Bernoulli 28,
//! 2022, theorem 1, section 5 and corollary 2).
//!
//! Assumption: independent observations of one distribution in an arm. Unit: that of the
//! histograms, microseconds for latencies. Ends are widened to the ends of cells.

use hdrhistogram::Histogram;

use crate::boundary::empirical::Band;
use crate::bounds::{at_rank, last_where};
use crate::dirichlet::{concentration_for, ln_bayes_factor_of_two};
use crate::distribution::{FROM, merged};
use crate::evidence::Evidence;
use crate::interval::Interval;
use crate::level::{Alpha, Probability};

const TIGHTEST_AT: f64 = 1000.0;

/// The values that one quantile may have, at all times together; 0 to infinity without
/// observations.
#[must_use]
pub fn quantile_sequence(values: &Histogram<u64>, quantile: Probability, alpha: Alpha) -> Interval {
    let (p, n) = (quantile.get(), values.len());
    if n == 0 {
        return Interval::new(0.0, f64::INFINITY);
    }
    let k = concentration_for(TIGHTEST_AT, Alpha::FIVE_PERCENT.get());
    let is_out =
        |rank: u64| ln_bayes_factor_of_two(p, rank as f64, (n - rank) as f64, k) > alpha.bar();
    let middle = ((n as f64 * p) as u64).min(n);
    // Fewer than this many up to x are too few, and more than `most` below x too many.
    let least = match is_out(0) {
        true => last_where(middle, is_out).saturating_add(1),
        false => 0,
    };
    let most = middle.saturating_add(last_where(n - middle, |more| !is_out(middle + more)));
    let low = match least {
        0 => 0,
        rank => values.lowest_equivalent(at_rank(values, rank)),
    };
    let high = match most {
        rank if rank >= n => f64::INFINITY,
        rank => values.highest_equivalent(at_rank(values, rank + 1)) as f64,
    };
    Interval::new(low as f64, high)
}

/// Against "both arms have the same `p`-quantile", now.
#[must_use]
pub fn quantile_evidence(
    control: &Histogram<u64>,
    experiment: &Histogram<u64>,
    quantile: Probability,
) -> Evidence {
    evidence_tuned(control, experiment, quantile.get(), TIGHTEST_AT)
}

fn evidence_tuned(
    control: &Histogram<u64>,
    experiment: &Histogram<u64>,
    p: f64,
    tightest_at: f64,
) -> Evidence {
    if control.is_empty() || experiment.is_empty() {
        return Evidence::NONE;
    }
    let k = concentration_for(tightest_at, Alpha::FIVE_PERCENT.get());
    let bets = [
        Bet::new(p, control.len(), k),
        Bet::new(p, experiment.len(), k),
    ];
    let mut least = f64::INFINITY;
    merged(control, experiment, |_, below| {
        // Outside of both arms' middles the bets only rise.
        let is_between = bets[0].reaches(below[0])
            || bets[1].reaches(below[1])
            || bets[0].side(below[0]) != bets[1].side(below[1]);
        if is_between {
            least = least.min(bets[0].least(below[0]) + bets[1].least(below[1]));
        }
    });
    Evidence::from_ln(least)
}

/// How much larger the experiment's quantile is, for all quantiles and at all times together.
#[must_use]
pub fn quantile_difference(
    control: &Histogram<u64>,
    experiment: &Histogram<u64>,
    quantile: Probability,
    alpha: Alpha,
) -> Interval {
    let band = Band::new(alpha.half().get(), FROM);
    let ends = |values: &Histogram<u64>| {
        let (p, n, r) = (quantile.get(), values.len(), band.radius(values.len()));
        let low = match p - r {
            share if share > 0.0 => values.lowest_equivalent(at_rank(
                values,
                ((share * n as f64).ceil() as u64).clamp(1, n),
            )) as f64,
            _ => 0.0,
        };
        let high = match p + r {
            share if share < 1.0 => {
                let rank = ((share * n as f64).floor() as u64).saturating_add(1).min(n);
                values.highest_equivalent(at_rank(values, rank)) as f64
            }
            _ => f64::INFINITY,
        };
        (low, high)
    };
    let ((low, high), (other_low, other_high)) = (ends(control), ends(experiment));
    Interval::new(other_low - high, other_high - low)
}

/// The bet of one arm on a value being its quantile, by how many lie below and up to it.
struct Bet {
    p: f64,
    n: u64,
    k: f64,
    /// The number up to the quantile that speaks best for it.
    best: f64,
}

impl Bet {
    fn new(p: f64, n: u64, k: f64) -> Self {
        let total = n as f64;
        let ln = |rank: f64| ln_bayes_factor_of_two(p, rank, total - rank, k);
        let (mut from, mut to) = (0.0, total);
        for _ in 0..200 {
            let third = (to - from) / 3.0;
            let (left, right) = (from + third, to - third);
            if ln(left) < ln(right) {
                to = right;
            } else {
                from = left;
            }
            if to - from < 1e-9 * total {
                break;
            }
        }
        Self {
            p,
            n,
            k,
            best: f64::midpoint(from, to),
        }
    }

    fn least(&self, (below, up_to): (u64, u64)) -> f64 {
        let rank = self.best.clamp(below as f64, up_to as f64);
        ln_bayes_factor_of_two(self.p, rank, self.n as f64 - rank, self.k)
    }

    fn reaches(&self, (below, up_to): (u64, u64)) -> bool {
        below as f64 <= self.best && self.best <= up_to as f64
    }

    fn side(&self, (below, _): (u64, u64)) -> bool {
        below as f64 > self.best
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::latency_histogram;

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = latency_histogram().unwrap();
        values
            .into_iter()
            .for_each(|v| histogram.record(v).unwrap());
        histogram
    }

    /// confseq 0.0.10, `QuantileABTest(0.5, t_opt=100, alpha_opt=0.05)`: the medians of 1..1000
    /// and of the same shifted. Each value has a cell of its own.
    #[test]
    fn the_evidence_of_two_medians_agrees_with_confseq() {
        for (shift, p_value) in [(70, 0.814_704), (85, 0.083_805_5), (100, 0.005_494_7)] {
            let evidence = evidence_tuned(
                &histogram(1..=1000),
                &histogram(1 + shift..=1000 + shift),
                0.5,
                100.0,
            );
            let relative = (evidence.p_value() / p_value - 1.0).abs();
            assert!(relative < 1e-4, "{shift}: {} {p_value}", evidence.p_value());
        }
    }

    #[test]
    fn a_quantile_is_bounded_and_gets_narrower() {
        let (p99, alpha) = (Probability::new(0.99).unwrap(), Alpha::FIVE_PERCENT);
        let wide = quantile_sequence(&histogram((0..1_000).map(|i| i % 1000)), p99, alpha);
        let narrow = quantile_sequence(&histogram((0..50_000).map(|i| i % 1000)), p99, alpha);
        assert!(
            wide.contains(989.0) && narrow.contains(989.0),
            "{wide:?} {narrow:?}"
        );
        assert!(
            narrow.low() > wide.low() && narrow.high() < 1000.0,
            "{wide:?} {narrow:?}"
        );
        let none = quantile_sequence(&histogram([]), p99, alpha);
        assert_eq!(none, Interval::new(0.0, f64::INFINITY));
    }

    #[test]
    fn a_moved_median_is_found_with_its_size() {
        let (control, experiment) = (
            histogram((0..20_000).map(|i| i % 1000)),
            histogram((0..20_000).map(|i| 200 + i % 1000)),
        );
        let interval = quantile_difference(
            &control,
            &experiment,
            Probability::HALF,
            Alpha::FIVE_PERCENT,
        );
        assert!(
            interval.contains(200.0) && interval.low() > 120.0 && interval.high() < 280.0,
            "{interval:?}"
        );
        assert!(
            quantile_evidence(&control, &experiment, Probability::HALF)
                .is_proof(Alpha::FIVE_PERCENT)
        );
        assert!(
            !quantile_evidence(&control, &control, Probability::HALF).is_proof(Alpha::FIVE_PERCENT)
        );
    }

    proptest! {
        #[test]
        fn nothing_is_nan(
            control in prop::collection::vec(any::<u64>(), 0..60),
            experiment in prop::collection::vec(0_u64..1000, 0..60),
            p in 1e-9_f64..0.999_999, alpha in 1e-9_f64..0.9,
        ) {
            let (p, alpha) = (Probability::new(p).unwrap(), Alpha::new(alpha).unwrap());
            let (control, experiment) = (histogram(control), histogram(experiment));
            for values in [&control, &experiment] {
                let interval = quantile_sequence(values, p, alpha);
                prop_assert!(interval.low() >= 0.0 && interval.low() <= interval.high());
            }
            prop_assert!(!quantile_evidence(&control, &experiment, p).ln().is_nan());
            let difference = quantile_difference(&control, &experiment, p, alpha);
            prop_assert!(difference.low() <= difference.high());
        }

        /// Of all ranks, exactly those that are not rejected bound the quantile.
        #[test]
        fn the_ends_are_the_ranks_that_trying_each_finds(n in 1_u64..400, p in 0.01_f64..0.99) {
            let values = histogram(1..=n);
            let k = concentration_for(TIGHTEST_AT, 0.05);
            let is_in = |rank: &u64| ln_bayes_factor_of_two(p, *rank as f64, (n - rank) as f64, k) <= Alpha::FIVE_PERCENT.bar();
            let (least, most) = ((0..=n).find(is_in).unwrap(), (0..=n).rev().find(is_in).unwrap());
            let high = if most >= n { f64::INFINITY } else { (most + 1) as f64 };
            let interval = quantile_sequence(&values, Probability::new(p).unwrap(), Alpha::FIVE_PERCENT);
            prop_assert_eq!(interval, Interval::new(least as f64, high));
        }
    }
}
