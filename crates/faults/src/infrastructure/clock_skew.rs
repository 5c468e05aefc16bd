//! Moves the host's CLOCK_REALTIME, changes its rate, or moves it to and fro.

use std::time::Duration;

use firedrill_experiment::units;
use firedrill_kernel::realtime;
use firedrill_undo::{ClockChange, ClockShift, Primitive, Work};
use firedrill_worker::Job;
use firedrill_worker::stress::ClockStrobe;
use serde_json::{Map, Value, json};

use super::Unfit;
use super::row::row;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(ClockSkew::parse(arguments)?)),
};

const NAME: &str = "infrastructure.clock-skew";

const OFFSETS: &str = "a time such as 5s or -250ms, not 0, at most 10 years";
const DRIFTS: &str = "a number from -100000 to 100000, not 0";
const PERIODS: &str = "a time from 20ms to 1h, with `offset`";

/// So that no certificate of today is the only thing that is tried.
const OFFSET_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

/// `infrastructure.clock-skew`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockSkew {
    change: ClockChange,
    /// Of a strobe.
    period: Option<Duration>,
    stop_ntp: bool,
}

impl ClockSkew {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let names = ["offset", "drift", "period", "stop-ntp"];
        let mut read = Arguments::new(NAME, arguments, &names);
        let offset = read.read("offset", OFFSETS, signed);
        let drift = read.read("drift", DRIFTS, |value| {
            let ppm = value.as_f64().filter(|ppm| *ppm != 0.0)?;
            ClockChange::drift(ppm)
        });
        let period = read.read("period", PERIODS, |value| {
            let bounds = Duration::from_millis(20)..=Duration::from_secs(3600);
            units::duration(value)
                .ok()
                .filter(|period| bounds.contains(period))
        });
        let stop_ntp = read.flag("stop-ntp");
        match (read.get("offset").is_some(), read.get("drift").is_some()) {
            (true, true) => read.mistake(FaultError::Exclusive {
                owner: NAME,
                first: "offset",
                second: "drift",
            }),
            (false, false) => read.mistake(FaultError::Missing {
                owner: NAME,
                name: "offset",
                what: "how far to move the clock; or `drift`, how fast it runs",
            }),
            (false, true) if read.get("period").is_some() => read.mistake(FaultError::Exclusive {
                owner: NAME,
                first: "drift",
                second: "period",
            }),
            _ => {}
        }
        read.finish()?;
        let by_ns = offset.unwrap_or_default();
        Ok(Self {
            change: match (drift, period) {
                (Some(drift), _) => drift,
                (None, Some(_)) => ClockChange::Strobe { by_ns },
                (None, None) => ClockChange::Offset { by_ns },
            },
            period,
            stop_ntp: stop_ntp.unwrap_or(false),
        })
    }
}

/// In nanoseconds; a bare number is seconds.
fn signed(value: &Value) -> Option<i64> {
    let (value, sign) = match value {
        Value::String(text) => match text.trim().strip_prefix('-') {
            Some(rest) if !rest.starts_with('-') => (Value::String(rest.into()), -1),
            _ => (value.clone(), 1),
        },
        Value::Number(number) => {
            let seconds = number.as_f64()?;
            (json!(seconds.abs()), if seconds < 0.0 { -1 } else { 1 })
        }
        _ => return None,
    };
    let distance = units::duration(&value).ok()?;
    if distance.is_zero() || distance > OFFSET_MAX {
        return None;
    }
    Some(sign * i64::try_from(distance.as_nanos()).ok()?)
}

impl Disturbance for ClockSkew {
    fn covers_newcomers(&self) -> bool {
        false
    }

    /// Daemons are paused before the clock is moved, and continued after it is back.
    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let daemons = realtime::ntp_daemons()?;
        if let Some(daemon) = daemons.first().filter(|_| !self.stop_ntp) {
            return Err(Unfit::TimeDaemon {
                name: daemon.name.clone(),
                pid: daemon.process.pid,
            }
            .into());
        }
        if daemons.is_empty() && realtime::discipline()?.is_steered() {
            return Err(Unfit::ClockSteered.into());
        }
        let mut primitives: Vec<Primitive> = daemons
            .into_iter()
            .map(|daemon| Primitive::StopProcess {
                process: daemon.process,
            })
            .collect();
        primitives.push(Primitive::ShiftClock(ClockShift {
            change: self.change,
            before: None,
        }));
        if let (ClockChange::Strobe { by_ns }, Some(period)) = (self.change, self.period) {
            let strobe = ClockStrobe {
                by_ns,
                period_ns: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX),
            };
            let job = Job::ClockStrobe(strobe);
            job.validate().map_err(CompileError::Job)?;
            let place = Vec::new();
            primitives.push(Primitive::RunWorker(Work { job, place }));
        }
        Ok(primitives)
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "moves the host's clock, changes its rate, or moves it to and fro",
        targets: vec![TargetKind::Host],
        parameters: vec![
            row(
                "offset",
                ParameterKind::Text,
                "how far CLOCK_REALTIME is moved, backwards if negative; or `drift`",
            )
            .within(OFFSETS),
            row(
                "drift",
                ParameterKind::Number,
                "microseconds gained in every second; CLOCK_MONOTONIC and CLOCK_BOOTTIME, and leases with them, run at the same rate",
            )
            .unit("ppm")
            .within(DRIFTS),
            row(
                "period",
                ParameterKind::Duration,
                "moved to and fro: by `offset` for half of each period, and back for the other",
            )
            .within(PERIODS),
            row(
                "stop-ntp",
                ParameterKind::Boolean,
                "pause time daemons meanwhile; without it the fault is refused while one runs",
            )
            .or(json!(false)),
        ],
        needs: vec!["CAP_SYS_TIME", "no time daemon that cannot be seen from here"],
        mechanisms: vec![
            "clock_adjtime with ADJ_SETOFFSET",
            "clock_adjtime with ADJ_FREQUENCY and ADJ_TICK",
            "SIGSTOP of time daemons",
        ],
        recovery_path: "the guardian moves the clock back to its distance from CLOCK_MONOTONIC_RAW when its owner dies or the lease runs out; `firedrill recover` does when both are dead; after a reboot the clock is the hardware's",
        undo: UndoClass::Reversible,
        example: "offset=5s",
        observed_effect: "milliseconds between where CLOCK_REALTIME is and where it would be, by CLOCK_MONOTONIC_RAW",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<ClockSkew, FaultError> {
        ClockSkew::parse(value.as_object().unwrap())
    }

    #[test]
    fn offsets_go_both_ways() {
        let by = |value| match parse(json!({ "offset": value })).unwrap().change {
            ClockChange::Offset { by_ns } => by_ns,
            other => panic!("{other:?}"),
        };
        assert_eq!(by(json!("5s")), 5_000_000_000);
        assert_eq!(by(json!("-250ms")), -250_000_000);
        assert_eq!(by(json!(-1.5)), -1_500_000_000);
    }

    #[test]
    fn a_period_makes_it_a_strobe() {
        let strobe = parse(json!({"offset": "1s", "period": "100ms"})).unwrap();
        assert!(matches!(
            strobe.change,
            ClockChange::Strobe {
                by_ns: 1_000_000_000
            }
        ));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            json!({}),
            json!({"offset": 0}),
            json!({"offset": "--1s"}),
            json!({"offset": "11000d"}),
            json!({"drift": 0}),
            json!({"drift": 100_001}),
            json!({"drift": 5, "offset": 1}),
            json!({"drift": 5, "period": "1s"}),
            json!({"offset": 1, "period": "19ms"}),
            json!({"offset": 1, "period": "61m"}),
            json!({"offset": 1, "stop-ntp": "yes"}),
        ] {
            assert!(parse(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
