use std::io::{self, Write};
use std::net::SocketAddr;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::RoleError;

/// The line a role writes on its standard output once it accepts connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The proxy's interface; of the others, where they are asked.
    pub listening: SocketAddr,
}

pub(super) fn announce(listening: SocketAddr) -> Result<(), RoleError> {
    let failed = |source| RoleError::Announce { source };
    let line = serde_json::to_string(&Announcement { listening })
        .map_err(|error| failed(io::Error::from(error)))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").map_err(failed)?;
    out.flush().map_err(failed)
}

/// Has the kernel kill this process when the thread that spawned it ends, for whatever reason.
/// That reaches a stopped process too, which could not watch for its parent itself.
pub(super) fn end_with(parent: Option<u32>) -> Result<(), RoleError> {
    let Some(parent) = parent else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| RoleError::Bind {
        parent,
        source: error.into(),
    })?;
    // It may have gone before the request was in place; then no signal comes.
    let current = getppid().map(|pid| pid.as_raw_nonzero().get());
    if current.and_then(|pid| u32::try_from(pid).ok()) == Some(parent) {
        Ok(())
    } else {
        Err(RoleError::Orphaned { parent })
    }
}
