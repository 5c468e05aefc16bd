//! How much memory there is, and is left: of the host, and of the cgroups that this process is in.

use std::fs;
use std::path::Path;

use firedrill_kernel::KernelError;
use firedrill_kernel::cgroup::{Cgroup, Controller, Limit, LimitKind};

use crate::stress::StressError;

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Surroundings {
    pub(super) total: u64,
    pub(super) available: u64,
}

impl Surroundings {
    /// The tightest of the host and of the cgroups with a limit, by what is available.
    pub(super) fn read() -> Result<Self, StressError> {
        let host = Self::of_host()?;
        let mut tightest = host;
        let Some(own) = Cgroup::of(std::process::id(), Controller::Memory)? else {
            return Ok(host);
        };
        let mut path = Some(own.path.as_path());
        while let Some(directory) = path {
            let cgroup = Cgroup {
                version: own.version,
                path: directory.to_owned(),
            };
            if !cgroup.has(Controller::Memory) {
                break;
            }
            // v1 shows "no limit" as a number that no host has.
            if let Limit::Memory(Some(total)) = cgroup.limit(LimitKind::Memory)?
                && total < host.total
            {
                let here = Self::of_cgroup(&cgroup, total)?;
                if here.available < tightest.available {
                    tightest = here;
                }
            }
            path = directory.parent();
        }
        Ok(tightest)
    }

    pub(super) fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }

    fn of_host() -> Result<Self, StressError> {
        let path = Path::new("/proc/meminfo");
        let text = fs::read_to_string(path).map_err(|source| StressError::Read {
            path: path.to_owned(),
            source,
        })?;
        let field = |name| {
            kilobytes(&text, name).ok_or_else(|| StressError::Malformed {
                path: path.to_owned(),
                what: "amount of memory",
            })
        };
        Ok(Self {
            total: field("MemTotal:")?,
            available: field("MemAvailable:")?,
        })
    }

    /// What the page cache holds without use of late is as good as free.
    fn of_cgroup(cgroup: &Cgroup, total: u64) -> Result<Self, KernelError> {
        let used = cgroup.memory_usage()?;
        let path = cgroup.path.join("memory.stat");
        let text =
            fs::read_to_string(&path).map_err(|source| KernelError::Read { path, source })?;
        // v1 counts the cgroups below only under this name; v2 has no such name.
        let cache = ["total_inactive_file", "inactive_file"]
            .iter()
            .find_map(|name| number(&text, name))
            .unwrap_or(0);
        Ok(Self {
            total,
            available: total.saturating_sub(used.saturating_sub(cache)),
        })
    }
}

/// A line `Name:   123 kB`, in bytes.
pub(super) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    number(text, name)?.checked_mul(1024)
}

fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok())?
    })
}
