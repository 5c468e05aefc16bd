//! Ends processes by a signal.

use std::collections::BTreeMap;
use std::path::PathBuf;

use firedrill_kernel::Signal;
use firedrill_undo::{Primitive, RestartCommand};
use serde_json::{Map, Value, json};

use crate::FaultError;
use crate::arguments::{Arguments, command};
use crate::catalogue::{Entry, Parameter, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(ProcessKill::parse(arguments)?)),
};

const NAME: &str = "infrastructure.process-kill";

const SIGNALS: &str = "KILL, TERM, INT, HUP, QUIT, ABRT or SEGV";

const ENDING: [Signal; 7] = [
    Signal::Kill,
    Signal::Term,
    Signal::Int,
    Signal::Hup,
    Signal::Quit,
    Signal::Abrt,
    Signal::Segv,
];

/// `infrastructure.process-kill`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessKill {
    pub signal: Signal,
    /// Run once for each target after the fault.
    pub restart: Option<RestartCommand>,
    /// Something else (systemd, an orchestrator) starts the target again.
    pub supervised: bool,
}

impl ProcessKill {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["signal", "restart", "supervised"]);
        let signal = read.read("signal", SIGNALS, |value| {
            Signal::parse(value.as_str()?).filter(|signal| ENDING.contains(signal))
        });
        let restart = read.read(
            "restart",
            "a list of words, or an object with `argv`, and optionally `cwd` and `env`",
            restart,
        );
        let supervised = read.read("supervised", "true or false", Value::as_bool);
        if restart.is_some() && supervised == Some(true) {
            read.mistake(FaultError::Exclusive {
                owner: NAME,
                first: "restart",
                second: "supervised",
            });
        }
        read.finish()?;
        Ok(Self {
            signal: signal.unwrap_or(Signal::Kill),
            restart,
            supervised: supervised.unwrap_or(false),
        })
    }
}

impl Disturbance for ProcessKill {
    fn undo_class(&self) -> UndoClass {
        if self.restart.is_some() || self.supervised {
            UndoClass::Replaced
        } else {
            UndoClass::Irreversible
        }
    }

    /// What starts in its place is the recovery.
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let kill = |process| Primitive::KillProcess {
            process,
            signal: self.signal,
            restart: self.restart.clone(),
        };
        Ok(site.processes().into_iter().map(kill).collect())
    }
}

fn restart(value: &Value) -> Option<RestartCommand> {
    if let Some(argv) = command(value) {
        return Some(RestartCommand {
            argv,
            cwd: None,
            env: BTreeMap::new(),
        });
    }
    let object = value.as_object()?;
    if object
        .keys()
        .any(|key| !["argv", "cwd", "env"].contains(&key.as_str()))
    {
        return None;
    }
    let cwd = match object.get("cwd") {
        None | Some(Value::Null) => None,
        Some(cwd) => Some(PathBuf::from(cwd.as_str()?)),
    };
    let env = match object.get("env") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(env) => env
            .as_object()?
            .iter()
            .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect::<Option<_>>()?,
    };
    Some(RestartCommand {
        argv: command(object.get("argv")?)?,
        cwd,
        env,
    })
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "ends processes by a signal",
        targets: vec![TargetKind::Process],
        parameters: vec![
            Parameter {
                name: "signal",
                kind: ParameterKind::Choice,
                unit: None,
                bounds: Some(SIGNALS),
                default: Some(json!("KILL")),
                required: false,
                summary: "the signal that ends them",
            },
            Parameter {
                name: "restart",
                kind: ParameterKind::Command,
                unit: None,
                bounds: Some("not with `supervised`; no secrets: it is kept in the undo log"),
                default: None,
                required: false,
                summary: "the command that starts one target again, run for each after the fault",
            },
            Parameter {
                name: "supervised",
                kind: ParameterKind::Boolean,
                unit: None,
                bounds: None,
                default: Some(json!(false)),
                required: false,
                summary: "something else starts the targets again",
            },
        ],
        needs: vec!["the right to signal the targets", "pidfd (Linux 5.3)"],
        mechanisms: vec!["a signal through a pidfd"],
        recovery_path: "the guardian runs the restart command when its owner dies or the lease runs \
                        out; `firedrill recover` does when both are dead; never twice for one target",
        undo: UndoClass::Replaced,
        example: "signal=TERM",
        observed_effect: "the process of this pid and start time is gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<ProcessKill, FaultError> {
        ProcessKill::parse(value.as_object().unwrap())
    }

    #[test]
    fn without_arguments_it_is_sigkill_and_irreversible() {
        let kill = parse(json!({})).unwrap();
        assert_eq!(kill.signal, Signal::Kill);
        assert_eq!(kill.undo_class(), UndoClass::Irreversible);
    }

    #[test]
    fn a_restart_command_or_a_supervisor_makes_it_replaced() {
        let kill = parse(json!({"restart": ["serve", "--port", "1"]})).unwrap();
        assert_eq!(kill.undo_class(), UndoClass::Replaced);
        let kill = parse(json!({"restart": {"argv": ["serve"], "env": {"A": "1"}, "cwd": "/"}}));
        assert_eq!(kill.unwrap().restart.unwrap().env.get("A").unwrap(), "1");
        let kill = parse(json!({"supervised": true, "signal": "SIGTERM"})).unwrap();
        assert_eq!(kill.undo_class(), UndoClass::Replaced);
        assert_eq!(kill.signal, Signal::Term);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let error = parse(json!({"signl": "TERM", "signal": "STOP", "restart": []})).unwrap_err();
        assert_eq!(error.each().len(), 3);
        assert!(
            error.to_string().contains("did you mean \"signal\"?"),
            "{error}"
        );
    }
}
