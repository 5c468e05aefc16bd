//! Keeps a block device busy with reads and writes.

use std::path::PathBuf;

use firedrill_experiment::units;
use firedrill_kernel::cgroup::Controller;
use firedrill_undo::Primitive;
use firedrill_worker::Job;
use firedrill_worker::stress::{Amount, IoLoad, IoMode};
use serde_json::{Map, Value, json};

use super::file_system::{self, RESERVE_PERCENT, Room};
use super::row::row;
use super::{amount, place, worker};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, PlaceKey, Site};
use crate::target::Target;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Io::parse(arguments)?)),
};

const NAME: &str = "infrastructure.io";

const MODES: &str = "read, write or mixed";
const BLOCKS: &str = "a multiple of 4KiB, at most 16MiB";
const FILES: &str = "a multiple of block-size";

/// `infrastructure.io`
#[derive(Clone, Debug, PartialEq)]
pub struct Io {
    path: PathBuf,
    mode: IoMode,
    block_size: u64,
    rate: Option<u64>,
    workers: u32,
    file_size: u64,
    reserve: Option<u64>,
}

impl Io {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let names = [
            "path",
            "mode",
            "block-size",
            "rate",
            "workers",
            "file-size",
            "reserve",
        ];
        let mut read = Arguments::new(NAME, arguments, &names);
        let path = file_system::path(&mut read);
        let mode = read.read("mode", MODES, |value| {
            Some(match value.as_str()? {
                "read" => IoMode::Read,
                "write" => IoMode::Write,
                "mixed" => IoMode::Mixed,
                _ => return None,
            })
        });
        let block_size = read.read("block-size", BLOCKS, |value| {
            let size = units::size(value).ok()?;
            ((4096..=16 << 20).contains(&size) && size.is_multiple_of(4096)).then_some(size)
        });
        let block_size = block_size.unwrap_or(64 << 10);
        let file_size = read.read("file-size", FILES, |value| {
            let size = units::size(value).ok()?;
            (size > 0 && size.is_multiple_of(block_size)).then_some(size)
        });
        let file_size = file_size.unwrap_or(16 << 20);
        if !file_size.is_multiple_of(block_size) {
            read.wrong("file-size", &json!(file_size), FILES);
        }
        let rate = read.size("rate");
        let workers = read.whole("workers", 1..=64, "a whole number from 1 to 64");
        let reserve = amount::reserve_bytes(&mut read);
        read.finish()?;
        Ok(Self {
            path,
            mode: mode.unwrap_or(IoMode::Mixed),
            block_size,
            rate,
            workers: workers
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(1),
            file_size,
            reserve,
        })
    }
}

impl Disturbance for Io {
    /// A second worker in the same cgroup would double the load.
    fn place_of(&self, target: &Target) -> Result<Option<PlaceKey>, CompileError> {
        place::key(target, &[Controller::Io]).map(Some)
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let space = file_system::space(&self.path)?;
        let reserve_bytes = self
            .reserve
            .unwrap_or(space.total_bytes / 100 * RESERVE_PERCENT);
        let room = Room {
            total: space.total_bytes,
            available: space.available_bytes,
            unit: "bytes",
        };
        let files = self.file_size.saturating_mul(u64::from(self.workers));
        room.check(&self.path, Amount::Count(files), reserve_bytes)?;
        let job = Job::Io(IoLoad {
            directory: self.path.clone(),
            mode: self.mode,
            block_size: self.block_size,
            rate: self.rate,
            workers: self.workers,
            file_size: self.file_size,
            reserve_bytes,
        });
        worker::one_in_each(place::places(site, &[Controller::Io])?, &job)
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "keeps the device of a file system busy with reads and writes, past the page cache",
        targets: place::TARGETS.to_vec(),
        parameters: vec![
            row(
                "path",
                ParameterKind::Text,
                "a directory of the file system; its files there have no names",
            )
            .within("absolute, writable")
            .required(),
            row(
                "mode",
                ParameterKind::Choice,
                "what it does; mixed is by turns",
            )
            .within(MODES)
            .or(json!("mixed")),
            row("block-size", ParameterKind::Size, "of one request")
                .within(BLOCKS)
                .or(json!("64KiB")),
            row(
                "rate",
                ParameterKind::Size,
                "per second, of all workers together; as fast as the device goes where absent",
            )
            .unit("bytes/s")
            .within("above 0"),
            row(
                "workers",
                ParameterKind::Number,
                "threads, with a file each",
            )
            .within("1 to 64")
            .or(json!(1)),
            row(
                "file-size",
                ParameterKind::Size,
                "of each file, written before the load begins",
            )
            .within(FILES)
            .or(json!("16MiB")),
            row(
                "reserve",
                ParameterKind::Size,
                "stays free on the file system; 5 % of it where absent",
            ),
        ],
        needs: vec!["a directory that may be written to", worker::NEEDS_CGROUP],
        mechanisms: worker::MECHANISMS.to_vec(),
        recovery_path: worker::RECOVERY,
        undo: UndoClass::Reversible,
        example: "path=/var/tmp mode=write rate=10MiB",
        observed_effect: "bytes per second that were read and written, with its interval",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<Io, FaultError> {
        Io::parse(value.as_object().unwrap())
    }

    #[test]
    fn only_the_path_is_needed() {
        let io = parse(json!({"path": "/tmp"})).unwrap();
        assert_eq!(
            (io.mode, io.block_size, io.workers),
            (IoMode::Mixed, 65_536, 1)
        );
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let error = parse(json!({
            "path": "here", "mode": "erase", "block-size": "5KiB", "file-size": "7KiB", "rate": 0,
            "workers": 65, "reserve": "much",
        }));
        assert_eq!(error.unwrap_err().each().len(), 7);
    }

    #[test]
    fn a_directory_that_is_not_there_or_has_no_room_is_refused() {
        let compile = |value| {
            let site = [crate::Target::Host];
            parse(value).unwrap().compile(&Site::of(&site))
        };
        assert!(compile(json!({"path": "/does/not/exist"})).is_err());
        assert!(compile(json!({"path": "/proc"})).is_err());
        let error = compile(json!({"path": "/tmp", "file-size": "1024TiB"})).unwrap_err();
        assert!(error.to_string().contains("are free beside"), "{error}");
    }
}
