//! One stream against one threshold: it holds, it is broken, or that is not known yet.
//!
//! "Success ratio at least 99.9 %" says that at most one in a thousand is bad, "p99 at most
//! 300 ms" that at most one in a hundred takes longer. Both are a limit on a share of bad ones,
//! tested from both sides with [`BadRateTest`], which may be looked at after every request:
//! *broken* is wrong with probability at most `alpha` while the share is within the limit,
//! *holds* with probability at most `alpha` while it is beyond. Only one of these can be the
//! case, so each gets all of `alpha`.
//!
//! Assumption: given the past, each one is bad with a probability that stays on one side of
//! the limit. A stream that is well at first and breaks later is found to hold and then to be
//! broken; broken is final. Failures in bursts are what the limit on the worst window is for.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::level::{Alpha, Probability};
use crate::sequential::BadRateTest;

/// What is known about the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Holds,
    Broken,
    NotYet,
}

/// Two tests of one share. About 80 bytes.
#[derive(Debug, Clone)]
pub struct ShareThreshold {
    is_above: BadRateTest,
    is_below: BadRateTest,
    holds: bool,
    broken: bool,
}

/// A limit on a quantile of the latency.
#[derive(Debug, Clone)]
pub struct LatencyThreshold {
    limit_us: u64,
    slow: ShareThreshold,
}

impl ShareThreshold {
    /// "At least this share is good."
    #[must_use]
    pub fn good_min(share: Probability, alpha: Alpha) -> Self {
        let bad_max = 1.0 - share.get();
        Self {
            is_above: BadRateTest::new(bad_max, alpha.get()),
            is_below: BadRateTest::new(share.get(), alpha.get()),
            holds: false,
            broken: false,
        }
    }

    pub fn observe(&mut self, good: u64, bad: u64) -> Standing {
        self.observe_with_doubt(good, bad, 0)
    }

    /// `unsure` ones may be either: they count as good against a breach, and as bad against
    /// a proof that the threshold holds.
    pub fn observe_with_doubt(&mut self, good: u64, bad: u64, unsure: u64) -> Standing {
        let (good_max, bad_max) = (good.saturating_add(unsure), bad.saturating_add(unsure));
        self.broken = self.is_above.observe(bad, good_max);
        // The same test of the good ones: "at most this share is good" is refuted.
        self.holds = self.is_below.observe(good, bad_max);
        self.standing()
    }

    /// Whether it was proven to hold, also if it is broken by now.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.holds
    }

    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.broken {
            Standing::Broken
        } else if self.holds {
            Standing::Holds
        } else {
            Standing::NotYet
        }
    }
}

impl LatencyThreshold {
    /// "This quantile is at most `limit`": at most `1 - quantile` of all take longer.
    #[must_use]
    pub fn quantile_max(quantile: Probability, limit: Duration, alpha: Alpha) -> Self {
        Self {
            limit_us: u64::try_from(limit.as_micros()).unwrap_or(u64::MAX),
            slow: ShareThreshold::good_min(quantile, alpha),
        }
    }

    pub fn observe(&mut self, latency: Duration) -> Standing {
        let is_slow = latency.as_micros() > u128::from(self.limit_us);
        self.slow.observe(u64::from(!is_slow), u64::from(is_slow))
    }

    /// The latencies of the next window, in microseconds. A cell of the histogram that
    /// straddles the limit is in doubt.
    pub fn observe_window(&mut self, latencies: &Histogram<u64>) -> Standing {
        let (mut fast, mut slow, mut unsure) = (0_u64, 0_u64, 0_u64);
        for cell in latencies.iter_recorded() {
            let value = cell.value_iterated_to();
            let sum = if latencies.highest_equivalent(value) <= self.limit_us {
                &mut fast
            } else if latencies.lowest_equivalent(value) > self.limit_us {
                &mut slow
            } else {
                &mut unsure
            };
            *sum = sum.saturating_add(cell.count_at_value());
        }
        self.slow.observe_with_doubt(fast, slow, unsure)
    }

    #[must_use]
    pub fn standing(&self) -> Standing {
        self.slow.standing()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::latency_histogram;

    fn three_nines() -> ShareThreshold {
        ShareThreshold::good_min(Probability::new(0.999).unwrap(), Alpha::FIVE_PERCENT)
    }

    #[test]
    fn three_nines_are_proven_by_clean_traffic_and_broken_by_bad_requests() {
        let mut clean = three_nines();
        assert_eq!(clean.observe(2_000, 0), Standing::NotYet);
        let mut needed = 2_000;
        while clean.observe(100, 0) == Standing::NotYet {
            needed += 100;
        }
        // At a fixed horizon 2,995 would do.
        assert!((2_995..9_000).contains(&needed), "{needed}");

        let mut bad = three_nines();
        assert_eq!(bad.observe(990, 10), Standing::Broken);
        assert_eq!(
            bad.observe(1_000_000, 0),
            Standing::Broken,
            "broken is final"
        );

        let mut edge = three_nines();
        assert_eq!(edge.observe(99_900, 100), Standing::NotYet);
    }

    #[test]
    fn a_quantile_is_held_to_its_limit_and_doubt_helps_nobody() {
        let p99 = Probability::new(0.99).unwrap();
        let limit = Duration::from_micros(300_100);
        let watch = || LatencyThreshold::quantile_max(p99, limit, Alpha::FIVE_PERCENT);
        let window = |us: u64, n: u64| {
            let mut latencies = latency_histogram().unwrap();
            latencies.record_n(us, n).unwrap();
            latencies
        };
        assert_eq!(
            watch().observe_window(&window(200_000, 2_000)),
            Standing::Holds
        );
        assert_eq!(
            watch().observe_window(&window(400_000, 50)),
            Standing::Broken
        );
        // The cell of 300,032 to 300,287 µs holds the limit.
        assert_eq!(
            watch().observe_window(&window(300_090, 5_000)),
            Standing::NotYet
        );
        assert_eq!(
            watch().observe_window(&window(300_200, 5_000)),
            Standing::NotYet
        );
        let mut single = watch();
        for _ in 0..50 {
            single.observe(Duration::from_millis(301));
        }
        assert_eq!(single.standing(), Standing::Broken);
    }

    proptest! {
        #[test]
        fn whatever_is_counted_has_a_standing(
            share in 1e-12_f64..0.999_999_999, counts in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..5),
        ) {
            let mut test = ShareThreshold::good_min(Probability::new(share).unwrap(), Alpha::FIVE_PERCENT);
            for (good, bad, unsure) in counts {
                test.observe_with_doubt(good % 100_000, bad % 100_000, unsure % 100_000);
                test.observe_with_doubt(good, bad, unsure);
            }
            let _ = test.standing();
        }
    }
}
