//! Takes the inodes of a file system, beside a reserve that is never taken.

use std::path::PathBuf;

use firedrill_undo::Primitive;
use firedrill_worker::Job;
use firedrill_worker::stress::{Amount, InodeFill};
use serde_json::{Map, Value};

use super::file_system::{self, RESERVE_PERCENT, Room};
use super::row::row;
use super::{Unfit, amount, worker};
use crate::FaultError;
use crate::arguments::{Arguments, PERCENT};
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Inodes::parse(arguments)?)),
};

const NAME: &str = "infrastructure.inodes";

/// `infrastructure.inodes`
#[derive(Clone, Debug, PartialEq)]
pub struct Inodes {
    path: PathBuf,
    amount: Amount,
    reserve: Option<u64>,
}

impl Inodes {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let names = ["path", "count", "percent", "reserve"];
        let mut read = Arguments::new(NAME, arguments, &names);
        let path = file_system::path(&mut read);
        let amount = amount::count(&mut read, NAME);
        let reserve = amount::reserve_count(&mut read);
        read.finish()?;
        Ok(Self {
            path,
            amount,
            reserve,
        })
    }
}

impl Disturbance for Inodes {
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let space = file_system::space(&self.path)?;
        if space.inodes_total == 0 {
            let path = self.path.clone();
            return Err(Unfit::NoInodes { path }.into());
        }
        let reserve = self
            .reserve
            .unwrap_or(space.inodes_total / 100 * RESERVE_PERCENT);
        let room = Room {
            total: space.inodes_total,
            available: space.inodes_available,
            unit: "inodes",
        };
        room.check(&self.path, self.amount, reserve)?;
        let job = Job::Inodes(InodeFill {
            directory: self.path.clone(),
            amount: self.amount,
            reserve,
        });
        worker::one_in_each(vec![Vec::new()], &job)
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "takes the inodes of a file system, beside a reserve that is never taken",
        targets: vec![TargetKind::Host],
        parameters: vec![
            row(
                "path",
                ParameterKind::Text,
                "a directory of the file system; the files there have no names",
            )
            .within("absolute, writable")
            .required(),
            row(
                "count",
                ParameterKind::Number,
                "how many to take; or `percent`",
            )
            .within("a whole number from 1"),
            row(
                "percent",
                ParameterKind::Number,
                "the level to fill to, as `df -i` shows it; or `count`",
            )
            .unit("%")
            .within(PERCENT),
            row(
                "reserve",
                ParameterKind::Number,
                "stay free; 5 % where absent",
            )
            .within("a whole number from 0"),
        ],
        needs: vec![
            "a directory that may be written to",
            "a file system with a fixed number of inodes (btrfs has none)",
        ],
        mechanisms: vec!["worker processes with open files that have no names"],
        recovery_path: worker::RECOVERY,
        undo: UndoClass::Reversible,
        example: "path=/var/tmp percent=99",
        observed_effect: "inodes held",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            json!({"path": "/tmp"}),
            json!({"path": "/tmp", "count": 0}),
            json!({"path": "/tmp", "count": 1.5}),
            json!({"path": "/tmp", "percent": -1}),
            json!({"path": "/tmp", "count": 1, "reserve": -1}),
        ] {
            assert!(
                Inodes::parse(wrong.as_object().unwrap()).is_err(),
                "{wrong}"
            );
        }
    }
}
