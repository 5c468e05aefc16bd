//! What keeps a small process alive and alone: each step is best effort unless it says otherwise.

use std::fs;

use rustix::mm::MlockAllFlags;

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
