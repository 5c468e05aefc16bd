//! The write-ahead log of one drill: what would have to be undone, on disk before it is done.
//!
//! ```text
//! 1f0a44c2 {"n":1,"record":"opened",…}      one line per record: checksum, then JSON
//! 9be2071d {"n":2,"record":"prepared",…}    synced before the effect
//! 00c1f2aa {"n":3,"record":"applied",…}
//! 77ab10e9 {"n":4,"record":"done",…}        an undo never waits for this one
//! \0\0\0\0…                                 zeros up to the allocated end
//! ```
//!
//! Reading ends at the first line that is not whole: a torn tail is what was being written when
//! the machine or the process died, and nothing was applied on its strength. Whoever goes on
//! writing zeroes the tail first, and records are numbered: remains never read as records.
//!
//! A failed sync poisons the log for good: after one, the kernel may have dropped the pages and
//! report success for the next.

mod file;
mod record;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use file::LogFile;
pub use record::{Ending, FORMAT, Opened, Record};

use crate::crash;

/// An open log, for its single writer.
#[derive(Debug)]
pub struct Log<M = LogFile> {
    medium: M,
    path: PathBuf,
    end: u64,
    allocated: u64,
    number: u64,
    poisoned: bool,
    /// Kept, so that a short record is written without allocating.
    line: Vec<u8>,
}

/// Where a log is written: a file, or in tests something that fails on demand.
pub trait Medium {
    /// # Errors
    /// When the bytes were not all written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// # Errors
    /// When what was written may not be durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// What a log holds.
#[derive(Debug, Default)]
pub struct Contents {
    pub records: Vec<Record>,
    /// Bytes up to the end of the last whole record.
    pub length: u64,
}

/// How much a record matters before the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk when the call returns.
    Synced,
    /// In the kernel's memory: it survives this process, not the machine.
    Written,
}

/// Why a record is not in the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("cannot {doing} the undo log {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the undo log {} failed to sync before; it is not trusted again", path.display())]
    Poisoned { path: PathBuf },
    #[error("a record of the undo log {} cannot be encoded", path.display())]
    Encode {
        path: PathBuf,
        source: serde_json::Error,
    },
}

/// Allocated at once, as zeros: a later write inside it needs no space.
const CHUNK: u64 = 64 * 1024;

#[derive(Serialize)]
struct Numbered<'a> {
    n: u64,
    #[serde(flatten)]
    record: &'a Record,
}

#[derive(Deserialize)]
struct NumberedOwned {
    n: u64,
    #[serde(flatten)]
    record: Record,
}

impl Log<LogFile> {
    /// Creates the log and allocates its first chunk. The caller syncs the directory.
    ///
    /// # Errors
    /// When it exists, or the disk is full.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| LogError::io("create", path, source))?;
        Self::on(LogFile::new(file), path)
    }

    /// Opens an existing log to go on writing after its last whole record.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn resume(path: &Path) -> Result<(Self, Contents), LogError> {
        let contents = read(path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| LogError::io("open", path, source))?;
        let allocated = file
            .metadata()
            .map_err(|source| LogError::io("read", path, source))?
            .len();
        let mut log = Self {
            medium: LogFile::new(file),
            path: path.into(),
            end: contents.length,
            allocated: contents.length,
            number: contents.records.len() as u64,
            poisoned: false,
            line: Vec::with_capacity(4096),
        };
        // Remains of a torn tail could otherwise follow our next record and read as one.
        log.allocate(allocated)?;
        Ok((log, contents))
    }

    /// From here on syncs run in a thread of their own, and [`Self::limit_sync`] has an effect.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn sync_in_background(&mut self) -> Result<(), LogError> {
        self.medium
            .sync_in_background()
            .map_err(|source| LogError::io("start a thread for", &self.path, source))
    }

    /// How long the next syncs may take; one that takes longer has failed, and poisons the log.
    pub fn limit_sync(&mut self, limit: Duration) {
        self.medium.limit_sync(limit);
    }
}

impl<M: Medium> Log<M> {
    /// Starts an empty log on a medium.
    ///
    /// # Errors
    /// When its first chunk cannot be allocated and synced.
    pub fn on(medium: M, path: &Path) -> Result<Self, LogError> {
        let mut log = Self {
            medium,
            path: path.into(),
            end: 0,
            allocated: 0,
            number: 0,
            poisoned: false,
            line: Vec::with_capacity(4096),
        };
        log.allocate(CHUNK)?;
        Ok(log)
    }

    /// Appends a record.
    ///
    /// # Errors
    /// When it could not be written; or synced, where that was asked for: then the log is
    /// poisoned, and every later `Synced` append fails.
    pub fn append(&mut self, record: &Record, durability: Durability) -> Result<(), LogError> {
        if self.poisoned && durability == Durability::Synced {
            return Err(LogError::Poisoned {
                path: self.path.clone(),
            });
        }
        let kind = record.kind();
        self.encode(record)?;
        let needed = self.end + self.line.len() as u64;
        if needed > self.allocated {
            self.allocate(needed.div_ceil(CHUNK) * CHUNK)?;
        }
        crash::at(kind, "before-write");
        if crash::is_chosen(kind, "torn-write") {
            let half = self.line.len() / 2;
            self.write(0, half)?;
            crash::at(kind, "torn-write");
        }
        self.write(0, self.line.len())?;
        self.end = needed;
        self.number += 1;
        crash::at(kind, "after-write");
        if durability == Durability::Synced {
            crash::at(kind, "before-sync");
            self.sync()?;
            crash::at(kind, "after-sync");
        }
        Ok(())
    }

    /// Whether a sync failed: nothing new may be applied on the strength of this log.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    fn encode(&mut self, record: &Record) -> Result<(), LogError> {
        self.line.clear();
        // Room for the checksum, which needs the rest first.
        self.line.extend_from_slice(b"00000000 ");
        let numbered = Numbered {
            n: self.number + 1,
            record,
        };
        serde_json::to_writer(&mut self.line, &numbered).map_err(|source| LogError::Encode {
            path: self.path.clone(),
            source,
        })?;
        let sum = checksum(self.line.get(9..).unwrap_or_default());
        let mut head = self.line.as_mut_slice();
        write!(head, "{sum:08x}").map_err(|source| LogError::io("write", &self.path, source))?;
        self.line.push(b'\n');
        Ok(())
    }

    fn write(&mut self, from: usize, to: usize) -> Result<(), LogError> {
        let bytes = self.line.get(from..to).unwrap_or_default();
        self.medium
            .write_at(bytes, self.end)
            .map_err(|source| LogError::io("write", &self.path, source))
    }

    fn allocate(&mut self, to: u64) -> Result<(), LogError> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let mut at = self.allocated;
        while at < to {
            let length = (to - at).min(ZEROS.len() as u64);
            let zeros = ZEROS
                .get(..usize::try_from(length).unwrap_or(0))
                .unwrap_or_default();
            self.medium
                .write_at(zeros, at)
                .map_err(|source| LogError::io("allocate", &self.path, source))?;
            at += length;
        }
        self.allocated = to;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), LogError> {
        self.medium.sync().map_err(|source| {
            self.poisoned = true;
            LogError::io("sync", &self.path, source)
        })
    }
}

impl LogError {
    fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.into(),
            source,
        }
    }
}

/// Reads a log; an absent one is empty.
///
/// # Errors
/// When it exists and cannot be read.
pub fn read(path: &Path) -> Result<Contents, LogError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contents::default()),
        Err(source) => Err(LogError::io("read", path, source)),
    }
}

/// The whole records at the start of a log.
#[must_use]
pub fn parse(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end);
        let Some(record) = parse_line(line, contents.records.len() as u64 + 1) else {
            break;
        };
        contents.records.push(record);
        contents.length += end as u64 + 1;
        rest = after.get(1..).unwrap_or_default();
    }
    contents
}

fn parse_line(line: &[u8], expected: u64) -> Option<Record> {
    let (sum, json) = (line.get(..8)?, line.get(9..)?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if sum != checksum(json) {
        return None;
    }
    let numbered: NumberedOwned = serde_json::from_slice(json).ok()?;
    (numbered.n == expected).then_some(numbered.record)
}

/// CRC-32 (IEEE 802.3, reflected), bit by bit: records are short and rare.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests;
