//! Reboots the host, or turns it off: two faults of one kind.

use firedrill_kernel::power::{self, HostEnd};
use firedrill_undo::{HostEnding, Primitive};
use serde_json::{Map, Value, json};

use super::Unfit;
use super::row::row;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::policy::{Action, Policy};
use crate::target::TargetKind;

pub(crate) const REBOOT: Kind = Kind {
    entry: || entry(HostEnd::Reboot),
    parse: |arguments| Ok(Box::new(EndOfHost::parse(HostEnd::Reboot, arguments)?)),
};

pub(crate) const SHUTDOWN: Kind = Kind {
    entry: || entry(HostEnd::Shutdown),
    parse: |arguments| Ok(Box::new(EndOfHost::parse(HostEnd::Shutdown, arguments)?)),
};

/// `infrastructure.host-reboot` and `infrastructure.host-shutdown`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndOfHost {
    ending: HostEnding,
    allow: bool,
}

impl EndOfHost {
    fn parse(end: HostEnd, arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(name(end), arguments, &["allow", "sync"]);
        let allow = read.flag("allow");
        let sync = read.flag("sync");
        read.finish()?;
        Ok(Self {
            ending: HostEnding {
                end,
                sync: sync.unwrap_or(true),
            },
            allow: allow.unwrap_or(false),
        })
    }

    /// Whether document and policy both allow it.
    fn check(self, policy: &Policy) -> Result<(), Unfit> {
        let (end, action) = match self.ending.end {
            HostEnd::Reboot => ("host-reboot", Action::HostReboot),
            HostEnd::Shutdown => ("host-shutdown", Action::HostShutdown),
        };
        if !self.allow {
            return Err(Unfit::NotAllowedByDocument { end });
        }
        if !policy.allows(action) {
            return Err(Unfit::NotAllowedByPolicy {
                end,
                policy: policy.path().to_owned(),
            });
        }
        Ok(())
    }
}

impl Disturbance for EndOfHost {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Irreversible
    }

    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.check(&Policy::of_this_host().map_err(Unfit::from)?)?;
        if !power::is_the_host()? {
            return Err(Unfit::NotTheHost.into());
        }
        Ok(vec![Primitive::EndHost(self.ending)])
    }
}

fn name(end: HostEnd) -> &'static str {
    match end {
        HostEnd::Reboot => "infrastructure.host-reboot",
        HostEnd::Shutdown => "infrastructure.host-shutdown",
    }
}

fn entry(end: HostEnd) -> Entry {
    let reboots = end == HostEnd::Reboot;
    Entry {
        name: name(end),
        layer: "infrastructure",
        summary: if reboots {
            "reboots the host at once, without asking anything to stop"
        } else {
            "turns the host off at once, without asking anything to stop"
        },
        targets: vec![TargetKind::Host],
        parameters: vec![
            row(
                "allow",
                ParameterKind::Boolean,
                "has to be true; and the policy has to allow it, too",
            )
            .or(json!(false)),
            row(
                "sync",
                ParameterKind::Boolean,
                "write to the disks first; false is as when the power fails",
            )
            .or(json!(true)),
        ],
        needs: vec![
            "CAP_SYS_BOOT, in the first PID namespace",
            "`allow: [host-reboot]` or `[host-shutdown]` in /etc/firedrill/policy.yaml, or the file that FIREDRILL_POLICY names",
        ],
        mechanisms: vec!["reboot(2)"],
        recovery_path: if reboots {
            "none: the host starts again by itself; then `firedrill recover` says that the drill ended with it"
        } else {
            "none: somebody has to turn the host on; then `firedrill recover` says that the drill ended with it"
        },
        undo: UndoClass::Irreversible,
        example: "allow=true",
        observed_effect: "another boot: this drill's journal is never written, its log is found by the next boot",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn policy(text: &str) -> Policy {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Policy::at(file.path()).unwrap()
    }

    fn end(value: &Value) -> EndOfHost {
        EndOfHost::parse(HostEnd::Reboot, value.as_object().unwrap()).unwrap()
    }

    #[test]
    fn document_and_policy_both_have_to_allow_it() {
        let (yes, no) = (json!({"allow": true}), json!({}));
        let (open, other) = (
            policy("allow: [host-reboot]"),
            policy("allow: [host-shutdown]"),
        );
        assert!(end(&yes).check(&open).is_ok());
        assert!(matches!(
            end(&no).check(&open),
            Err(Unfit::NotAllowedByDocument { .. })
        ));
        assert!(matches!(
            end(&yes).check(&other),
            Err(Unfit::NotAllowedByPolicy { .. })
        ));
        assert_eq!(end(&yes).undo_class(), UndoClass::Irreversible);
    }

    #[test]
    fn anything_but_true_and_false_is_a_mistake() {
        for wrong in [
            json!({"allow": 1}),
            json!({"sync": "no"}),
            json!({"force": true}),
        ] {
            let read = EndOfHost::parse(HostEnd::Shutdown, wrong.as_object().unwrap());
            assert!(read.is_err(), "{wrong}");
        }
    }
}
