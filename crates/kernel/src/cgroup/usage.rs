use std::time::Duration;

use super::{Cgroup, Version};
use crate::KernelError;

impl Cgroup {
    /// Processor time used by it and the cgroups below, since it was created. v1: to the
    /// nanosecond, in the `cpuacct` hierarchy; v2: to the microsecond.
    ///
    /// # Errors
    /// When it is gone, or has no accounting.
    pub fn cpu_usage(&self) -> Result<Duration, KernelError> {
        match self.version {
            Version::V1 => self.number("cpuacct.usage").map(Duration::from_nanos),
            Version::V2 => self
                .keyed("cpu.stat", "usage_usec")
                .map(Duration::from_micros),
        }
    }

    /// How long it was kept from running by its quota.
    ///
    /// # Errors
    /// When it is gone, or has no `cpu` controller.
    pub fn throttled(&self) -> Result<Duration, KernelError> {
        match self.version {
            Version::V1 => self
                .keyed("cpu.stat", "throttled_time")
                .map(Duration::from_nanos),
            Version::V2 => self
                .keyed("cpu.stat", "throttled_usec")
                .map(Duration::from_micros),
        }
    }

    /// Bytes held by it and the cgroups below, page cache included.
    ///
    /// # Errors
    /// When it is gone, or has no `memory` controller.
    pub fn memory_usage(&self) -> Result<u64, KernelError> {
        self.number(match self.version {
            Version::V1 => "memory.usage_in_bytes",
            Version::V2 => "memory.current",
        })
    }

    /// Tasks (processes and threads) in it and the cgroups below.
    ///
    /// # Errors
    /// When it is gone, or has no `pids` controller.
    pub fn tasks(&self) -> Result<u64, KernelError> {
        self.number("pids.current")
    }

    /// How often something below it was killed for want of memory.
    ///
    /// # Errors
    /// When it is gone, or has no `memory` controller.
    pub fn out_of_memory_kills(&self) -> Result<u64, KernelError> {
        let file = match self.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        self.keyed(file, "oom_kill")
    }

    pub(super) fn number(&self, file: &'static str) -> Result<u64, KernelError> {
        let text = self.read(file)?;
        text.trim()
            .parse()
            .map_err(|_| self.malformed(file, "number"))
    }

    /// One line of `name value` lines.
    fn keyed(&self, file: &'static str, key: &'static str) -> Result<u64, KernelError> {
        let text = self.read(file)?;
        text.lines()
            .find_map(|line| {
                let (name, value) = line.split_once(' ')?;
                (name == key).then(|| value.trim().parse().ok())?
            })
            .ok_or_else(|| self.malformed(file, key))
    }

    pub(super) fn malformed(&self, file: &str, what: &'static str) -> KernelError {
        KernelError::Malformed {
            path: self.path.join(file),
            what,
        }
    }
}
