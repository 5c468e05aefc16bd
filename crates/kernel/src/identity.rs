//! Who a process is, so that nobody else is ever signalled in its place.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::OnceLock;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::KernelError;
use crate::process;

/// One process, and no other that will ever have its pid.
///
/// A pid alone is reused within minutes on a busy host. The start time (in clock ticks since boot)
/// tells two holders of a pid apart, the boot id tells two boots apart, and the inode of the pid
/// namespace says in which namespace the pid is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessIdentity {
    pub boot: BootId,
    #[serde(rename = "namespace")]
    pub pid_namespace: u64,
    pub pid: u32,
    pub start: u64,
}

/// The kernel's `boot_id`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BootId(u128);

/// Whether the process of an identity still exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Alive,
    /// Ended (a zombie included), its pid now belongs to another, or it is of another boot.
    Gone,
    /// Its pid is meant in another pid namespace: nothing can be said from here.
    ElsewhereUnknown,
}

/// Of the masks in `/proc/PID/status`: signal 9 is the ninth bit.
const SIGKILL_PENDING: u64 = 1 << 8;

impl ProcessIdentity {
    /// The calling process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn current() -> Result<Self, KernelError> {
        let pid = std::process::id();
        Self::of(pid)?.ok_or(KernelError::Malformed {
            path: Path::new("/proc").join(pid.to_string()),
            what: "entry for the calling process",
        })
    }

    /// The process that has this pid now; `None` if there is none (a zombie counts as none).
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(pid: u32) -> Result<Option<Self>, KernelError> {
        let Some(stat) = process::stat(pid)?.filter(|stat| !stat.is_gone()) else {
            return Ok(None);
        };
        Ok(Some(Self::from_stat(&stat)?))
    }

    /// The identity of a process whose `stat` was just read.
    ///
    /// # Errors
    /// When this host's boot id or pid namespace cannot be read.
    pub fn from_stat(stat: &process::Stat) -> Result<Self, KernelError> {
        let here = here()?;
        Ok(Self {
            boot: here.boot,
            pid_namespace: here.pid_namespace,
            pid: stat.pid,
            start: stat.start,
        })
    }

    /// Whether it still exists, as seen from here.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn presence(&self) -> Result<Presence, KernelError> {
        let here = here()?;
        if self.boot != here.boot {
            return Ok(Presence::Gone);
        }
        if self.pid_namespace != here.pid_namespace {
            return Ok(Presence::ElsewhereUnknown);
        }
        Ok(match self.stat()? {
            Some(_) => Presence::Alive,
            None => Presence::Gone,
        })
    }

    /// Its `stat` line, or `None` if it is gone or its pid belongs to another process by now.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn stat(&self) -> Result<Option<process::Stat>, KernelError> {
        Ok(process::stat(self.pid)?.filter(|stat| stat.start == self.start && !stat.is_gone()))
    }

    /// Whether it is gone or cannot but go: it has been killed, and the kernel takes down what it
    /// held.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn is_dying(&self) -> Result<bool, KernelError> {
        let Some(stat) = self.stat()? else {
            return Ok(true);
        };
        // Not delivered yet, as to one that waits for a processor.
        let pending = process::status_field(self.pid, "SigPnd")?;
        let pending = pending.and_then(|mask| u64::from_str_radix(&mask, 16).ok());
        Ok(stat.is_exiting() || pending.is_some_and(|mask| mask & SIGKILL_PENDING != 0))
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pid, self.start)
    }
}

impl BootId {
    /// This boot.
    ///
    /// # Errors
    /// When `/proc/sys/kernel/random/boot_id` cannot be read.
    pub fn current() -> Result<Self, KernelError> {
        Ok(here()?.boot)
    }

    fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
        (digits.len() == 32)
            .then(|| u128::from_str_radix(&digits, 16).ok())
            .flatten()
            .map(Self)
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({self})")
    }
}

impl Serialize for BootId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BootId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a boot id has 32 hexadecimal digits"))
    }
}

#[derive(Clone, Copy)]
struct Here {
    boot: BootId,
    pid_namespace: u64,
}

/// This boot and this pid namespace; neither changes while the process lives.
fn here() -> Result<Here, KernelError> {
    static HERE: OnceLock<Here> = OnceLock::new();
    if let Some(here) = HERE.get() {
        return Ok(*here);
    }
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = fs::read_to_string(path).map_err(|source| KernelError::Read {
        path: path.into(),
        source,
    })?;
    let boot = BootId::parse(&text).ok_or(KernelError::Malformed {
        path: path.into(),
        what: "boot id",
    })?;
    let path = Path::new("/proc/self/ns/pid");
    let pid_namespace = fs::metadata(path)
        .map_err(|source| KernelError::Read {
            path: path.into(),
            source,
        })?
        .ino();
    Ok(*HERE.get_or_init(|| Here {
        boot,
        pid_namespace,
    }))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_living_process_is_alive_and_a_killed_one_is_gone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap().unwrap();
        assert_eq!(identity.presence().unwrap(), Presence::Alive);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(identity.presence().unwrap(), Presence::Gone);
    }

    #[test]
    fn a_zombie_counts_as_gone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap().unwrap();
        let pidfd = crate::Pidfd::open(&identity).unwrap().unwrap();
        child.kill().unwrap();
        assert!(
            pidfd
                .wait_for_exit(std::time::Duration::from_secs(10))
                .unwrap()
        );
        assert_eq!(identity.presence().unwrap(), Presence::Gone);
        child.wait().unwrap();
    }

    #[test]
    fn another_start_time_is_another_process() {
        let mut identity = ProcessIdentity::current().unwrap();
        identity.start += 1;
        assert_eq!(identity.presence().unwrap(), Presence::Gone);
    }

    #[test]
    fn another_boot_is_gone_and_another_namespace_is_unknown() {
        let me = ProcessIdentity::current().unwrap();
        let other_boot = ProcessIdentity {
            boot: BootId(1),
            ..me
        };
        assert_eq!(other_boot.presence().unwrap(), Presence::Gone);
        let elsewhere = ProcessIdentity {
            pid_namespace: 1,
            ..me
        };
        assert_eq!(elsewhere.presence().unwrap(), Presence::ElsewhereUnknown);
    }
}
