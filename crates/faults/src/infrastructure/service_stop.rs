//! Stops a unit by its service manager, and starts it again.

use std::path::PathBuf;

use firedrill_undo::systemd::SYSTEM_SOCKET;
use firedrill_undo::{Primitive, ServiceManager, ServiceStop as Stop};
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
    parse: |arguments| Ok(Box::new(ServiceStop::parse(arguments)?)),
};

const NAME: &str = "infrastructure.service-stop";

const UNITS: &str = "the name of a unit with its ending, such as nginx.service";
const MANAGERS: &str = "system, or the absolute path of a manager's private socket";

/// Endings of units whose stop and start are each other's inverse.
const ENDINGS: [&str; 4] = [".service", ".socket", ".timer", ".path"];

/// `infrastructure.service-stop`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStop {
    unit: String,
    manager: PathBuf,
    not_enabled: bool,
}

impl ServiceStop {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["unit", "manager", "not-enabled"]);
        let unit = read.read("unit", UNITS, unit);
        let unit = read.require("unit", unit, UNITS);
        let manager = read.read("manager", MANAGERS, |value| match value.as_str()? {
            "system" => Some(PathBuf::from(SYSTEM_SOCKET)),
            path => Some(PathBuf::from(path)).filter(|path| path.is_absolute()),
        });
        let not_enabled = read.flag("not-enabled");
        read.finish()?;
        Ok(Self {
            unit,
            manager: manager.unwrap_or_else(|| SYSTEM_SOCKET.into()),
            not_enabled: not_enabled.unwrap_or(false),
        })
    }
}

/// Letters, digits and `:-_.\@`, at most 255: systemd.unit(5).
fn unit(value: &Value) -> Option<String> {
    let unit = value.as_str()?;
    let ending = ENDINGS.iter().any(|ending| {
        unit.strip_suffix(ending)
            .is_some_and(|name| !name.is_empty())
    });
    let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    (ending && unit.len() <= 255 && unit.chars().all(plain)).then(|| unit.to_owned())
}

/// What something starts at boot, by itself or for another.
fn comes_back(state: &str) -> bool {
    matches!(
        state,
        "enabled" | "static" | "alias" | "indirect" | "generated" | "linked"
    )
}

impl Disturbance for ServiceStop {
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let mut manager = ServiceManager::at(&self.manager).map_err(Unfit::from)?;
        let state = manager.active_state(&self.unit).map_err(Unfit::from)?;
        if state != "active" {
            let unit = self.unit.clone();
            return Err(Unfit::NotActive { unit, state }.into());
        }
        let file = manager.unit_file_state(&self.unit).map_err(Unfit::from)?;
        if !self.not_enabled && !comes_back(&file) {
            let state = if file.is_empty() {
                "transient".into()
            } else {
                file
            };
            let unit = self.unit.clone();
            return Err(Unfit::WouldNotComeBack { unit, state }.into());
        }
        Ok(vec![Primitive::StopService(Stop {
            manager: self.manager.clone(),
            unit: self.unit.clone(),
        })])
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "stops a unit of systemd, and starts it again",
        targets: vec![TargetKind::Host],
        parameters: vec![
            row(
                "unit",
                ParameterKind::Text,
                "a service, socket, timer or path that is active; what requires it stops with it and is not started again",
            )
            .within(UNITS)
            .required(),
            row("manager", ParameterKind::Text, "whose unit it is; a user's manager listens at /run/user/UID/systemd/private")
                .within(MANAGERS)
                .or(json!("system")),
            row(
                "not-enabled",
                ParameterKind::Boolean,
                "also a unit that nothing would start at boot, if the host were rebooted during the fault",
            )
            .or(json!(false)),
        ],
        needs: vec!["systemd", "root, or the user whose manager it is"],
        mechanisms: vec!["StopUnit and StartUnit over the manager's private socket"],
        recovery_path: "the guardian starts the unit when its owner dies or the lease runs out, if it is inactive still; `firedrill recover` does when both are dead; after a reboot the manager itself starts what is enabled",
        undo: UndoClass::Reversible,
        example: "unit=nginx.service",
        observed_effect: "the manager says that the unit is inactive or failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<ServiceStop, FaultError> {
        ServiceStop::parse(value.as_object().unwrap())
    }

    #[test]
    fn a_unit_has_an_ending_that_can_be_started_again() {
        assert!(parse(json!({"unit": "getty@tty1.service"})).is_ok());
        for wrong in [
            "nginx",
            ".service",
            "a b.service",
            "boot.mount",
            "a/b.service",
            "rescue.target",
        ] {
            assert!(parse(json!({"unit": wrong})).is_err(), "{wrong}");
        }
        assert!(parse(json!({})).is_err());
        assert!(parse(json!({"unit": "a.service", "manager": "here"})).is_err());
    }

    #[test]
    fn without_a_manager_it_is_refused() {
        let stop = json!({"unit": "a.service", "manager": "/does/not/exist"});
        let error = parse(stop).unwrap().compile(&Site::of(&[])).unwrap_err();
        assert!(error.to_string().contains("no service manager"), "{error}");
    }
}
