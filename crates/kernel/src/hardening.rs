//! What keeps a small process alive and alone: each step is best effort unless it says otherwise.

use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, getrlimit};

use crate::{KernelError, sys};

/// Which steps of [`harden`] the kernel granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hardened {
    /// Its memory cannot be swapped out.
    pub memory_locked: bool,
    /// The out-of-memory killer spares it.
    pub spared_by_oom_killer: bool,
    /// It is scheduled before everything that is not realtime, so that a starved host still undoes.
    pub realtime: bool,
}

/// A session of its own, so that no terminal signals it.
///
/// # Errors
/// When the process leads a process group already.
pub fn own_session() -> Result<(), KernelError> {
    rustix::process::setsid()
        .map(drop)
        .map_err(|source| KernelError::call("setsid", source))
}

/// Closes every descriptor that was inherited beyond the three standard ones.
///
/// To be called first thing in a new process, before it opens anything of its own.
///
/// # Errors
/// On kernels before 5.9.
pub fn close_inherited() -> Result<(), KernelError> {
    sys::close_from(3).map_err(|source| KernelError::Call {
        call: "close_range",
        source,
    })
}

/// Locks the memory in use, asks the out-of-memory killer to look elsewhere, and asks to be
/// scheduled first. The last is for a process that mostly sleeps, and is not inherited.
///
/// Future memory is left unlocked: with a small `RLIMIT_MEMLOCK` it would make later allocations
/// fail, which is worse than a page fault.
#[must_use]
pub fn harden() -> Hardened {
    Hardened {
        memory_locked: rustix::mm::mlockall(MlockAllFlags::CURRENT).is_ok(),
        spared_by_oom_killer: fs::write("/proc/self/oom_score_adj", "-1000").is_ok(),
        realtime: sys::run_before_others().is_ok(),
    }
}

/// Takes what is behind standard output to the highest descriptor that this process may have, and
/// leaves nothing in its place. The kernel closes the descriptors of a process that ends from the
/// highest down: who reads from the other side learns of the end first.
///
/// # Errors
/// When no descriptor is left, or `/dev/null` cannot be opened.
pub fn stdout_closes_first() -> Result<OwnedFd, KernelError> {
    /// A table of descriptors up to here takes the kernel half a MiB.
    const HIGHEST: u64 = 65_535;
    let failed = |source: std::io::Error| KernelError::Call {
        call: "moving standard output",
        source,
    };
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(HIGHEST + 1);
    let highest = limit.saturating_sub(1).min(HIGHEST) as i32;
    let high = fcntl_dupfd_cloexec(std::io::stdout(), highest);
    let high = high.map_err(|errno| failed(errno.into()))?;
    let nothing = std::fs::File::open("/dev/null").map_err(failed)?;
    sys::become_stdout(nothing.as_fd()).map_err(failed)?;
    Ok(high)
}
