//! Sends processes a signal that need not end them.
//!
//! Irreversible whatever is expected: what a process does on a signal (reads its configuration
//! again, rotates its log, ends) is its own affair, and no second signal takes it back.

use firedrill_kernel::Signal;
use firedrill_undo::{Expected, Primitive, Signalling};
use serde_json::{Map, Value, json};

use super::row::row;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(ProcessSignal::parse(arguments)?)),
};

const NAME: &str = "infrastructure.process-signal";

const SIGNALS: &str = "HUP, USR1, USR2, TERM, INT, QUIT, ALRM, WINCH, PIPE, CHLD, URG, IO, PWR, \
                       ABRT, BUS, FPE, ILL, SEGV, SYS, TRAP, VTALRM, PROF, XCPU or XFSZ";
const EXPECTED: &str = "taken, survives or ends";

/// `infrastructure.process-signal`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessSignal {
    pub signal: Signal,
    pub expect: Expected,
}

impl ProcessSignal {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["signal", "expect"]);
        let signal = read.read("signal", SIGNALS, |value| {
            let signal = Signal::parse(value.as_str()?)?;
            // Those have faults of their own, with an undo.
            (!matches!(signal, Signal::Stop | Signal::Cont | Signal::Kill)).then_some(signal)
        });
        if read.get("signal").is_none() {
            read.mistake(FaultError::Missing {
                owner: NAME,
                name: "signal",
                what: SIGNALS,
            });
        }
        let expect = read.read("expect", EXPECTED, |value| {
            Some(match value.as_str()? {
                "taken" => Expected::Taken,
                "survives" => Expected::Survives,
                "ends" => Expected::Ends,
                _ => return None,
            })
        });
        read.finish()?;
        Ok(Self {
            signal: signal.unwrap_or(Signal::Hup),
            expect: expect.unwrap_or_default(),
        })
    }
}

impl Disturbance for ProcessSignal {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Irreversible
    }

    /// It is sent once; what starts afterwards was not there.
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let send = |process| {
            Primitive::SignalProcess(Signalling {
                process,
                signal: self.signal,
                expect: self.expect,
            })
        };
        Ok(site.processes().into_iter().map(send).collect())
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "sends processes a signal that need not end them",
        targets: vec![TargetKind::Process],
        parameters: vec![
            row(
                "signal",
                ParameterKind::Choice,
                "what is sent, once to each; to pause or to kill there are faults of their own",
            )
            .within(SIGNALS)
            .required(),
            row(
                "expect",
                ParameterKind::Choice,
                "when the effect counts as seen: the signal does not wait any more; nor has the process ended; or it has",
            )
            .within(EXPECTED)
            .or(json!("taken")),
        ],
        needs: vec!["the right to signal the targets", "pidfd (Linux 5.3)"],
        mechanisms: vec!["a signal through a pidfd"],
        recovery_path: "none: nothing takes back what a process does on a signal",
        undo: UndoClass::Irreversible,
        example: "signal=HUP expect=survives",
        observed_effect: "the signal is not pending any more, and the process is there or gone as expected; without effect where the process ignores it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<ProcessSignal, FaultError> {
        ProcessSignal::parse(value.as_object().unwrap())
    }

    #[test]
    fn whatever_is_expected_it_cannot_be_taken_back() {
        let signal = parse(json!({"signal": "SIGHUP", "expect": "survives"})).unwrap();
        assert_eq!(signal.expect, Expected::Survives);
        assert_eq!(signal.undo_class(), UndoClass::Irreversible);
    }

    #[test]
    fn every_signal_that_is_listed_is_one() {
        for word in SIGNALS
            .split([',', ' '])
            .filter(|word| *word != "or" && !word.is_empty())
        {
            assert!(parse(json!({"signal": word})).is_ok(), "{word}");
        }
    }

    #[test]
    fn signals_with_faults_of_their_own_and_unknown_ones_are_refused() {
        for wrong in ["STOP", "CONT", "KILL", "TSTP", "NOPE", ""] {
            assert!(parse(json!({"signal": wrong})).is_err(), "{wrong}");
        }
        assert!(parse(json!({})).is_err());
        assert!(parse(json!({"signal": "HUP", "expect": "joy"})).is_err());
    }
}
