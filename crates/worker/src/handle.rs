//! The guardian's side: starts a worker, renews its deadline, asks it, ends it.

use std::ffi::OsString;
use std::fs;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_kernel::{KernelError, Pidfd, ProcessIdentity, Signal};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::Measurement;
use crate::job::Job;
use crate::protocol::{self, PACKET_MAX, Received, Reply, Request, nanos};

/// A worker that runs. Dropping it kills the worker.
///
/// A worker dies with the *thread* that started it (`PR_SET_PDEATHSIG`), so that thread has to live
/// for as long as the fault.
#[derive(Debug)]
pub struct WorkerHandle {
    socket: OwnedFd,
    /// The other side is its standard output, to which it writes nothing.
    lifeline: PipeReader,
    child: Child,
    identity: ProcessIdentity,
    pidfd: Pidfd,
    last_beat: Duration,
    /// What it said when it failed after it had begun.
    failure: Option<String>,
    measured: Option<(u64, Vec<Measurement>)>,
    released: bool,
    number: u64,
    buffer: Vec<u8>,
}

/// How to start a worker.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The program whose hidden command runs [`crate::worker_main`].
    pub exe: PathBuf,
    /// The words before the worker's own arguments.
    pub command: Vec<OsString>,
    /// Directories of cgroups that the worker is moved to before it begins.
    pub place: Vec<PathBuf>,
    /// How long it may take until the fault is in place.
    pub start_limit: Duration,
}

/// Why there is no worker, or no answer from it.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("cannot start the worker {}", exe.display())]
    Spawn { exe: PathBuf, source: io::Error },
    #[error("cannot move the worker to {}", cgroup.display())]
    Place { cgroup: PathBuf, source: io::Error },
    #[error("{why}")]
    Failed { why: String },
    #[error("the worker has ended")]
    Died,
    #[error("the worker gave no reply within {} ms", waited.as_millis())]
    NoReply { waited: Duration },
    #[error("the job does not fit in one packet of {PACKET_MAX} bytes")]
    TooLarge,
    #[error("cannot talk to the worker")]
    Socket { source: io::Error },
    #[error("the worker's reply is not one of this version")]
    Confused,
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl WorkerConfig {
    /// This very program as the worker, by its hidden command `worker`, even if its file was
    /// replaced since; 10 s to get ready.
    #[must_use]
    pub fn new() -> Self {
        Self {
            exe: PathBuf::from("/proc/self/exe"),
            command: vec!["worker".into()],
            place: Vec::new(),
            start_limit: Duration::from_secs(10),
        }
    }
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl WorkerHandle {
    /// Starts a worker and waits until its fault is in place. `deadline` is on BOOTTIME.
    ///
    /// # Errors
    /// When it does not start, refuses the job, or is not ready in time; no worker is left then.
    pub fn spawn(
        config: &WorkerConfig,
        job: &Job,
        deadline: Duration,
    ) -> Result<Self, WorkerError> {
        let mut worker = Self::start(config)?;
        for cgroup in &config.place {
            fs::write(cgroup.join("cgroup.procs"), worker.identity.pid.to_string()).map_err(
                |source| WorkerError::Place {
                    cgroup: cgroup.clone(),
                    source,
                },
            )?;
        }
        worker.send(&Request::Begin {
            job,
            deadline: nanos(deadline),
        })?;
        worker.last_beat = deadline;
        let end = Instant::now() + config.start_limit;
        loop {
            match worker.receive()? {
                Some(Reply::Ready) => return Ok(worker),
                Some(other) => worker.note(other)?,
                None => worker.wait(end, config.start_limit)?,
            }
        }
    }

    #[must_use]
    pub fn identity(&self) -> ProcessIdentity {
        self.identity
    }

    /// Moves the deadline. Does not wait: see [`Self::last_beat`].
    ///
    /// # Errors
    /// When the worker has failed or ended, or does not read what it is sent.
    pub fn extend(&mut self, deadline: Duration) -> Result<(), WorkerError> {
        self.drain()?;
        self.send(&Request::<&Job>::Deadline {
            deadline: nanos(deadline),
        })
    }

    /// The deadline that the worker has last said it keeps. One that is behind the last
    /// [`Self::extend`] for long is a worker that is stopped or stuck.
    ///
    /// # Errors
    /// When the worker has failed or ended.
    pub fn last_beat(&mut self) -> Result<Duration, WorkerError> {
        self.drain()?;
        Ok(self.last_beat)
    }

    /// What the fault achieved so far; empty while it is too early to say.
    ///
    /// # Errors
    /// When the worker has failed or ended, or does not answer within `limit`.
    pub fn measure(&mut self, limit: Duration) -> Result<Vec<Measurement>, WorkerError> {
        self.number += 1;
        let number = self.number;
        self.drain()?;
        self.send(&Request::<&Job>::Measure { number })?;
        let end = Instant::now() + limit;
        loop {
            self.drain()?;
            match self.measured.take() {
                Some((answered, measurements)) if answered == number => return Ok(measurements),
                _ => self.wait(end, limit)?,
            }
        }
    }

    /// Has it let go of what it holds for others, to which nothing new may come any more; a worker
    /// that holds only its own ends. Does not wait: one system call, which allocates nothing.
    ///
    /// # Errors
    /// When it has ended, or does not read what it is sent.
    pub fn release(&self) -> Result<(), WorkerError> {
        protocol::send_release(&self.socket).map_err(|source| self.unsent(source))
    }

    /// Waits until it has let go after [`Self::release`]; `false` when it has not within `limit`.
    ///
    /// # Errors
    /// When it has ended instead.
    pub fn await_released(&mut self, limit: Duration) -> Result<bool, WorkerError> {
        let end = Instant::now() + limit;
        loop {
            self.drain()?;
            if self.released {
                return Ok(true);
            }
            match self.wait(end, limit) {
                Err(WorkerError::NoReply { .. }) => return Ok(false),
                other => other?,
            }
        }
    }

    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.pidfd.has_ended().is_ok_and(|ended| !ended)
    }

    /// Hangs up when it ends: for a job that asks for it ([`hardening::stdout_closes_first`]), before
    /// anything else that it has open is closed.
    ///
    /// [`hardening::stdout_closes_first`]: firedrill_kernel::hardening::stdout_closes_first
    #[must_use]
    pub fn lifeline(&self) -> BorrowedFd<'_> {
        self.lifeline.as_fd()
    }

    /// Waits until it has ended; `false` when it has not within `limit`.
    ///
    /// # Errors
    /// When the kernel refuses to poll.
    pub fn wait_for_end(&self, limit: Duration) -> Result<bool, KernelError> {
        self.pidfd.wait_for_exit(limit)
    }

    /// Becomes readable when it has ended, and the kernel has taken back what it held.
    #[must_use]
    pub fn pidfd(&self) -> &Pidfd {
        &self.pidfd
    }

    /// Kills it: one system call on an open descriptor, which allocates nothing.
    ///
    /// # Errors
    /// When the caller may not signal it.
    pub fn kill(&self) -> Result<(), KernelError> {
        self.pidfd.send(Signal::Kill).map(drop)
    }

    /// Whether it runs nothing of its own any more after [`Self::kill`], although the kernel may still
    /// take back what it had: of a packet queue for a grace period, about 25 ms.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.identity.is_dying().unwrap_or(false)
    }

    /// Has a thread wait for its end, and free its entry in the process table.
    pub fn reap_later(self) {
        let reaper = std::thread::Builder::new().name("reaper".to_owned());
        // Without a thread it is waited for here.
        let _ = reaper.spawn(move || drop(self));
    }

    /// Waits until it has ended and frees its entry in the process table; `false` when it has not
    /// ended within `limit`.
    ///
    /// # Errors
    /// When the kernel refuses to poll.
    pub fn reap(&mut self, limit: Duration) -> Result<bool, KernelError> {
        if !self.pidfd.wait_for_exit(limit)? {
            return Ok(false);
        }
        // It has ended: this cannot block, and its status says nothing new.
        let _ = self.child.wait();
        Ok(true)
    }

    fn start(config: &WorkerConfig) -> Result<Self, WorkerError> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|errno| WorkerError::Socket {
            source: errno.into(),
        })?;
        let (lifeline, held) = io::pipe().map_err(|source| WorkerError::Socket { source })?;
        // The socket is its standard input: no other program started meanwhile can inherit it.
        let mut child = Command::new(&config.exe)
            .arg0("firedrill")
            .args(&config.command)
            .arg(std::process::id().to_string())
            .env("FIREDRILL_SPARE", "1")
            .stdin(theirs)
            .stdout(held)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| WorkerError::Spawn {
                exe: config.exe.clone(),
                source,
            })?;
        let opened = ProcessIdentity::of(child.id()).and_then(|identity| {
            Ok(match identity {
                Some(identity) => Pidfd::open(&identity)?.map(|pidfd| (identity, pidfd)),
                None => None,
            })
        });
        let (identity, pidfd) = match opened {
            Ok(Some(opened)) => opened,
            other => {
                // Either fails only for a process that has ended already.
                let _ = child.kill();
                let _ = child.wait();
                return Err(other.err().map_or(WorkerError::Died, WorkerError::Kernel));
            }
        };
        Ok(Self {
            socket: ours,
            lifeline,
            child,
            identity,
            pidfd,
            last_beat: Duration::ZERO,
            failure: None,
            measured: None,
            released: false,
            number: 0,
            buffer: vec![0; PACKET_MAX],
        })
    }

    /// Reads everything that waits.
    fn drain(&mut self) -> Result<(), WorkerError> {
        while let Some(reply) = self.receive()? {
            self.note(reply)?;
        }
        Ok(())
    }

    fn note(&mut self, reply: Reply) -> Result<(), WorkerError> {
        match reply {
            Reply::Ready => {}
            Reply::Beat { deadline } => self.last_beat = Duration::from_nanos(deadline),
            Reply::Measured {
                number,
                measurements,
            } => self.measured = Some((number, measurements)),
            Reply::Released => self.released = true,
            Reply::Failed { why } => {
                self.failure = Some(why);
                return Err(self.ended());
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<Reply>, WorkerError> {
        match protocol::receive(&self.socket, &mut self.buffer) {
            Ok(Received::Packet(reply)) => Ok(Some(reply)),
            Ok(Received::Nothing) => Ok(None),
            Ok(Received::Closed) => Err(self.ended()),
            Ok(Received::Garbage) => Err(WorkerError::Confused),
            Err(source) => Err(WorkerError::Socket { source }),
        }
    }

    fn send(&self, request: &Request<&Job>) -> Result<(), WorkerError> {
        protocol::send(&self.socket, request).map_err(|source| self.unsent(source))
    }

    fn unsent(&self, source: io::Error) -> WorkerError {
        match source.kind() {
            io::ErrorKind::InvalidInput => WorkerError::TooLarge,
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => self.ended(),
            _ => WorkerError::Socket { source },
        }
    }

    fn ended(&self) -> WorkerError {
        match &self.failure {
            Some(why) => WorkerError::Failed { why: why.clone() },
            None => WorkerError::Died,
        }
    }

    fn wait(&self, end: Instant, limit: Duration) -> Result<(), WorkerError> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(WorkerError::NoReply { waited: limit });
        }
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(WorkerError::Socket {
                source: errno.into(),
            }),
        }
    }
}

/// Readable when the worker has said something, or has ended.
impl AsFd for WorkerHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        // A worker that cannot be killed ends by itself when the socket closes.
        if self.kill().is_ok() {
            let _ = self.reap(Duration::from_secs(1));
        }
    }
}
