//! Signals to the calling process, read from a descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;

use rustix::io::Errno;

use crate::{KernelError, sys};

/// SIGINT, SIGTERM, SIGHUP and SIGPIPE of the calling thread, blocked and read from here.
#[derive(Debug)]
pub struct SignalQueue(OwnedFd);

/// A signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// SIGTERM: somebody with the right to ask wants this process to end.
    Terminate,
    /// SIGINT, SIGHUP or SIGPIPE: a terminal's or a pipe's business.
    Terminal,
}

/// The kernel writes one record of this size per signal; its first four bytes are the number.
const RECORD: usize = 128;

impl SignalQueue {
    /// Call it before other threads start: they would still receive the signals.
    ///
    /// # Errors
    /// When the kernel refuses a signalfd.
    pub fn open() -> Result<Self, KernelError> {
        sys::signal_descriptor(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGPIPE])
            .map(Self)
            .map_err(|source| KernelError::Call {
                call: "signalfd",
                source,
            })
    }

    /// The next signal, if one is waiting.
    ///
    /// # Errors
    /// When the descriptor cannot be read.
    pub fn take(&self) -> Result<Option<Arrived>, KernelError> {
        let mut record = [0_u8; RECORD];
        match rustix::io::read(&self.0, &mut record) {
            Ok(_) => {
                let number = i32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
                Ok(Some(if number == libc::SIGTERM {
                    Arrived::Terminate
                } else {
                    Arrived::Terminal
                }))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(source) => Err(KernelError::call("read of a signalfd", source)),
        }
    }
}

/// Has a command start with no signal blocked: who reads signals from a queue has them blocked, and
/// what it starts would be born deaf to SIGTERM.
pub fn start_unblocked(command: &mut Command) -> &mut Command {
    sys::start_unblocked(command);
    command
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
