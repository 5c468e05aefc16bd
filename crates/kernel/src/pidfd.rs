//! Signals and waiting by process descriptor, which a reused pid cannot mislead.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use serde::{Deserialize, Serialize};

use crate::{KernelError, ProcessIdentity};

/// An open process. Signals sent through it reach this process or nobody.
#[derive(Debug)]
pub struct Pidfd {
    fd: OwnedFd,
    pid: u32,
}

/// The signals that faults and their inverses send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    Stop,
    Cont,
    Term,
    Kill,
    Int,
    Hup,
    Quit,
    Abrt,
    Segv,
    Usr1,
    Usr2,
    Winch,
    Alrm,
    Pipe,
    Chld,
    Urg,
    Io,
    Xcpu,
    Xfsz,
    Vtalrm,
    Prof,
    Pwr,
    Trap,
    Bus,
    Fpe,
    Ill,
    Sys,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Sent,
    /// The process had ended already.
    Gone,
}

impl Pidfd {
    /// Opens the process of this identity, or nothing if it is gone or is another process by now.
    ///
    /// # Errors
    /// When the kernel refuses a descriptor (a limit), or `/proc` cannot be read.
    pub fn open(identity: &ProcessIdentity) -> Result<Option<Self>, KernelError> {
        let Some(pid) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let fd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
            Err(source) => {
                return Err(KernelError::Process {
                    pid: identity.pid,
                    doing: "open",
                    source: source.into(),
                });
            }
        };
        // Compared after opening: from here on the descriptor and the identity are one process.
        if identity.presence()? != crate::Presence::Alive {
            return Ok(None);
        }
        Ok(Some(Self {
            fd,
            pid: identity.pid,
        }))
    }

    /// Sends a signal. Allocates nothing and opens nothing.
    ///
    /// # Errors
    /// When the caller may not signal this process.
    pub fn send(&self, signal: Signal) -> Result<Delivery, KernelError> {
        match rustix::process::pidfd_send_signal(&self.fd, signal.raw()) {
            Ok(()) => Ok(Delivery::Sent),
            Err(Errno::SRCH) => Ok(Delivery::Gone),
            Err(source) => Err(KernelError::Process {
                pid: self.pid,
                doing: "signal",
                source: source.into(),
            }),
        }
    }

    /// Waits until the process has ended; `false` when it has not within `limit`.
    ///
    /// # Errors
    /// When the kernel refuses to poll.
    pub fn wait_for_exit(&self, limit: Duration) -> Result<bool, KernelError> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&timespec(left))) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(source) => return Err(KernelError::call("poll", source)),
            }
        }
    }

    /// Whether the process has ended.
    ///
    /// # Errors
    /// When the kernel refuses to poll.
    pub fn has_ended(&self) -> Result<bool, KernelError> {
        self.wait_for_exit(Duration::ZERO)
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Signal {
    fn raw(self) -> rustix::process::Signal {
        use rustix::process::Signal as Raw;
        match self {
            Self::Stop => Raw::STOP,
            Self::Cont => Raw::CONT,
            Self::Term => Raw::TERM,
            Self::Kill => Raw::KILL,
            Self::Int => Raw::INT,
            Self::Hup => Raw::HUP,
            Self::Quit => Raw::QUIT,
            Self::Abrt => Raw::ABORT,
            Self::Segv => Raw::SEGV,
            Self::Usr1 => Raw::USR1,
            Self::Usr2 => Raw::USR2,
            Self::Winch => Raw::WINCH,
            Self::Alrm => Raw::ALARM,
            Self::Pipe => Raw::PIPE,
            Self::Chld => Raw::CHILD,
            Self::Urg => Raw::URG,
            Self::Io => Raw::IO,
            Self::Xcpu => Raw::XCPU,
            Self::Xfsz => Raw::XFSZ,
            Self::Vtalrm => Raw::VTALARM,
            Self::Prof => Raw::PROF,
            Self::Pwr => Raw::POWER,
            Self::Trap => Raw::TRAP,
            Self::Bus => Raw::BUS,
            Self::Fpe => Raw::FPE,
            Self::Ill => Raw::ILL,
            Self::Sys => Raw::SYS,
        }
    }

    /// Its number on this architecture.
    #[must_use]
    pub fn number(self) -> u32 {
        u32::try_from(self.raw().as_raw()).unwrap_or(0)
    }

    /// Parses `TERM`, `SIGTERM` or `term`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        Some(match name.strip_prefix("SIG").unwrap_or(&name) {
            "STOP" => Self::Stop,
            "CONT" => Self::Cont,
            "TERM" => Self::Term,
            "KILL" => Self::Kill,
            "INT" => Self::Int,
            "HUP" => Self::Hup,
            "QUIT" => Self::Quit,
            "ABRT" => Self::Abrt,
            "SEGV" => Self::Segv,
            "USR1" => Self::Usr1,
            "USR2" => Self::Usr2,
            "WINCH" => Self::Winch,
            "ALRM" => Self::Alrm,
            "PIPE" => Self::Pipe,
            "CHLD" => Self::Chld,
            "URG" => Self::Urg,
            "IO" => Self::Io,
            "XCPU" => Self::Xcpu,
            "XFSZ" => Self::Xfsz,
            "VTALRM" => Self::Vtalrm,
            "PROF" => Self::Prof,
            "PWR" => Self::Pwr,
            "TRAP" => Self::Trap,
            "BUS" => Self::Bus,
            "FPE" => Self::Fpe,
            "ILL" => Self::Ill,
            "SYS" => Self::Sys,
            _ => return None,
        })
    }
}

/// For `poll`, which takes seconds and nanoseconds.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_signal_reaches_the_process_and_later_finds_it_gone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap().unwrap();
        let pidfd = Pidfd::open(&identity).unwrap().unwrap();
        assert!(!pidfd.has_ended().unwrap());
        assert_eq!(pidfd.send(Signal::Kill).unwrap(), Delivery::Sent);
        assert!(pidfd.wait_for_exit(Duration::from_secs(10)).unwrap());
        child.wait().unwrap();
        assert_eq!(pidfd.send(Signal::Cont).unwrap(), Delivery::Gone);
        assert!(Pidfd::open(&identity).unwrap().is_none());
    }

    #[test]
    fn signals_are_known_with_and_without_prefix() {
        assert_eq!(Signal::parse("SIGTERM"), Some(Signal::Term));
        assert_eq!(Signal::parse("kill"), Some(Signal::Kill));
        assert_eq!(Signal::parse("SIGNOPE"), None);
    }
}
