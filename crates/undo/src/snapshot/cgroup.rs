use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Difference;

/// The limits and the freezer of a cgroup, by their files; absent when the cgroup is.
#[derive(Debug, PartialEq)]
pub(super) struct CgroupState(BTreeMap<&'static str, String>);

/// What a fault may set, on either version. Not what the kernel counts.
const FILES: [&str; 16] = [
    "freezer.state",
    "cgroup.freeze",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.shares",
    "cpu.max",
    "cpu.weight",
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.max",
    "memory.high",
    "memory.swap.max",
    "pids.max",
    "blkio.throttle.read_bps_device",
    "blkio.throttle.write_bps_device",
    "io.max",
];

impl CgroupState {
    pub(super) fn read(path: &Path) -> Option<Self> {
        if !path.is_dir() {
            return None;
        }
        let read = |name: &&'static str| {
            let text = fs::read_to_string(path.join(name)).ok()?;
            Some((*name, text.trim().replace('\n', ", ")))
        };
        Some(Self(FILES.iter().filter_map(read).collect()))
    }

    pub(super) fn differences(&self, after: &Self, path: &Path) -> Vec<Difference> {
        let compare = |(name, before): (&&'static str, &String)| {
            let after = after.0.get(name)?;
            Difference::between(&path.join(name).display().to_string(), before, after)
        };
        self.0.iter().filter_map(compare).collect()
    }
}
