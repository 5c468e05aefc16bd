use serde::{Deserialize, Serialize};

use super::{Cgroup, Version, is_gone};
use crate::KernelError;

/// A limit of one kind; inside, `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    Cpu(CpuQuota),
    /// Bytes. The kernel keeps whole pages: see [`Limit::as_kept`].
    Memory(Option<u64>),
    /// Tasks: processes and threads.
    Pids(Option<u64>),
    Io(IoLimit),
}

/// Processor time per period, over all processors together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuQuota {
    pub quota_us: Option<u64>,
    pub period_us: u64,
}

/// Bytes and requests per second on one block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoLimit {
    /// Major and minor number of a whole disk.
    pub device: (u32, u32),
    pub read_bytes: Option<u64>,
    pub write_bytes: Option<u64>,
    pub read_requests: Option<u64>,
    pub write_requests: Option<u64>,
}

/// Which limit to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitKind {
    Cpu,
    Memory,
    Pids,
    Io { device: (u32, u32) },
}

/// What a compare-and-swap found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The limit was the expected one; now it is this.
    Swapped(Limit),
    /// Somebody else changed it: it was left alone.
    Differs(Limit),
    /// The cgroup does not exist any more, and its limit with it.
    Gone,
}

/// The four files of v1 and the keys of v2's `io.max`, in the order of [`IoLimit`]'s fields.
const IO_FILES_V1: [&str; 4] = [
    "blkio.throttle.read_bps_device",
    "blkio.throttle.write_bps_device",
    "blkio.throttle.read_iops_device",
    "blkio.throttle.write_iops_device",
];
const IO_KEYS_V2: [&str; 4] = ["rbps", "wbps", "riops", "wiops"];

impl Limit {
    #[must_use]
    pub fn kind(&self) -> LimitKind {
        match self {
            Self::Cpu(_) => LimitKind::Cpu,
            Self::Memory(_) => LimitKind::Memory,
            Self::Pids(_) => LimitKind::Pids,
            Self::Io(io) => LimitKind::Io { device: io.device },
        }
    }

    /// The limit as the kernel will give it back, to log before it is written.
    #[must_use]
    pub fn as_kept(&self) -> Self {
        match self {
            Self::Memory(Some(bytes)) => {
                let page = rustix::param::page_size() as u64;
                Self::Memory(Some(bytes - bytes % page))
            }
            other => other.clone(),
        }
    }
}

impl Cgroup {
    /// The limit of this cgroup itself; one above may be tighter.
    ///
    /// # Errors
    /// When it is gone or has no such limit (a root has none).
    pub fn limit(&self, kind: LimitKind) -> Result<Limit, KernelError> {
        match kind {
            LimitKind::Cpu => self.cpu_quota().map(Limit::Cpu),
            LimitKind::Memory => self.memory_limit().map(Limit::Memory),
            LimitKind::Pids => {
                let text = self.read("pids.max")?;
                let max = or_max(text.trim()).ok_or_else(|| self.malformed("pids.max", "limit"))?;
                Ok(Limit::Pids(max))
            }
            LimitKind::Io { device } => self.io_limit(device).map(Limit::Io),
        }
    }

    /// Sets a limit, and reads back what the kernel made of it.
    ///
    /// # Errors
    /// When refused: out of range, beyond a v1 parent's quota, or memory that cannot be reclaimed.
    pub fn set(&self, limit: &Limit) -> Result<Limit, KernelError> {
        match limit {
            Limit::Cpu(quota) => self.set_cpu_quota(*quota)?,
            Limit::Memory(bytes) => match self.version {
                Version::V1 => self.write("memory.limit_in_bytes", &or_word(*bytes, "-1"))?,
                Version::V2 => self.write("memory.max", &or_word(*bytes, "max"))?,
            },
            Limit::Pids(max) => self.write("pids.max", &or_word(*max, "max"))?,
            Limit::Io(io) => self.set_io_limit(io)?,
        }
        self.limit(limit.kind())
    }

    /// Sets `new` only if the limit is `expected` now: an undo never overwrites what somebody
    /// else set meanwhile. The kernel has no atomic form of this; the gap is microseconds.
    ///
    /// # Errors
    /// When the cgroup exists and its limit cannot be read or written.
    pub fn swap(&self, expected: &Limit, new: &Limit) -> Result<Swap, KernelError> {
        let swapped = self.limit(expected.kind()).and_then(|present| {
            if present == expected.as_kept() {
                self.set(new).map(Swap::Swapped)
            } else {
                Ok(Swap::Differs(present))
            }
        });
        match swapped {
            Err(KernelError::Read { source, .. } | KernelError::Write { source, .. })
                if is_gone(&source) && !self.exists() =>
            {
                Ok(Swap::Gone)
            }
            other => other,
        }
    }

    fn cpu_quota(&self) -> Result<CpuQuota, KernelError> {
        match self.version {
            Version::V1 => {
                let quota = self.read("cpu.cfs_quota_us")?;
                let quota: i64 = quota
                    .trim()
                    .parse()
                    .map_err(|_| self.malformed("cpu.cfs_quota_us", "quota"))?;
                Ok(CpuQuota {
                    quota_us: u64::try_from(quota).ok(),
                    period_us: self.number("cpu.cfs_period_us")?,
                })
            }
            Version::V2 => {
                let text = self.read("cpu.max")?;
                parse_cpu_max(&text).ok_or_else(|| self.malformed("cpu.max", "quota and period"))
            }
        }
    }

    fn set_cpu_quota(&self, quota: CpuQuota) -> Result<(), KernelError> {
        let period = quota.period_us.to_string();
        match self.version {
            Version::V1 => {
                if self.number("cpu.cfs_period_us")? != quota.period_us {
                    // The old quota with the new period may exceed the parent: lift it first.
                    self.write("cpu.cfs_quota_us", "-1")?;
                    self.write("cpu.cfs_period_us", &period)?;
                }
                self.write("cpu.cfs_quota_us", &or_word(quota.quota_us, "-1"))
            }
            Version::V2 => {
                let quota = or_word(quota.quota_us, "max");
                self.write("cpu.max", &format!("{quota} {period}"))
            }
        }
    }

    fn memory_limit(&self) -> Result<Option<u64>, KernelError> {
        match self.version {
            Version::V1 => {
                let bytes = self.number("memory.limit_in_bytes")?;
                // Unlimited is the largest whole number of pages below 2^63.
                let page = rustix::param::page_size() as u64;
                let unlimited = i64::MAX.unsigned_abs() / page * page;
                Ok((bytes < unlimited).then_some(bytes))
            }
            Version::V2 => {
                let text = self.read("memory.max")?;
                or_max(text.trim()).ok_or_else(|| self.malformed("memory.max", "limit"))
            }
        }
    }

    fn io_limit(&self, device: (u32, u32)) -> Result<IoLimit, KernelError> {
        let mut values = [None; 4];
        match self.version {
            Version::V1 => {
                for (value, file) in values.iter_mut().zip(IO_FILES_V1) {
                    *value = device_line(&self.read(file)?, device)
                        .and_then(|rest| rest.trim().parse().ok());
                }
            }
            Version::V2 => {
                let text = self.read("io.max")?;
                let line = device_line(&text, device).unwrap_or_default();
                for (value, key) in values.iter_mut().zip(IO_KEYS_V2) {
                    *value = line
                        .split_ascii_whitespace()
                        .filter_map(|word| word.split_once('='))
                        .find(|(name, _)| *name == key)
                        .and_then(|(_, number)| number.parse().ok());
                }
            }
        }
        let [read_bytes, write_bytes, read_requests, write_requests] = values;
        Ok(IoLimit {
            device,
            read_bytes,
            write_bytes,
            read_requests,
            write_requests,
        })
    }

    fn set_io_limit(&self, io: &IoLimit) -> Result<(), KernelError> {
        let (major, minor) = io.device;
        let values = [
            io.read_bytes,
            io.write_bytes,
            io.read_requests,
            io.write_requests,
        ];
        match self.version {
            Version::V1 => {
                for (value, file) in values.into_iter().zip(IO_FILES_V1) {
                    // Zero takes the line away.
                    let rate = value.unwrap_or(0);
                    self.write(file, &format!("{major}:{minor} {rate}"))?;
                }
                Ok(())
            }
            Version::V2 => {
                let words: Vec<String> = values
                    .into_iter()
                    .zip(IO_KEYS_V2)
                    .map(|(value, key)| format!("{key}={}", or_word(value, "max")))
                    .collect();
                self.write("io.max", &format!("{major}:{minor} {}", words.join(" ")))
            }
        }
    }
}

/// `max 100000`
fn parse_cpu_max(text: &str) -> Option<CpuQuota> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some(CpuQuota {
        quota_us: or_max(quota)?,
        period_us: period.parse().ok()?,
    })
}

/// The rest of the line that starts with `MAJOR:MINOR`.
fn device_line(text: &str, device: (u32, u32)) -> Option<&str> {
    let wanted = format!("{}:{}", device.0, device.1);
    text.lines().find_map(|line| {
        let (name, rest) = line.split_once(' ')?;
        (name == wanted).then_some(rest)
    })
}

fn or_max(word: &str) -> Option<Option<u64>> {
    if word == "max" {
        return Some(None);
    }
    word.parse().ok().map(Some)
}

fn or_word(value: Option<u64>, unlimited: &str) -> String {
    value.map_or_else(|| unlimited.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_of_a_quota_are_read() {
        let max = parse_cpu_max("max 100000\n").unwrap();
        assert_eq!((max.quota_us, max.period_us), (None, 100_000));
        let half = parse_cpu_max("50000 100000\n").unwrap();
        assert_eq!(half.quota_us, Some(50_000));
        assert_eq!(parse_cpu_max("50000"), None);
    }

    #[test]
    fn a_line_of_another_device_is_not_read() {
        let text = "8:16 rbps=2 wbps=max riops=max wiops=120\n8:1 rbps=7 wbps=max\n";
        assert_eq!(device_line(text, (8, 1)), Some("rbps=7 wbps=max"));
        assert_eq!(device_line(text, (8, 2)), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,60}") {
            let _ = parse_cpu_max(&text);
            let _ = device_line(&text, (8, 0));
            let _ = or_max(&text);
        }
    }
}
