//! Restarts containers through their engine.

use firedrill_undo::{Comeback, ContainerEnd, EndHow, Primitive};
use serde_json::{Map, Value};

use super::grace;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(ContainerRestart::parse(arguments)?)),
};

const NAME: &str = "infrastructure.container-restart";

/// `infrastructure.container-restart`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerRestart {
    pub grace_ms: u64,
}

impl ContainerRestart {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["grace"]);
        let grace_ms = grace::read(&mut read);
        read.finish()?;
        Ok(Self { grace_ms })
    }
}

impl Disturbance for ContainerRestart {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Replaced
    }

    /// What starts in its place is the recovery.
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        site.containers()
            .map(|container| {
                if container.auto_remove {
                    return Err(CompileError::NoWayBack {
                        what: container.to_string(),
                        why: "it is removed as soon as it ends, perhaps before it is started again",
                    });
                }
                Ok(Primitive::EndContainer(ContainerEnd {
                    run: container.run(),
                    how: EndHow::Restart {
                        grace_ms: self.grace_ms,
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
        summary: "restarts containers through their engine",
        targets: vec![TargetKind::Container],
        parameters: vec![grace::parameter()],
        needs: vec![
            "Docker or Podman on a Unix socket that this user may use",
            "pidfd (Linux 5.3)",
        ],
        mechanisms: vec!["Engine API: restart"],
        recovery_path: "the engine starts it again by itself; where it did not, the guardian does \
                        at the end of the fault, and `firedrill recover` when guardian and owner \
                        are dead",
        undo: UndoClass::Replaced,
        example: "grace=2s",
        observed_effect: "the container's first process of before is gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_takes_a_grace_and_nothing_else() {
        let parse = |value: &Value| ContainerRestart::parse(value.as_object().unwrap());
        assert_eq!(parse(&json!({"grace": "3s"})).unwrap().grace_ms, 3000);
        assert!(parse(&json!({"signal": "KILL"})).is_err());
    }
}
