use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::wire::{Outcome, Verdict};

/// Three digits: a quantile is at most 0.1 % above the true value.
const SIGNIFICANT_DIGITS: u8 = 3;
/// An hour, well over the longest timeout; caps what a suspended machine would record.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// The increments of one stretch of time.
///
/// Every request is counted exactly once, in the window of its intended start, and
/// `sent == good + degraded + bad + unfinished`.
#[derive(Debug, Clone)]
pub struct Window {
    /// Since the generator's start.
    pub start: Duration,
    /// As configured, except for a last window that was cut short.
    pub length: Duration,
    /// Arrivals that were due in this window.
    pub sent: u64,
    /// Answered in full, in time, with a status below 400, and not degraded.
    pub good: u64,
    /// As good, but with the header that marks reduced functionality.
    pub degraded: u64,
    /// Everything else that ended: status 400 and above, timeouts, connection errors.
    pub bad: u64,
    /// Cut off by a halt, or still without an outcome [`crate::LoadConfig::timeout`] and 250 ms
    /// after the window's end (which only a starved generator shows).
    pub unfinished: u64,
    /// Arrivals that started more than 10 ms after their schedule: the generator's own lag, for
    /// which the system under test is not to blame.
    pub late: u64,
    /// Microseconds from the intended start, of good and degraded answers and of timeouts (at
    /// the moment of giving up). A fast error is not a fast answer, so errors are not in it. The
    /// runtime's timer starts a request up to 1 ms after its intended start, which is included.
    pub latency: Histogram<u64>,
    /// Bad requests by cause: `status 503`, `timeout`, `connection refused`, ….
    pub errors: BTreeMap<String, u64>,
}

impl Window {
    pub(crate) fn empty(start: Duration, length: Duration) -> Self {
        Window {
            start,
            length,
            sent: 0,
            good: 0,
            degraded: 0,
            bad: 0,
            unfinished: 0,
            late: 0,
            latency: empty_histogram(),
            errors: BTreeMap::new(),
        }
    }

    pub(crate) fn end(&self) -> Duration {
        self.start + self.length
    }

    /// Requests that were due in this window and have no outcome yet.
    pub(crate) fn pending(&self) -> u64 {
        self.sent - self.good - self.degraded - self.bad - self.unfinished
    }

    pub(crate) fn count(&mut self, outcome: &Outcome) {
        self.late += u64::from(outcome.late);
        let timed = match &outcome.verdict {
            Verdict::Good => {
                self.good += 1;
                true
            }
            Verdict::Degraded => {
                self.degraded += 1;
                true
            }
            Verdict::Bad(cause) => {
                self.bad += 1;
                *self.errors.entry(cause.to_string()).or_default() += 1;
                cause.is_timeout()
            }
        };
        if timed {
            let micros = u64::try_from(outcome.latency.as_micros()).unwrap_or(LATENCY_MAX_US);
            // The histogram grows with its values, so up to the cap this cannot fail.
            self.latency += micros.clamp(1, LATENCY_MAX_US);
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "a constant within the documented range of 0 to 5 digits"
)]
fn empty_histogram() -> Histogram<u64> {
    Histogram::new(SIGNIFICANT_DIGITS).expect("three digits are within range")
}
