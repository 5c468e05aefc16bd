//! When the system was well again.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::tally::{Counts, Window};
use crate::verdict::{Degraded, Objective};
use crate::worst::worst_window;

/// The time from the end of the fault to the first instant from which the objective held for
/// `hold` without a break; `None` if there is no such instant.
///
/// An instant is the start of a window (the end of the fault, for the window that contains
/// it). From it on, the windows of the next `hold` are looked at together: their success
/// ratio is within the objective, their quantile of the latency is, and so is their worst
/// window. The first of them must have requests and meet ratio and quantile by itself, so
/// that an outage's tail is never hidden in a long average. A stretch with a gap between its
/// windows does not count: nobody knows what happened there. In practice the answer is the
/// end of the last bad window before a clean stretch.
///
/// These are observed values without confidence bounds: the answer is a time, and the
/// recovery phase is judged by [`crate::judge`] besides. Resolution: one window. Windows may
/// come in any order; those that end before the fault does are ignored.
#[must_use]
pub fn recovered(
    fault_end: Duration,
    windows: &[Window],
    objective: &Objective,
    hold: Duration,
    count_degraded_as: Degraded,
) -> Option<Duration> {
    let mut after: Vec<&Window> = windows
        .iter()
        .filter(|w| w.counts().end() > fault_end)
        .collect();
    after.sort_by_key(|w| w.start);
    (0..after.len()).find_map(|first| {
        let stretch = stretch(&after[first..], fault_end, hold)?;
        let well = met(&stretch[..1], objective, count_degraded_as)
            && met(stretch, objective, count_degraded_as);
        well.then(|| stretch[0].start.saturating_sub(fault_end))
    })
}

/// The windows from the first on that cover `hold` without a gap.
fn stretch<'a, 'w>(
    windows: &'a [&'w Window],
    fault_end: Duration,
    hold: Duration,
) -> Option<&'a [&'w Window]> {
    let until = windows.first()?.start.max(fault_end).saturating_add(hold);
    let mut covered = windows.first()?.start;
    for (i, window) in windows.iter().enumerate() {
        if window.start > covered {
            return None;
        }
        covered = covered.max(window.counts().end());
        if covered >= until {
            return Some(&windows[..=i]);
        }
    }
    None
}

fn met(windows: &[&Window], objective: &Objective, degraded: Degraded) -> bool {
    let counts: Vec<Counts> = windows.iter().map(|w| w.counts()).collect();
    let requests = counts
        .iter()
        .fold(0_u64, |sum, c| sum.saturating_add(c.requests()));
    let bad = counts
        .iter()
        .fold(0_u64, |sum, c| sum.saturating_add(degraded.bad(c)));
    if requests == 0 {
        return false;
    }
    let ratio = 1.0 - bad as f64 / requests as f64;
    objective.success_ratio_min.is_none_or(|min| ratio >= min)
        && objective.success_ratio_max.is_none_or(|max| ratio <= max)
        && objective.worst_window.is_none_or(|(length, max)| {
            worst_window(&counts, length, degraded).is_none_or(|w| w.bad <= max)
        })
        && objective.latency.is_none_or(|(quantile, max)| {
            let histograms = windows.iter().map(|w| &w.latency);
            fast(histograms, quantile, max)
        })
}

/// Whether at least this share of the observations took at most `max`.
fn fast<'a>(
    histograms: impl Iterator<Item = &'a Histogram<u64>>,
    quantile: f64,
    max: Duration,
) -> bool {
    let limit = u64::try_from(max.as_micros()).unwrap_or(u64::MAX);
    let (mut within, mut all) = (0_u64, 0_u64);
    for histogram in histograms {
        for cell in histogram.iter_recorded() {
            all = all.saturating_add(cell.count_at_value());
            if histogram.lowest_equivalent(cell.value_iterated_to()) <= limit {
                within = within.saturating_add(cell.count_at_value());
            }
        }
    }
    all == 0 || within as f64 >= quantile * all as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::latency_histogram;

    const OBJECTIVE: Objective = Objective {
        success_ratio_min: Some(0.99),
        success_ratio_max: None,
        latency: Some((0.99, Duration::from_millis(300))),
        worst_window: Some((Duration::from_millis(200), 2)),
        bad_max: None,
    };
    const HOLD: Duration = Duration::from_millis(300);

    /// One window of 100 ms each, from 1 s on: bad of 100 requests, latency of all.
    fn windows(cells: &[(u64, u64)]) -> Vec<Window> {
        cells
            .iter()
            .zip(0_u32..)
            .map(|((bad, ms), i)| {
                let mut latency = latency_histogram().unwrap();
                latency.record_n(ms * 1000, 100).unwrap();
                Window {
                    start: Duration::from_millis(1000) + Duration::from_millis(100) * i,
                    length: Duration::from_millis(100),
                    good: 100 - bad,
                    degraded: 0,
                    bad: *bad,
                    late: 0,
                    latency,
                }
            })
            .collect()
    }

    fn after(fault_end_ms: u64, windows: &[Window]) -> Option<u128> {
        let end = Duration::from_millis(fault_end_ms);
        recovered(end, windows, &OBJECTIVE, HOLD, Degraded::Bad).map(|d| d.as_millis())
    }

    #[test]
    fn recovery_begins_at_the_end_of_the_last_bad_window() {
        let w = windows(&[(50, 9), (40, 9), (0, 9), (30, 9), (0, 9), (0, 9), (0, 9)]);
        assert_eq!(after(1000, &w), Some(400));
        assert_eq!(after(1050, &w), Some(350));
    }

    #[test]
    fn a_system_that_was_never_ill_takes_no_time() {
        let w = windows(&[(0, 9); 5]);
        assert_eq!(after(1000, &w), Some(0));
        assert_eq!(after(1050, &w), Some(0));
    }

    #[test]
    fn a_clean_stretch_shorter_than_the_hold_is_no_recovery() {
        let w = windows(&[(50, 9), (0, 9), (0, 9), (50, 9), (0, 9), (0, 9)]);
        assert_eq!(after(1000, &w), None);
        assert_eq!(after(1000, &[]), None);
    }

    #[test]
    fn slow_answers_are_no_recovery() {
        let w = windows(&[(0, 900), (0, 900), (0, 9), (0, 9), (0, 9)]);
        assert_eq!(after(1000, &w), Some(200));
    }

    #[test]
    fn single_errors_within_the_objective_do_not_delay_it() {
        let w = windows(&[(50, 9), (1, 9), (0, 9), (1, 9), (0, 9), (1, 9)]);
        assert_eq!(after(1000, &w), Some(100));
    }

    #[test]
    fn silence_and_gaps_are_not_taken_for_health() {
        let mut w = windows(&[(0, 9); 6]);
        w[0].good = 0;
        assert_eq!(after(1000, &w), Some(100));
        w.remove(3);
        assert_eq!(after(1000, &w), None);
    }

    proptest! {
        #[test]
        fn recovery_never_begins_in_a_window_that_misses_the_objective(
            bad in prop::collection::vec(0_u64..5, 0..30),
        ) {
            let cells: Vec<_> = bad.iter().map(|b| (*b, 9)).collect();
            if let Some(ms) = after(1000, &windows(&cells)) {
                prop_assert!(bad[usize::try_from(ms / 100).unwrap()] <= 1);
            }
        }
    }
}
