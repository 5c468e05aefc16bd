//! Which processes are stopped: a snapshot to compare with a later one, never to restore.

use std::collections::BTreeSet;

use crate::{KernelError, ProcessIdentity, process};

/// The processes in state `T` or `t` at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoppedProcesses(BTreeSet<ProcessIdentity>);

impl StoppedProcesses {
    /// Reads the state of every visible process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn now() -> Result<Self, KernelError> {
        let mut stopped = BTreeSet::new();
        for pid in process::list()? {
            // One unreadable process does not hide the others.
            let Ok(Some(stat)) = process::stat(pid) else {
                continue;
            };
            if stat.state.is_stopped() {
                stopped.insert(ProcessIdentity::from_stat(&stat)?);
            }
        }
        Ok(Self(stopped))
    }

    /// Stopped now, and not stopped in `before`.
    pub fn since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a ProcessIdentity> {
        self.0.difference(&before.0)
    }

    #[must_use]
    pub fn contains(&self, identity: &ProcessIdentity) -> bool {
        self.0.contains(identity)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ProcessIdentity> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::{Pidfd, Signal};

    #[test]
    fn a_process_stopped_between_two_snapshots_is_the_difference() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap().unwrap();
        let pidfd = Pidfd::open(&identity).unwrap().unwrap();
        let before = StoppedProcesses::now().unwrap();
        pidfd.send(Signal::Stop).unwrap();
        let mut after = StoppedProcesses::now().unwrap();
        // The stop takes effect when the process is next scheduled.
        while !after.contains(&identity) {
            after = StoppedProcesses::now().unwrap();
        }
        assert!(after.since(&before).any(|stopped| *stopped == identity));
        pidfd.send(Signal::Kill).unwrap();
        child.wait().unwrap();
    }
}
