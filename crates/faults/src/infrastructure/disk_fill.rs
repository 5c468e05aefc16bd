//! Fills a file system up to a level, beside a reserve that is never taken.

use std::path::PathBuf;

use firedrill_undo::Primitive;
use firedrill_worker::Job;
use firedrill_worker::stress::{Amount, DiskFill as Fill};
use serde_json::{Map, Value};

use super::file_system::{self, RESERVE_PERCENT, Room};
use super::row::row;
use super::{amount, worker};
use crate::FaultError;
use crate::arguments::{Arguments, PERCENT};
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(DiskFill::parse(arguments)?)),
};

const NAME: &str = "infrastructure.disk-fill";

/// `infrastructure.disk-fill`
#[derive(Clone, Debug, PartialEq)]
pub struct DiskFill {
    path: PathBuf,
    amount: Amount,
    reserve: Option<u64>,
}

impl DiskFill {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let names = ["path", "bytes", "percent", "reserve"];
        let mut read = Arguments::new(NAME, arguments, &names);
        let path = file_system::path(&mut read);
        let amount = amount::bytes(&mut read, NAME);
        let reserve = amount::reserve_bytes(&mut read);
        read.finish()?;
        Ok(Self {
            path,
            amount,
            reserve,
        })
    }
}

impl Disturbance for DiskFill {
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let space = file_system::space(&self.path)?;
        let reserve_bytes = self
            .reserve
            .unwrap_or(space.total_bytes / 100 * RESERVE_PERCENT);
        // As `df` counts: what only root may use is neither free nor part of the whole.
        let used = space.total_bytes.saturating_sub(space.free_bytes);
        let room = Room {
            total: used + space.available_bytes,
            available: space.available_bytes,
            unit: "bytes",
        };
        room.check(&self.path, self.amount, reserve_bytes)?;
        let job = Job::Disk(Fill {
            directory: self.path.clone(),
            amount: self.amount,
            reserve_bytes,
        });
        worker::one_in_each(vec![Vec::new()], &job)
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "fills a file system, beside a reserve that is never taken",
        targets: vec![TargetKind::Host],
        parameters: vec![
            row(
                "path",
                ParameterKind::Text,
                "a directory of the file system; the file there has no name",
            )
            .within("absolute, writable")
            .required(),
            row(
                "bytes",
                ParameterKind::Size,
                "how much to take; or `percent`",
            )
            .within("above 0"),
            row(
                "percent",
                ParameterKind::Number,
                "the level to fill to, as `df` shows it; or `bytes`",
            )
            .unit("%")
            .within(PERCENT),
            row(
                "reserve",
                ParameterKind::Size,
                "stays free, for processes without privileges; 5 % where absent",
            ),
        ],
        needs: vec!["a directory that may be written to"],
        mechanisms: vec!["a worker process with one file that has no name"],
        recovery_path: worker::RECOVERY,
        undo: UndoClass::Reversible,
        example: "path=/var/tmp percent=95",
        observed_effect: "bytes of blocks that the file holds",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<DiskFill, FaultError> {
        DiskFill::parse(value.as_object().unwrap())
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            json!({"bytes": "1MiB"}),
            json!({"path": "/tmp"}),
            json!({"path": "tmp", "bytes": "1MiB"}),
            json!({"path": "/tmp", "bytes": 0}),
            json!({"path": "/tmp", "percent": 0}),
            json!({"path": "/tmp", "percent": 101}),
            json!({"path": "/tmp", "bytes": 1, "percent": 1}),
        ] {
            assert!(parse(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn more_than_there_is_and_a_level_below_the_present_one_are_refused() {
        let compile = |value| parse(value).unwrap().compile(&Site::of(&[]));
        let error = compile(json!({"path": "/tmp", "bytes": "1024TiB"})).unwrap_err();
        assert!(error.to_string().contains("are free beside"), "{error}");
        let error = compile(json!({"path": "/tmp", "percent": 0.001})).unwrap_err();
        assert!(error.to_string().contains("already"), "{error}");
        assert!(compile(json!({"path": "/etc/passwd", "bytes": 1})).is_err());
    }
}
