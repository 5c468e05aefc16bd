//! When which connection wants to be looked at.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Times and what they are for, with a descriptor that is readable when the first is over.
#[derive(Debug)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    descriptor: OwnedFd,
    armed: Option<Instant>,
}

impl Timers {
    pub(super) fn new() -> std::io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self {
            heap: BinaryHeap::new(),
            descriptor: timerfd_create(TimerfdClockId::Monotonic, flags)?,
            armed: None,
        })
    }

    pub(super) fn add(&mut self, at: Instant, key: usize) {
        self.heap.push(Reverse((at, key)));
    }

    /// The next whose time is over.
    pub(super) fn pop(&mut self, now: Instant) -> Option<usize> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, key))| key)
    }

    /// Sets the descriptor to the first time.
    pub(super) fn arm(&mut self, now: Instant) {
        let first = self.heap.peek().map(|Reverse((at, _))| *at);
        // One that is set too early costs a look, and is set again then.
        let early = self.armed.is_some_and(|armed| armed > now)
            && first.is_none_or(|at| self.armed.is_some_and(|armed| armed <= at));
        if early || (first.is_none() && self.armed.is_none()) {
            return;
        }
        self.armed = first;
        let rest = first.map(|at| {
            at.saturating_duration_since(now)
                .max(Duration::from_nanos(1))
        });
        let rest = rest.unwrap_or_default();
        let zero = Timespec::default();
        let value = Itimerspec {
            it_interval: zero,
            it_value: Timespec::try_from(rest).unwrap_or(zero),
        };
        // With a descriptor of ours and a valid time this cannot fail (timerfd_settime(2)).
        let _set = timerfd_settime(&self.descriptor, TimerfdTimerFlags::empty(), &value);
    }
}

impl AsFd for Timers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
