//! CLOCK_REALTIME moved to and fro.
//!
//! Moves are relative and exact to the nanosecond (`ADJ_SETOFFSET`), so as many back as forth leave
//! the clock where it was. A worker that is killed between the two leaves it moved: its guardian
//! knows where it was, and moves it back.

use std::convert::Infallible;
use std::time::Duration;

use firedrill_kernel::realtime;
use serde::{Deserialize, Serialize};

use super::StressError;
use super::samples::Samples;
use crate::control::Control;
use crate::measurement::{Measurement, Quantity};

/// Half of each period moved, half not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockStrobe {
    /// Nanoseconds, forwards or backwards; not zero.
    pub by_ns: i64,
    /// Nanoseconds, at least 20 ms.
    pub period_ns: u64,
}

const PERIOD_LEAST: Duration = Duration::from_millis(20);

impl ClockStrobe {
    /// # Errors
    /// When a parameter is out of range.
    pub fn validate(&self) -> Result<(), StressError> {
        if self.by_ns == 0 {
            return Err(StressError::OutOfRange {
                name: "by_ns",
                value: "0".into(),
                rule: "forwards or backwards",
            });
        }
        if Duration::from_nanos(self.period_ns) < PERIOD_LEAST {
            return Err(StressError::OutOfRange {
                name: "period_ns",
                value: self.period_ns.to_string(),
                rule: "at least 20 ms",
            });
        }
        Ok(())
    }

    pub(crate) fn run(self, control: &Control) -> Result<Infallible, StressError> {
        let half = Duration::from_nanos(self.period_ns / 2);
        let samples = Samples::default();
        let shown = samples.clone();
        let asked = milliseconds(self.by_ns);
        samples.push(self.go_forth(control)?);
        control.ready(move || {
            let mean = shown.mean(Quantity::ClockOffset, Some(asked));
            if !mean.is_empty() {
                return mean;
            }
            let last = shown.last();
            let one =
                last.map(|moved| Measurement::exact(Quantity::ClockOffset, Some(asked), moved));
            one.into_iter().collect()
        });
        loop {
            control.wait(half);
            realtime::shift(self.by_ns.saturating_neg())?;
            control.wait(half);
            samples.push(self.go_forth(control)?);
        }
    }

    /// By how much the clock is seen to have moved, in milliseconds.
    fn go_forth(&self, control: &Control) -> Result<f64, StressError> {
        let before = realtime::offset().nanoseconds;
        control.check();
        realtime::shift(self.by_ns)?;
        Ok(milliseconds(realtime::offset().nanoseconds - before))
    }
}

fn milliseconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_distance_and_a_period_too_short_are_refused() {
        let strobe = |by_ns, period_ms: u64| ClockStrobe {
            by_ns,
            period_ns: period_ms * 1_000_000,
        };
        assert!(strobe(0, 100).validate().is_err());
        assert!(strobe(1, 19).validate().is_err());
        assert!(strobe(-1, 20).validate().is_ok());
    }
}
