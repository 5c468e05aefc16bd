//! Counted windows and their sum.

use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};

/// What happened in one stretch of a stream. Windows are increments: they do not overlap.
#[derive(Debug, Clone)]
pub struct Window {
    /// Since the drill's start.
    pub start: Duration,
    pub length: Duration,
    pub good: u64,
    /// Answered with reduced functionality.
    pub degraded: u64,
    pub bad: u64,
    /// How many of the requests above the generator sent later than scheduled.
    pub late: u64,
    /// Microseconds from the time a request was due to its end; a time-out counts with its
    /// full length, or the quantiles would only show the survivors.
    pub latency: Histogram<u64>,
}

/// A window without its latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub start: Duration,
    pub length: Duration,
    pub good: u64,
    pub degraded: u64,
    pub bad: u64,
    pub late: u64,
}

/// The sum of windows, which keeps each window's counts for the scan of the worst one.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    windows: Vec<Counts>,
    latency: Option<Histogram<u64>>,
}

/// An empty histogram that grows as needed: microseconds, three significant digits.
///
/// Use `record`, which grows it; `saturating_record` would cut at its present end.
///
/// # Errors
/// Only if the library refused these constants.
pub fn latency_histogram() -> Result<Histogram<u64>, CreationError> {
    Histogram::new(3)
}

impl Window {
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            start: self.start,
            length: self.length,
            good: self.good,
            degraded: self.degraded,
            bad: self.bad,
            late: self.late,
        }
    }
}

impl Counts {
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.good
            .saturating_add(self.degraded)
            .saturating_add(self.bad)
    }

    #[must_use]
    pub fn end(&self) -> Duration {
        self.start.saturating_add(self.length)
    }
}

impl Tally {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one window. Windows may come in any order.
    pub fn push(&mut self, window: &Window) {
        self.place(window.counts());
        self.absorb(&window.latency);
    }

    /// Adds everything the other one holds.
    pub fn merge(&mut self, other: &Tally) {
        other.windows.iter().for_each(|counts| self.place(*counts));
        if let Some(latency) = &other.latency {
            self.absorb(latency);
        }
    }

    /// By start.
    #[must_use]
    pub fn windows(&self) -> &[Counts] {
        &self.windows
    }

    /// Microseconds; absent before the first window.
    #[must_use]
    pub fn latency(&self) -> Option<&Histogram<u64>> {
        self.latency.as_ref()
    }

    #[must_use]
    pub fn good(&self) -> u64 {
        self.sum(|w| w.good)
    }

    #[must_use]
    pub fn degraded(&self) -> u64 {
        self.sum(|w| w.degraded)
    }

    #[must_use]
    pub fn bad(&self) -> u64 {
        self.sum(|w| w.bad)
    }

    #[must_use]
    pub fn late(&self) -> u64 {
        self.sum(|w| w.late)
    }

    #[must_use]
    pub fn requests(&self) -> u64 {
        self.sum(Counts::requests)
    }

    /// Share of the requests that the generator sent late, 0 to 1; 0 without requests.
    #[must_use]
    pub fn late_share(&self) -> f64 {
        match self.requests() {
            0 => 0.0,
            n => (self.late() as f64 / n as f64).min(1.0),
        }
    }

    fn sum(&self, of: impl Fn(&Counts) -> u64) -> u64 {
        self.windows.iter().map(of).fold(0, u64::saturating_add)
    }

    fn place(&mut self, counts: Counts) {
        let at = self.windows.partition_point(|w| w.start <= counts.start);
        self.windows.insert(at, counts);
    }

    fn absorb(&mut self, latency: &Histogram<u64>) {
        let Some(sum) = &mut self.latency else {
            let mut first = latency.clone();
            first.auto(true);
            self.latency = Some(first);
            return;
        };
        // A histogram that cannot grow further takes what is beyond it as its largest value.
        if sum.add(latency).is_err() {
            for cell in latency.iter_recorded() {
                sum.saturating_record_n(cell.value_iterated_to(), cell.count_at_value());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start_ms: u64, good: u64, latency_us: u64) -> Window {
        let mut latency = latency_histogram().unwrap();
        latency.record_n(latency_us, good).unwrap();
        Window {
            start: Duration::from_millis(start_ms),
            length: Duration::from_millis(100),
            good,
            degraded: 1,
            bad: 2,
            late: 1,
            latency,
        }
    }

    #[test]
    fn windows_add_up_in_any_order_and_stay_sorted() {
        let mut one = Tally::new();
        one.push(&window(100, 10, 5_000));
        one.push(&window(0, 20, 9_000_000));
        let mut all = Tally::new();
        all.push(&window(50, 5, 1));
        all.merge(&one);
        let starts: Vec<_> = all.windows().iter().map(|w| w.start.as_millis()).collect();
        assert_eq!(starts, [0, 50, 100]);
        assert_eq!(
            (all.good(), all.degraded(), all.bad(), all.requests()),
            (35, 3, 6, 44)
        );
        assert_eq!(all.latency().unwrap().len(), 35);
        assert!((all.late_share() - 3.0 / 44.0).abs() < 1e-12);
    }

    #[test]
    fn counts_at_the_end_of_their_range_do_not_overflow() {
        let mut tally = Tally::new();
        let mut huge = window(0, 1, 1);
        (huge.good, huge.bad, huge.late) = (u64::MAX, u64::MAX, u64::MAX);
        (huge.start, huge.length) = (Duration::MAX, Duration::MAX);
        tally.push(&huge);
        tally.push(&huge);
        assert_eq!(tally.requests(), u64::MAX);
        assert!(tally.late_share() <= 1.0);
    }
}
