use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;
use firedrill_kernel::{Pidfd, Presence, ProcessIdentity, Signal};
use serde::{Deserialize, Serialize};

use super::process::{END_WITHIN, Member};
use super::{Addresses, ShopError};

/// A shop that was left running, as its state file tells of it.
#[derive(Debug, Clone)]
pub struct KeptShop {
    directory: PathBuf,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    addresses: Addresses,
    processes: Vec<Process>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Process {
    name: String,
    identity: ProcessIdentity,
}

impl KeptShop {
    /// The shop that was kept in this directory, running or not; none without a state file.
    ///
    /// # Errors
    /// When the state file cannot be read.
    pub fn find(directory: &Path) -> Result<Option<KeptShop>, ShopError> {
        let path = state_path(directory);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ShopError::File { path, source }),
        };
        let state =
            serde_json::from_slice(&text).map_err(|source| ShopError::State { path, source })?;
        let directory = directory.to_owned();
        Ok(Some(KeptShop { directory, state }))
    }

    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.state.addresses
    }

    /// The name and pid of each process.
    pub fn processes(&self) -> impl Iterator<Item = (&str, u32)> {
        let processes = self.state.processes.iter();
        processes.map(|process| (process.name.as_str(), process.identity.pid))
    }

    /// Whether any of its processes is there. What cannot be told counts as there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let mut processes = self.state.processes.iter();
        processes.any(|process| !matches!(process.identity.presence(), Ok(Presence::Gone)))
    }

    /// Kills what is left of it, waits for the end, removes the state file, and says how many
    /// processes it ended. A process that took over a pid is left alone.
    ///
    /// # Errors
    /// A process that could not be ended; the state file stays then.
    pub fn stop(self) -> Result<usize, ShopError> {
        let mut ended = 0;
        for process in &self.state.processes {
            ended += usize::from(process.end()?);
        }
        forget(&self.directory)?;
        Ok(ended)
    }
}

impl Process {
    /// False if it had ended already.
    fn end(&self) -> Result<bool, ShopError> {
        let failed = |source| ShopError::Kernel {
            name: self.name.clone(),
            pid: self.identity.pid,
            source,
        };
        let Some(pidfd) = Pidfd::open(&self.identity).map_err(failed)? else {
            return Ok(false);
        };
        pidfd.send(Signal::Kill).map_err(failed)?;
        if !pidfd.wait_for_exit(END_WITHIN).map_err(failed)? {
            return Err(ShopError::StillThere {
                name: self.name.clone(),
                pid: self.identity.pid,
            });
        }
        Ok(true)
    }
}

/// Writes the state file, whole or not at all.
pub(super) fn note(
    directory: &Path,
    addresses: &Addresses,
    members: &[Member],
) -> Result<(), ShopError> {
    let path = state_path(directory);
    let processes = members.iter().map(|member| Process {
        name: member.name().to_owned(),
        identity: member.identity(),
    });
    let state = State {
        addresses: addresses.clone(),
        processes: processes.collect(),
    };
    let text = serde_json::to_vec_pretty(&state).map_err(|source| ShopError::State {
        path: path.clone(),
        source,
    })?;
    replace(&path, &text).map_err(|source| ShopError::File { path, source })
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = AtomicWriteFile::open(path)?;
    file.write_all(text)?;
    file.commit()
}

pub(super) fn forget(directory: &Path) -> Result<(), ShopError> {
    let path = state_path(directory);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ShopError::File { path, source })
        }
        _ => Ok(()),
    }
}

fn state_path(directory: &Path) -> PathBuf {
    directory.join("shop.json")
}
