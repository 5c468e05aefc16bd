//! Pauses containers: their processes keep memory and connections, and answer nothing.

use firedrill_undo::Primitive;
use serde_json::{Map, Value};

use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::{ContainerTarget, TargetKind};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(ContainerPause::parse(arguments)?)),
};

const NAME: &str = "infrastructure.container-pause";

/// `infrastructure.container-pause`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerPause;

impl ContainerPause {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        Arguments::new(NAME, arguments, &[]).finish()?;
        Ok(Self)
    }
}

impl Disturbance for ContainerPause {
    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let pause = |container: &ContainerTarget| Primitive::PauseContainer(container.run());
        Ok(site.containers().map(pause).collect())
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "pauses containers: their processes keep memory and connections, and answer nothing",
        targets: vec![TargetKind::Container],
        parameters: Vec::new(),
        needs: vec![
            "Docker or Podman on a Unix socket that this user may use",
            "pidfd (Linux 5.3)",
        ],
        mechanisms: vec!["Engine API: pause, by the engine's cgroup freezer"],
        recovery_path: "the guardian unpauses what it paused, and nothing that was paused before; \
                        where the engine is dead or hangs it thaws the cgroup itself, and says so; \
                        `firedrill recover` does when both are dead; a restart of the container or \
                        of the host ends it",
        undo: UndoClass::Reversible,
        example: "",
        observed_effect: "the container's cgroup reports itself frozen",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_has_no_parameters() {
        let parse = |value: &Value| ContainerPause::parse(value.as_object().unwrap());
        assert!(parse(&json!({})).is_ok());
        assert!(parse(&json!({"grace": "1s"})).is_err());
    }
}
