//! cgroup freezers: which of them works here is found by operating one, not by its presence.
//!
//! A frozen process cannot tell that it was frozen, and its parent's `waitpid` does not see it,
//! unlike SIGSTOP. On v1 the freezer is a hierarchy of its own: processes can be moved into an own
//! cgroup and back without changing any limit. On v2 a move would change limits, so only a whole
//! existing cgroup can be frozen.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{KernelError, process};

/// The two kernel interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    V1,
    V2,
}

/// Where a freezer of this version is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    pub version: Version,
    pub mount: PathBuf,
}

/// One cgroup, with its freezer's control file open, so that thawing opens nothing.
#[derive(Debug)]
pub struct Cgroup {
    version: Version,
    path: PathBuf,
    control: File,
}

/// How long a freezer may take to reach the state it was told.
const SETTLE: Duration = Duration::from_millis(500);

impl Hierarchy {
    /// The freezers that are mounted here, v1 first; being mounted does not mean being usable.
    ///
    /// # Errors
    /// When `/proc/self/mountinfo` cannot be read.
    pub fn mounted() -> Result<Vec<Self>, KernelError> {
        let path = PathBuf::from("/proc/self/mountinfo");
        let text = fs::read_to_string(&path).map_err(|source| KernelError::Read {
            path: path.clone(),
            source,
        })?;
        let mut found: Vec<Self> = text.lines().filter_map(Self::from_mount_line).collect();
        found.sort_by_key(|hierarchy| hierarchy.version == Version::V2);
        Ok(found)
    }

    /// `36 25 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer`
    fn from_mount_line(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mount = PathBuf::from(before.split(' ').nth(4)?);
        let mut after = after.split(' ');
        match after.next()? {
            "cgroup2" => Some(Self {
                version: Version::V2,
                mount,
            }),
            "cgroup" => after
                .nth(1)?
                .split(',')
                .any(|option| option == "freezer")
                .then_some(Self {
                    version: Version::V1,
                    mount,
                }),
            _ => None,
        }
    }

    /// Freezes and thaws an empty cgroup of our own below that of the calling process.
    ///
    /// # Errors
    /// With the step that failed: then this freezer is not usable here.
    pub fn operate(&self) -> Result<(), KernelError> {
        let me = std::process::id();
        let parent = self.cgroup_of(me)?.ok_or(KernelError::Malformed {
            path: self.mount.clone(),
            what: "cgroup of the calling process",
        })?;
        let cgroup = Cgroup::create(self.version, &parent.join(format!("firedrill-probe-{me}")))?;
        let operated = cgroup.freeze().and_then(|()| cgroup.thaw());
        let removed = cgroup.remove();
        operated.and(removed)
    }

    /// The directory of a process's cgroup in this hierarchy; `None` if the process is gone.
    ///
    /// # Errors
    /// When its `/proc` entry exists and cannot be read.
    pub fn cgroup_of(&self, pid: u32) -> Result<Option<PathBuf>, KernelError> {
        let Some(groups) = process::cgroups(pid)? else {
            return Ok(None);
        };
        Ok(groups.into_iter().find_map(|(controllers, path)| {
            let ours = match self.version {
                Version::V1 => controllers.split(',').any(|name| name == "freezer"),
                Version::V2 => controllers.is_empty(),
            };
            let relative = path.strip_prefix("/").unwrap_or(&path);
            ours.then(|| self.mount.join(relative))
        }))
    }
}

impl Cgroup {
    /// Creates a cgroup of our own.
    ///
    /// # Errors
    /// When it exists, or may not be created, or has no freezer.
    pub fn create(version: Version, path: &Path) -> Result<Self, KernelError> {
        fs::create_dir(path).map_err(|source| KernelError::Create {
            path: path.into(),
            source,
        })?;
        Self::open(version, path).inspect_err(|_| {
            // It is empty and ours; that it could not be opened is the error to report.
            let _ = fs::remove_dir(path);
        })
    }

    /// Opens the freezer of an existing cgroup.
    ///
    /// # Errors
    /// When it has none (the root of a hierarchy has none) or may not be written.
    pub fn open(version: Version, path: &Path) -> Result<Self, KernelError> {
        let file = path.join(match version {
            Version::V1 => "freezer.state",
            Version::V2 => "cgroup.freeze",
        });
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&file)
            .map_err(|source| KernelError::Write { path: file, source })?;
        Ok(Self {
            version,
            path: path.into(),
            control,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Freezes, and waits until every process is frozen.
    ///
    /// # Errors
    /// When refused, or not reached in half a second (a process in an uninterruptible call).
    pub fn freeze(&self) -> Result<(), KernelError> {
        self.write_state(true)?;
        let start = Instant::now();
        while !self.is_frozen()? {
            if start.elapsed() > SETTLE {
                return Err(KernelError::FreezerStuck {
                    path: self.path.clone(),
                    wanted: "frozen",
                    waited_ms: u64::try_from(SETTLE.as_millis()).unwrap_or(u64::MAX),
                });
            }
            pause_briefly();
        }
        Ok(())
    }

    /// Thaws. One write to an open descriptor: allocates and opens nothing.
    ///
    /// # Errors
    /// When refused.
    pub fn thaw(&self) -> Result<(), KernelError> {
        self.write_state(false)
    }

    /// Whether all of its processes are frozen, as the kernel reports it.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn is_frozen(&self) -> Result<bool, KernelError> {
        match self.version {
            Version::V1 => {
                let mut state = [0_u8; 16];
                let length =
                    self.control
                        .read_at(&mut state, 0)
                        .map_err(|source| KernelError::Read {
                            path: self.path.join("freezer.state"),
                            source,
                        })?;
                Ok(state.get(..length) == Some(b"FROZEN\n"))
            }
            Version::V2 => {
                let events = self.path.join("cgroup.events");
                let text = fs::read_to_string(&events).map_err(|source| KernelError::Read {
                    path: events,
                    source,
                })?;
                Ok(text.lines().any(|line| line == "frozen 1"))
            }
        }
    }

    /// The processes in it, not those of cgroups below.
    ///
    /// # Errors
    /// When the cgroup is gone.
    pub fn members(&self) -> Result<Vec<u32>, KernelError> {
        members(&self.path)
    }

    /// Moves a process in; `false` if it is gone.
    ///
    /// # Errors
    /// When refused.
    pub fn adopt(&self, pid: u32) -> Result<bool, KernelError> {
        move_into(&self.path, pid)
    }

    /// Removes it; it must be empty.
    ///
    /// # Errors
    /// When processes are still in it.
    pub fn remove(self) -> Result<(), KernelError> {
        remove_empty(&self.path)
    }

    fn write_state(&self, frozen: bool) -> Result<(), KernelError> {
        let word: &[u8] = match (self.version, frozen) {
            (Version::V1, true) => b"FROZEN",
            (Version::V1, false) => b"THAWED",
            (Version::V2, true) => b"1",
            (Version::V2, false) => b"0",
        };
        (&self.control)
            .write_all(word)
            .map_err(|source| KernelError::Write {
                path: self.path.clone(),
                source,
            })
    }
}

/// Whether a cgroup was told to freeze, even if not every process has got there.
///
/// # Errors
/// When it has no freezer, or is gone.
pub fn is_told_to_freeze(version: Version, cgroup: &Path) -> Result<bool, KernelError> {
    let path = cgroup.join(match version {
        Version::V1 => "freezer.state",
        Version::V2 => "cgroup.freeze",
    });
    let text = fs::read_to_string(&path).map_err(|source| KernelError::Read { path, source })?;
    Ok(!matches!(text.trim(), "THAWED" | "0"))
}

/// The processes of a cgroup, not those of cgroups below.
///
/// # Errors
/// When it is gone.
pub fn members(cgroup: &Path) -> Result<Vec<u32>, KernelError> {
    let path = cgroup.join("cgroup.procs");
    let text = fs::read_to_string(&path).map_err(|source| KernelError::Read { path, source })?;
    let mut pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids)
}

/// Whether there are cgroups below this one; freezing it would freeze them too.
///
/// # Errors
/// When it is gone.
pub fn has_children(cgroup: &Path) -> Result<bool, KernelError> {
    let entries = fs::read_dir(cgroup).map_err(|source| KernelError::Read {
        path: cgroup.into(),
        source,
    })?;
    Ok(entries
        .filter_map(Result::ok)
        .any(|entry| entry.path().is_dir()))
}

/// Moves a process into a cgroup; `false` if it is gone.
///
/// # Errors
/// When refused.
pub fn move_into(cgroup: &Path, pid: u32) -> Result<bool, KernelError> {
    let path = cgroup.join("cgroup.procs");
    match fs::write(&path, pid.to_string()) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(false),
        Err(source) => Err(KernelError::Write { path, source }),
    }
}

/// Removes a cgroup without processes; one that is gone counts as removed.
///
/// # Errors
/// When processes are still in it.
pub(crate) fn remove_empty(cgroup: &Path) -> Result<(), KernelError> {
    // A process that just left or ended may still be accounted to it for an instant.
    let start = Instant::now();
    loop {
        match fs::remove_dir(cgroup) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error)
                if error.raw_os_error() == Some(Errno::BUSY.raw_os_error())
                    && start.elapsed() < SETTLE =>
            {
                pause_briefly();
            }
            Err(source) => {
                return Err(KernelError::Remove {
                    path: cgroup.into(),
                    source,
                });
            }
        }
    }
}

/// One millisecond: the kernel gives no event for a v1 freezer.
fn pause_briefly() {
    let limit = crate::pidfd::timespec(Duration::from_millis(1));
    // An interrupted wait is only shorter.
    let _ = rustix::event::poll(&mut [], Some(&limit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_both_versions_are_told_apart() {
        let v1 = "36 25 0:30 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer";
        let v2 = "37 25 0:31 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw";
        let cpu = "38 25 0:32 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu";
        assert_eq!(Hierarchy::from_mount_line(v1).unwrap().version, Version::V1);
        let unified = Hierarchy::from_mount_line(v2).unwrap();
        assert_eq!(unified.version, Version::V2);
        assert_eq!(unified.mount, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(Hierarchy::from_mount_line(cpu), None);
        assert_eq!(Hierarchy::from_mount_line("garbage"), None);
    }

    #[test]
    fn operating_a_freezer_leaves_nothing_behind() {
        for hierarchy in Hierarchy::mounted().unwrap() {
            let before = hierarchy.cgroup_of(std::process::id()).unwrap().unwrap();
            // Refused without privilege: then it must not have created anything either.
            let _ = hierarchy.operate();
            let probe = before.join(format!("firedrill-probe-{}", std::process::id()));
            assert!(!probe.exists());
            assert_eq!(
                hierarchy.cgroup_of(std::process::id()).unwrap().unwrap(),
                before
            );
        }
    }
}
