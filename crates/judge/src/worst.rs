//! The worst window: a hard count that an average cannot hide.

use std::collections::VecDeque;
use std::time::Duration;

use crate::tally::Counts;
use crate::verdict::Degraded;

/// The stretch with the most bad requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorstWindow {
    /// Since the drill's start.
    pub start: Duration,
    pub length: Duration,
    pub bad: u64,
    pub requests: u64,
}

/// Slides a window of this length over the increments and returns the one with most bad
/// requests, the earliest among equals; `None` without increments.
///
/// The window is placed at the start of every increment and takes in each increment that
/// starts inside it, whole. So it is exact for the places it is put at; where the length is
/// not a multiple of the increments', it counts up to one increment more, never less.
/// `counts` must be ordered by start, as a [`crate::Tally`] keeps them. Assumes nothing about
/// independence; unit: requests.
#[must_use]
pub fn worst_window(
    counts: &[Counts],
    length: Duration,
    degraded: Degraded,
) -> Option<WorstWindow> {
    let mut scan = Scan::new(length, degraded);
    counts.iter().for_each(|c| scan.push(c));
    scan.worst
}

/// The same scan, one increment at a time.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    length: Duration,
    degraded: Degraded,
    /// Increments inside the window that ends with the newest.
    inside: VecDeque<Counts>,
    bad: u64,
    requests: u64,
    pub(crate) worst: Option<WorstWindow>,
}

impl Scan {
    pub(crate) fn new(length: Duration, degraded: Degraded) -> Self {
        Self {
            length,
            degraded,
            inside: VecDeque::new(),
            bad: 0,
            requests: 0,
            worst: None,
        }
    }

    pub(crate) fn push(&mut self, counts: &Counts) {
        while let Some(first) = self.inside.front() {
            if counts.start < first.start.saturating_add(self.length) {
                break;
            }
            self.bad = self.bad.saturating_sub(self.degraded.bad(first));
            self.requests = self.requests.saturating_sub(first.requests());
            self.inside.pop_front();
        }
        self.inside.push_back(*counts);
        self.bad = self.bad.saturating_add(self.degraded.bad(counts));
        self.requests = self.requests.saturating_add(counts.requests());
        let start = self
            .inside
            .front()
            .map_or(counts.start, |first| first.start);
        let longer = self
            .worst
            .is_some_and(|w| w.start == start && w.bad == self.bad);
        if longer || self.worst.is_none_or(|w| self.bad > w.bad) {
            self.worst = Some(WorstWindow {
                start,
                length: self.length,
                bad: self.bad,
                requests: self.requests,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn increments(bad: &[u64]) -> Vec<Counts> {
        bad.iter()
            .zip(0_u32..)
            .map(|(bad, i)| Counts {
                start: Duration::from_millis(100) * i,
                length: Duration::from_millis(100),
                good: 10,
                degraded: 1,
                bad: *bad,
                late: 0,
            })
            .collect()
    }

    #[test]
    fn a_burst_across_two_increments_is_one_window() {
        let counts = increments(&[0, 0, 7, 8, 0, 0, 9, 0]);
        let worst = worst_window(&counts, Duration::from_millis(200), Degraded::Good).unwrap();
        assert_eq!(
            (worst.start, worst.bad, worst.requests),
            (Duration::from_millis(200), 15, 37)
        );
    }

    #[test]
    fn a_gap_between_increments_separates_them() {
        let mut counts = increments(&[5, 5]);
        counts[1].start = Duration::from_secs(60);
        let worst = worst_window(&counts, Duration::from_secs(1), Degraded::Good).unwrap();
        assert_eq!(worst.bad, 5);
    }

    proptest! {
        #[test]
        fn the_scan_finds_what_trying_every_place_finds(
            bad in prop::collection::vec(0_u64..50, 0..60), length_ms in 1_u64..2000,
            as_bad in any::<bool>(),
        ) {
            let counts = increments(&bad);
            let length = Duration::from_millis(length_ms);
            let degraded = if as_bad { Degraded::Bad } else { Degraded::Good };
            let every_place = counts.iter().map(|first| {
                counts
                    .iter()
                    .filter(|c| c.start >= first.start && c.start < first.start + length)
                    .map(|c| degraded.bad(c))
                    .sum::<u64>()
            });
            let found = worst_window(&counts, length, degraded).map(|w| w.bad);
            prop_assert_eq!(found, every_place.max());
        }
    }
}
