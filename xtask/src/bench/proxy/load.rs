//! The load: what is asked, how often, and what came of it.

mod h2load;
mod pgbench;
mod redis_benchmark;
mod wrk;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

/// The processor of the load and of the server.
pub(super) const PROCESSOR: &str = "1";

/// As many requests as are answered: each connection asks again when it has its answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// By wrk.
    Http {
        connections: u32,
        path: &'static str,
        /// Whether a connection has many requests, or one.
        keep: bool,
    },
    /// By h2load, small requests, in clear text from the first byte.
    Http2 {
        connections: u32,
        /// Requests that a connection has open at any time.
        streams: u32,
    },
    /// By redis-benchmark, `SET` of 100 bytes.
    Redis { connections: u32 },
    /// By pgbench, prepared statements that select one row.
    Postgres { connections: u32 },
}

#[derive(Debug)]
pub(super) struct Done {
    pub(super) requests: f64,
    pub(super) bytes: f64,
    pub(super) seconds: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

impl Load {
    /// Every request has to be answered as it should be.
    ///
    /// # Errors
    ///
    /// A program that cannot be started, a request that failed, or no answer at all.
    pub(super) fn run(self, address: SocketAddr, seconds: u64) -> anyhow::Result<Done> {
        match self {
            Self::Http {
                connections,
                path,
                keep,
            } => wrk::run(address, connections, path, keep, seconds),
            Self::Http2 {
                connections,
                streams,
            } => h2load::run(address, connections, streams, seconds),
            Self::Redis { connections } => redis_benchmark::run(address, connections, seconds),
            Self::Postgres { connections } => pgbench::run(address, connections, seconds),
        }
    }
}

/// What the program says, on the processor of the load.
fn said(program: impl AsRef<OsStr>, fill: impl FnOnce(&mut Command)) -> anyhow::Result<String> {
    let mut command = Command::new("taskset");
    command.args(["-c", PROCESSOR]).arg(&program);
    fill(&mut command);
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", program.as_ref().display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
