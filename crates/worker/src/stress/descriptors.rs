//! The system-wide table of open files (`fs.file-max`): eventfds, each an open file of its own.

use std::convert::Infallible;
use std::fs;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::StressError;
use super::crew::{Capacity, Crew};
use super::room::{Amount, Room};
use crate::control::Control;
use crate::job::Job;
use crate::measurement::{Measurement, Quantity};

/// Open files, of as many processes as it takes: each may have as many as its limit can be raised to
/// (`RLIMIT_NOFILE`, at most `fs.nr_open`).
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
        let capacity = descriptors_for("open files", wanted)?;
        let (crew, own) = Crew::start(wanted, capacity, control, |count| {
            Job::Descriptors(Self {
                amount: Amount::Count(count),
                reserve: self.reserve,
            })
        })?;
        make_table(control.socket(), own);
        let mut held: Vec<OwnedFd> = Vec::new();
        while (held.len() as u64) < own {
            if held.len().is_multiple_of(STEP) {
                control.check();
                // Others open files too.
                room()?.share(Amount::Count(own - held.len() as u64), self.reserve)?;
            }
            let fd = eventfd(0, EventfdFlags::CLOEXEC).map_err(|errno| StressError::Call {
                doing: "open an eventfd",
                source: errno.into(),
            })?;
            held.push(fd);
        }
        control.ready(move || {
            vec![Measurement::exact(
                Quantity::DescriptorsHeld,
                Some(wanted as f64),
                wanted as f64,
            )]
        });
        // `held` lives as long as this.
        crew.keep(control)
    }
}

/// Raises this process's limit as far as it takes and goes; how many it may hold then.
pub(super) fn descriptors_for(unit: &'static str, count: u64) -> Result<Capacity, StressError> {
    let most = read_number(Path::new(NR_OPEN))?;
    let needed = count.saturating_add(OWN).min(most);
    let limit = getrlimit(Resource::Nofile);
    let (soft, hard) = (limit.current.unwrap_or(most), limit.maximum.unwrap_or(most));
    let raise = |to: u64, hard: u64| {
        let raised = Rlimit {
            current: Some(to),
            maximum: Some(hard),
        };
        setrlimit(Resource::Nofile, raised).is_ok()
    };
    let granted = if soft >= needed {
        soft
    } else if raise(needed, hard.max(needed)) {
        // Above the hard limit it takes CAP_SYS_RESOURCE.
        needed
    } else if raise(hard, hard) {
        hard
    } else {
        soft
    };
    Ok(Capacity {
        pieces: granted.saturating_sub(OWN),
        unit,
        limit: "RLIMIT_NOFILE",
    })
}

/// Has the kernel make the table of descriptors large enough at once. In a process with threads it
/// waits for all processors whenever the table doubles, which is some 20 ms each time.
pub(super) fn make_table(any: impl AsFd, count: u64) {
    let last = RawFd::try_from(count.saturating_add(OWN - 1)).unwrap_or(RawFd::MAX);
    // Refused, it grows bit by bit.
    let _ = rustix::io::fcntl_dupfd_cloexec(any, last);
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
