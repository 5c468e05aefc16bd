use std::time::Duration;

use firedrill_kernel::Capability;
use firedrill_kernel::realtime::{self, Discipline, Rate, Return};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::primitive::{ClockBefore, ClockChange, ClockShift, Primitive};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;
use crate::{Measurement, Quantity};

/// CLOCK_REALTIME away from where it was.
///
/// A shift's inverse is relative, and so not safe to repeat: what is restored is the distance from
/// the raw monotonic clock, which nobody can set.
#[derive(Debug)]
pub(crate) struct ShiftedClock {
    shift: ClockShift,
    before: ClockBefore,
    released: bool,
}

/// Closer than this is back where it was.
const TOLERANCE: Duration = Duration::from_micros(2);

/// What remains after the undo, and is told.
const RESIDUE: Duration = Duration::from_micros(10);

impl ShiftedClock {
    pub(super) fn prepare(shift: ClockShift) -> Result<Prepared, EffectError> {
        if Capability::SysTime.is_missing() {
            return Err(EffectError::Lacking {
                what: "setting the clock",
                capability: Capability::SysTime,
            });
        }
        let before = now()?;
        Ok(Prepared::ready(Self {
            shift,
            before,
            released: false,
        }))
    }

    /// Without a reading there is nothing to go back to; the log never holds such an entry.
    pub(super) fn resume(shift: ClockShift) -> Option<Self> {
        let before = shift.before?;
        Some(Self {
            shift,
            before,
            released: false,
        })
    }

    /// Where the offset from the raw clock would be now without the fault, in nanoseconds.
    fn expected(&self, raw_ns: i64) -> i64 {
        let elapsed = raw_ns.saturating_sub(self.before.raw_ns) as f64;
        let drift = elapsed * self.before.discipline.rate.parts_per_million() / 1e6;
        self.before.offset_ns.saturating_add(drift as i64)
    }

    fn take_back(&self) -> Result<Reverted, EffectError> {
        let mut reverted = Reverted::default();
        if discipline()?.rate != self.before.discipline.rate {
            realtime::set_rate(self.before.discipline.rate)?;
            reverted.undone = 1;
        }
        let target = self.expected(now()?.raw_ns);
        if let Return::Moved { .. } = realtime::shift_to(target, TOLERANCE)? {
            reverted.undone = 1;
        }
        realtime::restore_discipline(&self.before.discipline)?;
        let after = now()?;
        let left_ns = after.offset_ns.saturating_sub(self.expected(after.raw_ns));
        if u128::from(left_ns.unsigned_abs()) > RESIDUE.as_nanos() {
            reverted.residue.push(Residue::Differs {
                what: "CLOCK_REALTIME".into(),
                difference: format!("{left_ns} ns from where it would be"),
            });
        }
        Ok(reverted)
    }
}

impl Effect for ShiftedClock {
    fn primitive(&self) -> Primitive {
        Primitive::ShiftClock(ClockShift {
            before: Some(self.before),
            ..self.shift
        })
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        match self.shift.change {
            ClockChange::Offset { by_ns } => realtime::shift(by_ns)?,
            ClockChange::Drift { rate } => realtime::set_rate(rate)?,
            // A worker moves it to and fro; here is only the way back.
            ClockChange::Strobe { .. } => {}
        }
        Ok(())
    }

    /// At once, so that a time daemon that is continued next finds the clock as it left it.
    fn release(&mut self) {
        // What fails here fails in `restore` as well, and is told there.
        self.released = self.take_back().is_ok_and(|reverted| reverted.undone > 0);
    }

    /// Once more: a worker that moved the clock to and fro may have done so a last time.
    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let before = usize::from(self.released);
        self.take_back()
            .map(|reverted| Reverted {
                undone: reverted.undone.max(before),
                ..reverted
            })
            .unwrap_or_else(|error| Reverted {
                residue: vec![Residue::EffectLeft {
                    effect: "the shift of CLOCK_REALTIME".into(),
                    why: chain(&error),
                }],
                ..Reverted::default()
            })
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let reading = now()?;
        let moved_ms = (reading.offset_ns - self.expected(reading.raw_ns)) as f64 / 1e6;
        let error_ms = reading.error_ns as f64 / 1e6;
        let (there, requested) = match self.shift.change {
            ClockChange::Offset { by_ns } => {
                let asked = by_ns as f64 / 1e6;
                ((moved_ms - asked).abs() <= 1.0, Some(asked))
            }
            ClockChange::Drift { rate } => {
                let elapsed = (reading.raw_ns - self.before.raw_ns) as f64;
                let gained =
                    rate.parts_per_million() - self.before.discipline.rate.parts_per_million();
                (discipline()?.rate == rate, Some(elapsed * gained / 1e12))
            }
            ClockChange::Strobe { .. } => (true, None),
        };
        let mut observed = Observed::one(there, || "the clock".into());
        if matches!(self.shift.change, ClockChange::Strobe { .. }) {
            // The worker that moves it measures it.
            return Ok(observed);
        }
        observed.measured.push(Measurement {
            quantity: Quantity::ClockOffset,
            requested,
            achieved: moved_ms,
            low: moved_ms - error_ms,
            high: moved_ms + error_ms,
            samples: 1,
        });
        Ok(observed)
    }
}

fn discipline() -> Result<Discipline, EffectError> {
    Ok(realtime::discipline()?)
}

fn now() -> Result<ClockBefore, EffectError> {
    let offset = realtime::offset();
    Ok(ClockBefore {
        offset_ns: offset.nanoseconds,
        error_ns: offset.error_ns,
        raw_ns: realtime::raw(),
        discipline: discipline()?,
    })
}

impl ClockChange {
    /// The drift of so many microseconds per second; `None` beyond what the kernel can do.
    #[must_use]
    pub fn drift(parts_per_million: f64) -> Option<Self> {
        Some(Self::Drift {
            rate: Rate::from_parts_per_million(parts_per_million)?,
        })
    }
}
