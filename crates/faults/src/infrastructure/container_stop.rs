//! Stops containers through their engine, as `docker stop` does, and starts them afterwards.

use firedrill_undo::{Comeback, ContainerEnd, EndHow, Primitive};
use serde_json::{Map, Value};

use super::grace;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, Parameter, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(ContainerStop::parse(arguments)?)),
};

const NAME: &str = "infrastructure.container-stop";

/// `infrastructure.container-stop`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerStop {
    pub grace_ms: u64,
    /// It may stay stopped after a reboot, until somebody recovers by hand.
    pub survives_reboot: bool,
}

impl ContainerStop {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["grace", "survives-reboot"]);
        let grace_ms = grace::read(&mut read);
        let accepted = read.read("survives-reboot", "accept", |value| {
            (value.as_str() == Some("accept")).then_some(())
        });
        read.finish()?;
        Ok(Self {
            grace_ms,
            survives_reboot: accepted.is_some(),
        })
    }
}

impl Disturbance for ContainerStop {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Replaced
    }

    /// A container that somebody starts meanwhile is left to them.
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        site.containers()
            .map(|container| {
                if container.auto_remove {
                    return Err(CompileError::NoWayBack {
                        what: container.to_string(),
                        why: "it is removed as soon as it ends; container-kill can end it all the \
                              same",
                    });
                }
                Ok(Primitive::EndContainer(ContainerEnd {
                    run: container.run(),
                    how: EndHow::Stop {
                        grace_ms: self.grace_ms,
                        survives_reboot: self.survives_reboot,
                    },
                    comeback: Comeback::Start,
                }))
            })
            .collect()
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "stops containers through their engine, and starts them afterwards",
        targets: vec![TargetKind::Container],
        parameters: vec![
            grace::parameter(),
            Parameter {
                name: "survives-reboot",
                kind: ParameterKind::Choice,
                unit: None,
                bounds: Some("accept"),
                default: None,
                required: false,
                summary: "on a host without a recovery at boot: it may stay stopped after a reboot, \
                          until `firedrill recover`",
            },
        ],
        needs: vec![
            "Docker or Podman on a Unix socket that this user may use",
            "a recovery at boot (`firedrill recover --install`), or `survives-reboot: accept`: \
             Docker does not start at boot what was stopped by hand",
            "pidfd (Linux 5.3)",
        ],
        mechanisms: vec!["Engine API: stop"],
        recovery_path: "the guardian starts it through the engine, if it is the same container and \
                        still stopped, when its owner dies or the lease runs out; `firedrill \
                        recover` does when both are dead, and at the next boot where it is installed",
        undo: UndoClass::Replaced,
        example: "grace=2s survives-reboot=accept",
        observed_effect: "the container's first process is gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<ContainerStop, FaultError> {
        ContainerStop::parse(value.as_object().unwrap())
    }

    #[test]
    fn a_grace_is_rounded_up_to_whole_seconds() {
        assert_eq!(parse(json!({})).unwrap().grace_ms, 1000);
        assert_eq!(parse(json!({"grace": "1500ms"})).unwrap().grace_ms, 2000);
        assert!(parse(json!({"grace": "61s"})).is_err());
        assert!(parse(json!({"grace": 0})).is_err());
    }

    #[test]
    fn surviving_a_reboot_is_accepted_in_so_many_words_only() {
        let accepted = parse(json!({"survives-reboot": "accept"})).unwrap();
        assert!(accepted.survives_reboot);
        assert!(!parse(json!({})).unwrap().survives_reboot);
        assert!(parse(json!({"survives-reboot": true})).is_err());
    }
}
