//! The system-wide table of open files (`fs.file-max`): eventfds, each an open file of its own.

use std::convert::Infallible;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::StressError;
use super::room::{Amount, Room};
use crate::control::Control;
use crate::measurement::{Measurement, Quantity};

/// Open files. One process holds them, so their number is bounded by the descriptors of a process
/// (`fs.nr_open`, usually 1,048,576).
///
/// The kernel enforces `fs.file-max` on processes without `CAP_SYS_ADMIN` only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescriptorFill {
    /// Open files, or the share of `fs.file-max` in use.
    pub amount: Amount,
    /// Open files that stay possible.
    pub reserve: u64,
}

const FILE_NR: &str = "/proc/sys/fs/file-nr";
const NR_OPEN: &str = "/proc/sys/fs/nr_open";

/// What a worker needs itself, with room for reading a file or two.
const OWN: u64 = 32;

/// Files between two looks at the deadline.
const STEP: usize = 1024;

impl DescriptorFill {
    /// # Errors
    /// When a parameter is out of range.
    pub fn validate(&self) -> Result<(), StressError> {
        self.amount.validate()
    }

    pub(crate) fn run(self, control: &Control) -> Result<Infallible, StressError> {
        let wanted = room()?.share(self.amount, self.reserve)?;
        allow_descriptors(wanted, "open files")?;
        let mut held: Vec<OwnedFd> = Vec::new();
        while (held.len() as u64) < wanted {
            if held.len().is_multiple_of(STEP) {
                control.check();
                // Others open files too.
                room()?.share(Amount::Count(wanted - held.len() as u64), self.reserve)?;
            }
            let fd = eventfd(0, EventfdFlags::CLOEXEC).map_err(|errno| StressError::Call {
                doing: "open an eventfd",
                source: errno.into(),
            })?;
            held.push(fd);
        }
        let count = held.len() as f64;
        control.ready(move || {
            vec![Measurement::exact(
                Quantity::DescriptorsHeld,
                Some(wanted as f64),
                count,
            )]
        });
        loop {
            control.wait(Duration::from_secs(60));
            // Held for as long as the process lives.
            std::hint::black_box(&held);
        }
    }
}

/// Raises this process's limit so that it may open so many files.
pub(super) fn allow_descriptors(count: u64, unit: &'static str) -> Result<(), StressError> {
    let needed = count.saturating_add(OWN);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let most = read_number(Path::new(NR_OPEN))?;
    let beyond = |most: u64, limit: &'static str| StressError::BeyondProcess {
        wanted: count,
        most: most.saturating_sub(OWN),
        unit,
        limit,
    };
    if needed > most {
        return Err(beyond(most, "fs.nr_open"));
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: Some(limit.maximum.unwrap_or(needed).max(needed)),
    };
    // Above the hard limit it takes CAP_SYS_RESOURCE.
    setrlimit(Resource::Nofile, raised)
        .map_err(|_| beyond(limit.maximum.unwrap_or(most), "RLIMIT_NOFILE"))
}

/// `file-nr`: allocated, unused (always 0 since Linux 2.6), and the maximum.
fn room() -> Result<Room, StressError> {
    let path = Path::new(FILE_NR);
    let text = fs::read_to_string(path).map_err(|source| StressError::Read {
        path: path.to_owned(),
        source,
    })?;
    let numbers: Vec<u64> = text
        .split_ascii_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    match numbers.as_slice() {
        [used, _, total] => Ok(Room {
            total: *total,
            used: *used,
            unit: "open files",
        }),
        _ => Err(StressError::Malformed {
            path: path.to_owned(),
            what: "count of open files",
        }),
    }
}

/// A file that holds one number.
pub(super) fn read_number(path: &Path) -> Result<u64, StressError> {
    let text = fs::read_to_string(path).map_err(|source| StressError::Read {
        path: path.to_owned(),
        source,
    })?;
    text.trim().parse().map_err(|_| StressError::Malformed {
        path: path.to_owned(),
        what: "number",
    })
}
