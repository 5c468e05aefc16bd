//! One run of a command: how long it took and how much memory it held at most.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Context;

#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) wall: Duration,
    /// The largest resident set of the process and of those it waited for.
    pub(crate) peak_bytes: u64,
    pub(crate) status: ExitStatus,
}

/// Runs the command to its end.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Measured> {
    let begin = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let (raw, peak_kib) = wait4(i32::try_from(child.id())?)?;
    Ok(Measured {
        wall: begin.elapsed(),
        peak_bytes: peak_kib * 1024,
        status: ExitStatus::from_raw(raw),
    })
}

/// Raw status and peak resident set in KiB; the standard library gives only the first.
#[expect(
    unsafe_code,
    reason = "wait4 is the one call that tells a child's peak memory"
)]
fn wait4(pid: i32) -> anyhow::Result<(i32, u64)> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live locals of the right types; `pid` is our child
    // and nobody else reaps it; an all-zero rusage is a valid value.
    let (done, usage) = unsafe {
        let done = libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr());
        (done, usage.assume_init())
    };
    if done != pid {
        return Err(std::io::Error::last_os_error()).context("wait4");
    }
    Ok((status, u64::try_from(usage.ru_maxrss).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    fn a_command_has_a_peak_and_a_status() {
        let done = super::run(Command::new("sh").args(["-c", "exit 3"])).unwrap();
        assert_eq!(done.status.code(), Some(3));
        assert!(done.peak_bytes > 100 * 1024);
    }
}
