//! cgroups as targets and as cages: which hierarchy offers a controller here, a cgroup of our own,
//! moving processes, reading use, and limits that are only changed from an expected value.
//!
//! v1 and v2 are often mounted side by side, each with some of the controllers, so each
//! controller is looked for by itself, and believed only after it was operated. Source:
//! Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the kernel.
//!
//! Not here: switching a controller on in somebody else's `cgroup.subtree_control`. It would
//! change the host; a v2 controller is offered only where it is on already.

mod limit;
mod usage;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

pub use limit::{CpuQuota, IoLimit, Limit, LimitKind, Swap};

pub use crate::freezer::Version;
use crate::{KernelError, freezer, mounts, process};

/// What a cgroup can measure or limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controller {
    Cpu,
    CpuAccounting,
    Memory,
    Pids,
    Io,
}

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hierarchy {
    pub version: Version,
    pub mount: PathBuf,
    /// Which directory of the hierarchy is mounted there: not `/` inside some containers.
    pub root: PathBuf,
}

/// One cgroup: plain data, so that a log can name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cgroup {
    pub version: Version,
    pub path: PathBuf,
}

impl Controller {
    pub const ALL: [Self; 5] = [
        Self::Cpu,
        Self::CpuAccounting,
        Self::Memory,
        Self::Pids,
        Self::Io,
    ];

    /// Its name in mount options and in `/proc/PID/cgroup`.
    fn name_v1(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuAccounting => "cpuacct",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Io => "blkio",
        }
    }

    /// Its name in `cgroup.controllers`; `None` where every cgroup has it without asking.
    fn name_v2(self) -> Option<&'static str> {
        match self {
            Self::Cpu => Some("cpu"),
            Self::CpuAccounting => None,
            Self::Memory => Some("memory"),
            Self::Pids => Some("pids"),
            Self::Io => Some("io"),
        }
    }

    /// A file that only a non-root cgroup with this controller has.
    fn file(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::Cpu, Version::V1) => "cpu.cfs_quota_us",
            (Self::Cpu, Version::V2) => "cpu.max",
            (Self::CpuAccounting, Version::V1) => "cpuacct.usage",
            (Self::CpuAccounting, Version::V2) => "cpu.stat",
            (Self::Memory, Version::V1) => "memory.limit_in_bytes",
            (Self::Memory, Version::V2) => "memory.max",
            (Self::Pids, _) => "pids.max",
            (Self::Io, Version::V1) => "blkio.throttle.read_bps_device",
            (Self::Io, Version::V2) => "io.max",
        }
    }
}

impl Hierarchy {
    /// The mounted hierarchies that have the controller. Having it does not mean that we may use
    /// it: see [`Hierarchy::usable`].
    ///
    /// A controller is in one hierarchy only, but for processor time: beside a v1 hierarchy that
    /// groups processes, v2 counts it too, and often for one group with everything in it. So v1
    /// comes first.
    ///
    /// # Errors
    /// When the mounts cannot be read.
    pub fn mounted(controller: Controller) -> Result<Vec<Self>, KernelError> {
        let mut found: Vec<Self> = mounts::list()?
            .iter()
            .filter_map(|mount| Self::from_mount(mount, controller))
            .filter(|hierarchy| hierarchy.has(controller))
            .collect();
        found.sort_by_key(|hierarchy| hierarchy.version);
        found.dedup_by(|a, b| a.version == b.version && a.root == b.root);
        Ok(found)
    }

    /// The first hierarchy in which the controller works for us, found by operating it.
    ///
    /// # Errors
    /// When the mounts cannot be read.
    pub fn usable(controller: Controller) -> Result<Option<Self>, KernelError> {
        let mounted = Self::mounted(controller)?;
        Ok(mounted
            .into_iter()
            .find(|hierarchy| hierarchy.operate(controller).is_ok()))
    }

    /// Creates an empty cgroup of our own, changes its limit, reads it back and removes it.
    ///
    /// # Errors
    /// With the step that failed: then this controller is not usable here.
    pub fn operate(&self, controller: Controller) -> Result<(), KernelError> {
        let me = std::process::id();
        let parent = self.parent_for(controller, me)?;
        let name = format!("firedrill-probe-{}-{me}", controller.name_v1());
        let cgroup = parent.create_child(&name)?;
        let operated = cgroup.operate(controller);
        let removed = cgroup.remove();
        operated.and(removed)
    }

    /// The cgroup of a process in this hierarchy; `None` if the process is gone, or its cgroup is
    /// outside of what is mounted here.
    ///
    /// # Errors
    /// When its `/proc` entry exists and cannot be read.
    pub fn cgroup_of(
        &self,
        controller: Controller,
        pid: u32,
    ) -> Result<Option<Cgroup>, KernelError> {
        let Some(groups) = process::cgroups(pid)? else {
            return Ok(None);
        };
        Ok(groups.into_iter().find_map(|(controllers, path)| {
            let ours = match self.version {
                Version::V1 => controllers
                    .split(',')
                    .any(|name| name == controller.name_v1()),
                Version::V2 => controllers.is_empty(),
            };
            if !ours {
                return None;
            }
            Some(Cgroup {
                version: self.version,
                path: self.place(&path)?,
            })
        }))
    }

    /// The nearest cgroup at or above that of a process whose children have the controller: the
    /// place for a cgroup of our own that stays within the limits of the process.
    ///
    /// # Errors
    /// When the process is gone, or no cgroup on the way up offers the controller.
    pub fn parent_for(&self, controller: Controller, pid: u32) -> Result<Cgroup, KernelError> {
        let own = self
            .cgroup_of(controller, pid)?
            .ok_or(KernelError::Malformed {
                path: self.mount.clone(),
                what: "cgroup of the process",
            })?;
        let mut next = Some(own.path.as_path());
        while let Some(path) = next.filter(|path| path.starts_with(&self.mount)) {
            let cgroup = Cgroup {
                version: self.version,
                path: path.into(),
            };
            if cgroup.gives_children(controller)? {
                return Ok(cgroup);
            }
            next = path.parent();
        }
        Err(KernelError::Malformed {
            path: own.path,
            what: "ancestor that gives its children the controller",
        })
    }

    fn from_mount(mount: &mounts::Mount, controller: Controller) -> Option<Self> {
        let version = match mount.kind.as_str() {
            "cgroup2" => Version::V2,
            "cgroup" => mount
                .super_options
                .split(',')
                .any(|option| option == controller.name_v1())
                .then_some(Version::V1)?,
            _ => return None,
        };
        Some(Self {
            version,
            mount: mount.point.clone(),
            root: mount.root.clone(),
        })
    }

    /// On v2, whether the controller was left to it; a v1 hierarchy says so in its mount options.
    fn has(&self, controller: Controller) -> bool {
        let (Version::V2, Some(name)) = (self.version, controller.name_v2()) else {
            return true;
        };
        fs::read_to_string(self.mount.join("cgroup.controllers"))
            .is_ok_and(|names| names.split_ascii_whitespace().any(|word| word == name))
    }

    /// Where a path of `/proc/PID/cgroup` is found below the mount.
    fn place(&self, path: &Path) -> Option<PathBuf> {
        // Processes outside of our cgroup namespace show as `/../…`.
        if path
            .components()
            .any(|part| part == std::path::Component::ParentDir)
        {
            return None;
        }
        let relative = path.strip_prefix(&self.root).ok()?;
        Some(if relative.as_os_str().is_empty() {
            self.mount.clone()
        } else {
            self.mount.join(relative)
        })
    }
}

impl Cgroup {
    /// The cgroup of a process for one controller, in the hierarchy that has it; `None` if the
    /// process is gone or the controller nowhere to be seen.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(pid: u32, controller: Controller) -> Result<Option<Self>, KernelError> {
        for hierarchy in Hierarchy::mounted(controller)? {
            if let Some(cgroup) = hierarchy.cgroup_of(controller, pid)? {
                return Ok(Some(cgroup));
            }
        }
        Ok(None)
    }

    /// Creates a cgroup of our own below this one.
    ///
    /// # Errors
    /// When it exists already, the name is no plain file name, or creating is refused.
    pub fn create_child(&self, name: &str) -> Result<Self, KernelError> {
        let path = self.path.join(name);
        let plain = Path::new(name).components().count() == 1 && path.parent() == Some(&self.path);
        if !plain {
            return Err(KernelError::Create {
                path,
                source: io::Error::from(io::ErrorKind::InvalidInput),
            });
        }
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self {
                version: self.version,
                path,
            }),
            Err(source) => Err(KernelError::Create { path, source }),
        }
    }

    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Whether its files for the controller are there. The root of a hierarchy lacks some.
    #[must_use]
    pub fn has(&self, controller: Controller) -> bool {
        self.path.join(controller.file(self.version)).exists()
    }

    /// Moves a process in, with all of its threads; `false` if it is gone.
    ///
    /// # Errors
    /// When refused.
    pub fn adopt(&self, pid: u32) -> Result<bool, KernelError> {
        freezer::move_into(&self.path, pid)
    }

    /// The processes in it, not those of cgroups below; none if it is gone.
    ///
    /// # Errors
    /// When it exists and cannot be read.
    pub fn processes(&self) -> Result<Vec<u32>, KernelError> {
        match freezer::members(&self.path) {
            Err(KernelError::Read { source, .. }) if is_gone(&source) => Ok(Vec::new()),
            other => other,
        }
    }

    /// The processes in it and in every cgroup below, by rising pid.
    ///
    /// # Errors
    /// When it exists and cannot be read.
    pub fn processes_below(&self) -> Result<Vec<u32>, KernelError> {
        let mut pids = self.processes()?;
        for child in self.children()? {
            pids.extend(child.processes_below()?);
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// The cgroups directly below, by name; none if it is gone.
    ///
    /// # Errors
    /// When it exists and cannot be read.
    pub fn children(&self) -> Result<Vec<Self>, KernelError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if is_gone(&error) => return Ok(Vec::new()),
            Err(source) => {
                return Err(KernelError::Read {
                    path: self.path.clone(),
                    source,
                });
            }
        };
        let mut children: Vec<Self> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| Self {
                version: self.version,
                path: entry.path(),
            })
            .collect();
        children.sort();
        Ok(children)
    }

    /// Removes it; it must be without processes. One that is gone already counts as removed.
    ///
    /// # Errors
    /// When processes or cgroups are still in it after half a second.
    pub fn remove(&self) -> Result<(), KernelError> {
        freezer::remove_empty(&self.path)
    }

    fn gives_children(&self, controller: Controller) -> Result<bool, KernelError> {
        let (Version::V2, Some(name)) = (self.version, controller.name_v2()) else {
            return Ok(true);
        };
        let enabled = self.read("cgroup.subtree_control")?;
        Ok(enabled.split_ascii_whitespace().any(|word| word == name))
    }

    fn operate(&self, controller: Controller) -> Result<(), KernelError> {
        let probe = match controller {
            Controller::CpuAccounting => return self.cpu_usage().map(drop),
            // Needs a real device to limit: that the file can be read is all there is to try.
            Controller::Io => return self.read(controller.file(self.version)).map(drop),
            Controller::Cpu => Limit::Cpu(CpuQuota {
                quota_us: Some(50_000),
                period_us: 100_000,
            }),
            Controller::Memory => Limit::Memory(Some(64 << 20)),
            Controller::Pids => Limit::Pids(Some(77)),
        };
        if self.set(&probe)? == probe {
            return Ok(());
        }
        Err(KernelError::Malformed {
            path: self.path.join(controller.file(self.version)),
            what: "limit that was just written",
        })
    }

    fn read(&self, file: &str) -> Result<String, KernelError> {
        let path = self.path.join(file);
        fs::read_to_string(&path).map_err(|source| KernelError::Read { path, source })
    }

    fn write(&self, file: &str, value: &str) -> Result<(), KernelError> {
        let path = self.path.join(file);
        // Opened for writing only: creating is never wanted in a cgroup.
        let written = fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()));
        written.map_err(|source| KernelError::Write { path, source })
    }
}

/// A cgroup that is removed while a file of it is open gives ENODEV.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}

#[cfg(test)]
mod tests;
