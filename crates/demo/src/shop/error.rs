use std::io;
use std::path::PathBuf;
use std::time::Duration;

use firedrill_kernel::KernelError;
use thiserror::Error;

use crate::roles::Failure;

/// Why the shop did not start, or did not stop.
#[derive(Debug, Error)]
pub enum ShopError {
    #[error("the shop's {field} must be {min} to {max}, and is {value}")]
    Limit {
        field: &'static str,
        min: u64,
        max: u64,
        value: u64,
    },
    #[error("cannot use {path:?}")]
    File { path: PathBuf, source: io::Error },
    #[error("the state file {path:?} is not one of the shop's")]
    State {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("a shop kept in {directory:?} still runs; stop it first")]
    StillKept { directory: PathBuf },
    #[error("no shop was started to be kept in {directory:?}")]
    NotKept { directory: PathBuf },
    #[error("cannot start the thread that the shop's processes belong to")]
    Nursery { source: io::Error },
    #[error("the thread that the shop's processes belong to is gone")]
    NurseryGone,
    #[error("cannot write the configuration of {name}")]
    Config {
        name: String,
        source: serde_json::Error,
    },
    #[error("cannot start {name}")]
    Spawn { name: String, source: io::Error },
    #[error("{name} ended by itself ({status}): {log_end}")]
    Died {
        name: String,
        status: String,
        /// The last lines of its log.
        log_end: String,
    },
    #[error("{name} did not say where it listens; its log is in {log:?}")]
    Silent { name: String, log: PathBuf },
    #[error("the shop's proxy was asked for {asked}: {why}")]
    NoAnswer { asked: &'static str, why: Failure },
    #[error("the shop's proxy refused {asked}: {said}")]
    Refused { asked: &'static str, said: String },
    #[error("the answer of the shop's proxy to {asked} is not as expected")]
    Answer {
        asked: &'static str,
        source: serde_json::Error,
    },
    #[error("after {waited:?} the proxy does not find these healthy: {}", missing.join(", "))]
    NotHealthy {
        missing: Vec<String>,
        waited: Duration,
    },
    #[error("cannot end {name} (pid {pid})")]
    End {
        name: String,
        pid: u32,
        source: io::Error,
    },
    #[error("cannot look after {name} (pid {pid})")]
    Kernel {
        name: String,
        pid: u32,
        source: KernelError,
    },
    #[error("{name} (pid {pid}) was killed and has not ended")]
    StillThere { name: String, pid: u32 },
}
