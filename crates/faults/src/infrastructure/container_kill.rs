//! Ends containers by a signal to their first process, as a crash does.

use firedrill_container::RestartPolicy;
use firedrill_kernel::Signal;
use firedrill_undo::{Comeback, ContainerEnd, EndHow, Primitive};
use serde_json::{Map, Value, json};

use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, Parameter, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::{ContainerTarget, TargetKind};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(ContainerKill::parse(arguments)?)),
};

const NAME: &str = "infrastructure.container-kill";

const SIGNALS: &str = "KILL, TERM, INT, HUP, QUIT, ABRT or SEGV";

const RESTARTS: &str = "true, false or policy";

/// `infrastructure.container-kill`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerKill {
    pub signal: Signal,
    pub restart: Comeback,
}

impl ContainerKill {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["signal", "restart"]);
        let signal = read.read("signal", SIGNALS, |value| {
            Signal::parse(value.as_str()?)
                .filter(|signal| !matches!(signal, Signal::Stop | Signal::Cont))
        });
        let restart = read.read("restart", RESTARTS, |value| match value {
            Value::Bool(true) => Some(Comeback::Start),
            Value::Bool(false) => Some(Comeback::No),
            Value::String(word) if word == "policy" => Some(Comeback::Policy),
            _ => None,
        });
        read.finish()?;
        Ok(Self {
            signal: signal.unwrap_or(Signal::Kill),
            restart: restart.unwrap_or(Comeback::No),
        })
    }

    fn refuse_without_return(&self, container: &ContainerTarget) -> Result<(), CompileError> {
        let why = match self.restart {
            Comeback::No => return Ok(()),
            _ if container.auto_remove => {
                "it is removed as soon as it ends; `restart: false` kills it all the same"
            }
            Comeback::Policy if container.restart_policy == RestartPolicy::No => {
                "it has no restart policy; with `restart: true` it is started after the fault"
            }
            Comeback::Policy | Comeback::Start => return Ok(()),
        };
        Err(CompileError::NoWayBack {
            what: container.to_string(),
            why,
        })
    }
}

impl Disturbance for ContainerKill {
    fn undo_class(&self) -> UndoClass {
        match self.restart {
            Comeback::No => UndoClass::Irreversible,
            Comeback::Policy | Comeback::Start => UndoClass::Replaced,
        }
    }

    /// What starts in its place is the recovery.
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        site.containers()
            .map(|container| {
                self.refuse_without_return(container)?;
                Ok(Primitive::EndContainer(ContainerEnd {
                    run: container.run(),
                    how: EndHow::Signal {
                        signal: self.signal,
                    },
                    comeback: self.restart,
                }))
            })
            .collect()
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "ends containers by a signal to their first process, as a crash does",
        targets: vec![TargetKind::Container],
        parameters: vec![
            Parameter {
                name: "signal",
                kind: ParameterKind::Choice,
                unit: None,
                bounds: Some(SIGNALS),
                default: Some(json!("KILL")),
                required: false,
                summary: "the signal; a first process gets only those it handles, and KILL",
            },
            Parameter {
                name: "restart",
                kind: ParameterKind::Choice,
                unit: None,
                bounds: Some(RESTARTS),
                default: Some(json!(false)),
                required: false,
                summary: "true: started after the fault; policy: its restart policy starts it, and \
                          a container without one is refused; false: nobody waits for it",
            },
        ],
        needs: vec![
            "Docker or Podman on a Unix socket that this user may use",
            "the right to signal the container's processes",
            "pidfd (Linux 5.3)",
        ],
        mechanisms: vec![
            "a signal through a pidfd: after the engine's own kill, Docker would take the container \
             for stopped by hand, and no restart policy would hold",
        ],
        recovery_path: "with `restart: true` the guardian starts it through the engine when its \
                        owner dies or the lease runs out; `firedrill recover` does when both are \
                        dead; never when somebody else started it meanwhile",
        undo: UndoClass::Replaced,
        example: "restart=true",
        observed_effect: "the container's first process is gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<ContainerKill, FaultError> {
        ContainerKill::parse(value.as_object().unwrap())
    }

    #[test]
    fn what_becomes_of_it_follows_from_restart() {
        for (restart, class) in [
            (json!(false), UndoClass::Irreversible),
            (json!(true), UndoClass::Replaced),
            (json!("policy"), UndoClass::Replaced),
        ] {
            assert_eq!(
                parse(json!({"restart": restart})).unwrap().undo_class(),
                class
            );
        }
        assert_eq!(
            parse(json!({})).unwrap().undo_class(),
            UndoClass::Irreversible
        );
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let error = parse(json!({"signal": "STOP", "restart": "always", "sinal": 9})).unwrap_err();
        assert_eq!(error.each().len(), 3);
    }
}
