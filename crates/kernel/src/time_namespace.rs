//! Time namespaces: MONOTONIC and BOOTTIME away from those of the host, for what is started in one.
//!
//! CLOCK_REALTIME is the same in all of them: the kernel offers no other. Source:
//! time_namespaces(7); kernel/time/namespace.c.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{KernelError, sys};

/// What is added to the clocks, in nanoseconds; below zero it is taken off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockOffsets {
    pub monotonic_ns: i64,
    pub boottime_ns: i64,
}

const OFFSETS: &str = "/proc/self/timens_offsets";
const CHILDREN: &str = "/proc/self/ns/time_for_children";

const SECOND: i64 = 1_000_000_000;

/// Moves the calling process, which must have one thread, into a new time namespace with these
/// offsets. What it executes next stays in it.
///
/// # Errors
/// Without CAP_SYS_ADMIN and CAP_SYS_TIME, on a kernel without time namespaces (Linux 5.6), with
/// more than one thread, or when a clock would go below zero.
pub fn enter(offsets: ClockOffsets) -> Result<(), KernelError> {
    sys::unshare_time()
        .map_err(|errno| KernelError::call("a new time namespace (unshare)", errno))?;
    let line = |clock, offset: i64| {
        let (seconds, rest) = (offset.div_euclid(SECOND), offset.rem_euclid(SECOND));
        format!("{clock} {seconds} {rest}\n")
    };
    let text = line("monotonic", offsets.monotonic_ns) + &line("boottime", offsets.boottime_ns);
    fs::write(OFFSETS, text).map_err(|source| KernelError::Write {
        path: Path::new(OFFSETS).into(),
        source,
    })?;
    let children = File::open(CHILDREN).map_err(|source| KernelError::Read {
        path: Path::new(CHILDREN).into(),
        source,
    })?;
    move_into_link_name_space(children.as_fd(), Some(LinkNameSpaceType::Time))
        .map_err(|errno| KernelError::call("entering a time namespace (setns)", errno))
}
