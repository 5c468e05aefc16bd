//! Takes memory from the host, or from the cgroup of a target.

use firedrill_kernel::cgroup::Controller;
use firedrill_undo::Primitive;
use firedrill_worker::Job;
use firedrill_worker::stress::{MemoryAmount, MemoryLoad, PercentOf};
use serde_json::{Map, Value, json};

use super::row::row;
use super::{amount, place, worker};
use crate::FaultError;
use crate::arguments::{Arguments, PERCENT};
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, PlaceKey, Site};
use crate::target::Target;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Memory::parse(arguments)?)),
};

const NAME: &str = "infrastructure.memory";

const OF: &str = "total or available";
const MODES: &str = "additional or total";

/// `infrastructure.memory`
#[derive(Clone, Debug, PartialEq)]
pub struct Memory(MemoryLoad);

impl Memory {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let names = ["bytes", "percent", "of", "mode", "reserve"];
        let mut read = Arguments::new(NAME, arguments, &names);
        let of = read.read("of", OF, |value| {
            Some(match value.as_str()? {
                "total" => PercentOf::Total,
                "available" => PercentOf::Available,
                _ => return None,
            })
        });
        let total = read.read("mode", MODES, |value| {
            Some(match value.as_str()? {
                "additional" => false,
                "total" => true,
                _ => return None,
            })
        });
        let reserve = amount::reserve_bytes(&mut read);
        let amount = amount::bytes(&mut read, NAME);
        let total = total.unwrap_or(false);
        if let Some(found) = read.get("of") {
            if read.get("percent").is_none() {
                read.wrong("of", found, "given with `percent` only");
            } else if total && of == Some(PercentOf::Available) {
                read.wrong("of", found, "total with `mode: total`");
            }
        }
        read.finish()?;
        Ok(Self(MemoryLoad {
            amount: match amount {
                firedrill_worker::stress::Amount::Count(bytes) => MemoryAmount::Bytes(bytes),
                firedrill_worker::stress::Amount::Percent(percent) => MemoryAmount::Percent {
                    percent,
                    of: of.unwrap_or(PercentOf::Total),
                },
            },
            total,
            reserve,
        }))
    }
}

impl Disturbance for Memory {
    /// A second worker in the same cgroup would double the load.
    fn place_of(&self, target: &Target) -> Result<Option<PlaceKey>, CompileError> {
        place::key(target, &[Controller::Memory]).map(Some)
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let places = place::places(site, &[Controller::Memory])?;
        worker::one_in_each(places, &Job::Memory(self.0.clone()))
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "takes memory from the host or a cgroup; the first that the out-of-memory killer takes",
        targets: place::TARGETS.to_vec(),
        parameters: vec![
            row("bytes", ParameterKind::Size, "how much; or `percent`").within("above 0"),
            row("percent", ParameterKind::Number, "how much; or `bytes`")
                .unit("%")
                .within(PERCENT),
            row(
                "of",
                ParameterKind::Choice,
                "what `percent` is of: all there is (of the cgroup's limit, where it has one), or what is available now",
            )
            .within(OF)
            .or(json!("total")),
            row(
                "mode",
                ParameterKind::Choice,
                "additional: taken on top of what others use. total: what everybody uses together, held there while others come and go",
            )
            .within(MODES)
            .or(json!("additional")),
            row(
                "reserve",
                ParameterKind::Size,
                "stays available, whatever was asked for; 5 % and at least 64 MiB where absent",
            ),
        ],
        needs: vec![
            "CAP_SYS_RESOURCE, so that the guardian is spared by the out-of-memory killer",
            worker::NEEDS_CGROUP,
        ],
        mechanisms: worker::MECHANISMS.to_vec(),
        recovery_path: worker::RECOVERY,
        undo: UndoClass::Reversible,
        example: "bytes=256MiB",
        observed_effect: "bytes held and resident; with `mode: total`, bytes in use by everybody, with its interval",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<Memory, FaultError> {
        Memory::parse(value.as_object().unwrap())
    }

    #[test]
    fn bytes_are_added_unless_told_otherwise() {
        let memory = parse(json!({"bytes": "64MiB"})).unwrap().0;
        assert_eq!(memory.amount, MemoryAmount::Bytes(64 << 20));
        assert!(!memory.total);
        let memory = parse(json!({"percent": 80, "mode": "total"})).unwrap().0;
        assert!(memory.total);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            json!({}),
            json!({"bytes": 0}),
            json!({"bytes": 1, "percent": 1}),
            json!({"percent": 100.5}),
            json!({"bytes": 1, "of": "total"}),
            json!({"percent": 50, "of": "available", "mode": "total"}),
            json!({"bytes": 1, "mode": "some"}),
            json!({"bytes": 1, "reserve": -1}),
        ] {
            assert!(parse(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
