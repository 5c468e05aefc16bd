use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use firedrill_kernel::{Capability, KernelError};
use rustix::io::Errno;

use super::Protocol;
use crate::handle::WorkerError;

/// Why a load is not in place.
#[derive(Debug, thiserror::Error)]
pub enum StressError {
    #[error("{name} is {value}; it has to be {rule}")]
    OutOfRange {
        name: &'static str,
        value: String,
        rule: &'static str,
    },
    #[error("cannot {doing}: it takes {capability}, which is missing")]
    Lacking {
        doing: String,
        capability: Capability,
    },
    /// More than fits beside the reserve.
    #[error("{wanted} {unit} are asked for, and {free} are free beside the reserve of {reserve}")]
    NoRoom {
        wanted: u64,
        free: u64,
        reserve: u64,
        unit: &'static str,
    },
    #[error("{used} of {total} {unit} are used, which is more than the {percent} % asked for")]
    AlreadyFuller {
        used: u64,
        total: u64,
        percent: f64,
        unit: &'static str,
    },
    /// More than a reasonable number of processes can hold.
    #[error("{wanted} {unit} are asked for, and one process may hold {most} here ({limit})")]
    BeyondProcess {
        wanted: u64,
        most: u64,
        unit: &'static str,
        limit: &'static str,
    },
    #[error("the file system of {} counts no inodes", directory.display())]
    NoInodeLimit { directory: PathBuf },
    #[error("cannot {doing} in {}", directory.display())]
    File {
        doing: &'static str,
        directory: PathBuf,
        source: io::Error,
    },
    #[error("cannot {doing}")]
    Call {
        doing: &'static str,
        source: io::Error,
    },
    #[error("{} has no readable {what}", path.display())]
    Malformed { path: PathBuf, what: &'static str },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{protocol} {address} is taken{}", by(holder))]
    PortTaken {
        protocol: Protocol,
        address: SocketAddr,
        /// Pid and name of the process that has it, where it can be found.
        holder: Option<(u32, String)>,
    },
    #[error("cannot take {protocol} {address}")]
    Port {
        protocol: Protocol,
        address: SocketAddr,
        source: io::Error,
    },
    #[error("a further worker is not there")]
    Crew(#[from] Box<WorkerError>),
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

fn by(holder: &Option<(u32, String)>) -> String {
    holder.as_ref().map_or_else(String::new, |(pid, name)| {
        format!(" by process {pid} ({name})")
    })
}

impl StressError {
    /// The capability whose lack explains why the kernel refused, where it does; else what `other`
    /// says.
    pub(super) fn refused(
        errno: Errno,
        capability: Capability,
        doing: impl Into<String>,
        other: impl FnOnce() -> Self,
    ) -> Self {
        let denied = matches!(errno, Errno::ACCESS | Errno::PERM);
        if denied && capability.is_missing() {
            return Self::Lacking {
                doing: doing.into(),
                capability,
            };
        }
        other()
    }
}
