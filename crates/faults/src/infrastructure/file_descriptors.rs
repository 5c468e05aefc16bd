//! Takes entries of the host's table of open files.

use firedrill_undo::Primitive;
use firedrill_worker::Job;
use firedrill_worker::stress::DescriptorFill;
use serde_json::{Map, Value, json};

use super::row::row;
use super::{amount, worker};
use crate::FaultError;
use crate::arguments::{Arguments, PERCENT};
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(FileDescriptors::parse(arguments)?)),
};

const NAME: &str = "infrastructure.file-descriptors";

/// Enough for a shell and what it starts.
const RESERVE: u64 = 1024;

/// `infrastructure.file-descriptors`
#[derive(Clone, Debug, PartialEq)]
pub struct FileDescriptors(DescriptorFill);

impl FileDescriptors {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["count", "percent", "reserve"]);
        let amount = amount::count(&mut read, NAME);
        let reserve = amount::reserve_count(&mut read).unwrap_or(RESERVE);
        read.finish()?;
        Ok(Self(DescriptorFill { amount, reserve }))
    }
}

impl Disturbance for FileDescriptors {
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let job = Job::Descriptors(self.0.clone());
        worker::one_in_each(vec![Vec::new()], &job)
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "takes entries of the host's table of open files (fs.file-max)",
        targets: vec![TargetKind::Host],
        parameters: vec![
            row(
                "count",
                ParameterKind::Number,
                "open files to take; or `percent`",
            )
            .within("a whole number from 1"),
            row(
                "percent",
                ParameterKind::Number,
                "the level to fill to, of fs.file-max; or `count`",
            )
            .unit("%")
            .within(PERCENT),
            row(
                "reserve",
                ParameterKind::Number,
                "open files that stay possible",
            )
            .within("a whole number from 0")
            .or(json!(RESERVE)),
        ],
        needs: vec![
            "beyond the hard limit of descriptors: CAP_SYS_RESOURCE",
            "the kernel holds only processes without CAP_SYS_ADMIN to fs.file-max",
        ],
        mechanisms: vec!["worker processes with eventfds"],
        recovery_path: worker::RECOVERY,
        undo: UndoClass::Reversible,
        example: "count=10000",
        observed_effect: "open files held",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            json!({}),
            json!({"count": 0}),
            json!({"count": "many"}),
            json!({"percent": 0}),
            json!({"count": 1, "percent": 1}),
        ] {
            let arguments = wrong.as_object().unwrap();
            assert!(FileDescriptors::parse(arguments).is_err(), "{wrong}");
        }
    }
}
