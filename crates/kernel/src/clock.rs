//! Time that goes on while the machine sleeps: CLOCK_BOOTTIME.
//!
//! A lease is measured on it, so that a suspended laptop does not extend a fault.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
};

use crate::KernelError;
use crate::pidfd::timespec;

/// Time since boot, sleep included.
#[must_use]
pub fn boottime() -> Duration {
    let now = rustix::time::clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// A descriptor that becomes readable at a point of BOOTTIME.
#[derive(Debug)]
pub struct DeadlineTimer(OwnedFd);

impl DeadlineTimer {
    /// A timer that is not set.
    ///
    /// # Errors
    /// When the kernel gives no timerfd on CLOCK_BOOTTIME.
    pub fn new() -> Result<Self, KernelError> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        rustix::time::timerfd_create(TimerfdClockId::Boottime, flags)
            .map(Self)
            .map_err(|source| KernelError::call("timerfd_create(CLOCK_BOOTTIME)", source))
    }

    /// Fires at `at` (BOOTTIME), instead of at the time set before. A past time fires at once.
    ///
    /// # Errors
    /// When the kernel refuses the time.
    pub fn set(&self, at: Duration) -> Result<(), KernelError> {
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // All zeros would disarm it.
        let value = timespec(at.max(Duration::from_nanos(1)));
        let spec = Itimerspec {
            it_interval: zero,
            it_value: value,
        };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &spec)
            .map(drop)
            .map_err(|source| KernelError::call("timerfd_settime", source))
    }

    /// Takes the expiry, so that the descriptor is not readable any more; whether there was one.
    ///
    /// # Errors
    /// When the descriptor cannot be read.
    pub fn take(&self) -> Result<bool, KernelError> {
        let mut count = [0_u8; 8];
        match rustix::io::read(&self.0, &mut count) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(source) => Err(KernelError::call("read of a timerfd", source)),
        }
    }
}

impl AsFd for DeadlineTimer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags};

    use super::*;

    #[test]
    fn a_timer_fires_at_its_deadline_and_once() {
        let timer = DeadlineTimer::new().unwrap();
        assert!(!timer.take().unwrap());
        let at = boottime() + Duration::from_millis(20);
        timer.set(at).unwrap();
        let mut fds = [PollFd::new(&timer, PollFlags::IN)];
        rustix::event::poll(&mut fds, None).unwrap();
        assert!(boottime() >= at);
        assert!(timer.take().unwrap());
        assert!(!timer.take().unwrap());
    }

    #[test]
    fn a_deadline_in_the_past_fires_at_once() {
        let timer = DeadlineTimer::new().unwrap();
        timer.set(Duration::ZERO).unwrap();
        let mut fds = [PollFd::new(&timer, PollFlags::IN)];
        rustix::event::poll(&mut fds, None).unwrap();
        assert!(timer.take().unwrap());
    }
}
