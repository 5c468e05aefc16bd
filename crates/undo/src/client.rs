//! The owner's side: starts a guardian, asks it, and renews the lease.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use firedrill_kernel::{KernelError, Pidfd, ProcessIdentity, Signal};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

use crate::effect::Observed;
use crate::guardian::Arguments;
use crate::primitive::Primitive;
use crate::protocol::{
    self, Applied, Ended, PACKET_MAX, Packet, Ready, Received, Refusal, Reply, Request,
};
use crate::residue::Reverted;
use crate::state::{DrillId, StateDir, wait};

/// A guardian that runs, and the connection to it.
///
/// Dropping it without [`Guardian::finish`] closes the connection, which the guardian takes for
/// the owner's death: everything is undone and the rollbacks run.
#[derive(Debug)]
pub struct Guardian {
    config: SpawnConfig,
    connection: Mutex<Connection>,
}

/// What a guardian needs to start.
#[derive(Clone, Debug)]
pub struct SpawnConfig {
    /// The program whose hidden command runs [`crate::guardian_main`].
    pub exe: PathBuf,
    /// The words before the guardian's own arguments.
    pub command: Vec<OsString>,
    pub state: StateDir,
    pub drill: DrillId,
    /// How long a fault stays without a renewal. Renew at a third of it.
    pub lease: Duration,
    /// What `status` shows of the drill.
    pub label: String,
    /// Added to the guardian's environment; restart and rollback commands inherit it.
    pub environment: Vec<(OsString, OsString)>,
    /// How long to wait for any reply.
    pub reply_limit: Duration,
}

/// Why a request was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum GuardianError {
    #[error("cannot start the guardian {}", exe.display())]
    Spawn { exe: PathBuf, source: io::Error },
    #[error("the guardian has died")]
    Died,
    #[error("the guardian gave no reply within {} ms", waited.as_millis())]
    NoReply { waited: Duration },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{targets} targets do not fit in one request; split them")]
    TooLarge { targets: usize },
    #[error("cannot talk to the guardian")]
    Socket { source: io::Error },
    #[error("the guardian's reply is not the one expected")]
    Confused,
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// What [`Guardian::watch`] saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Nothing within the limit.
    Quiet,
    /// The guardian undid everything on its own.
    Ended(Ended),
    /// It is gone: call [`Guardian::recover_after_guardian_death`].
    Died,
}

#[derive(Debug)]
struct Connection {
    link: Arc<Link>,
    child: Child,
    ready: Ready,
    number: u64,
    /// A notice that arrived while a reply was awaited.
    notice: Option<Ended>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Link {
    socket: OwnedFd,
    pidfd: Pidfd,
}

impl SpawnConfig {
    /// This very program as the guardian, by its hidden command `guardian`, even if its file was
    /// replaced since; a lease of 10 s.
    #[must_use]
    pub fn new(state: StateDir, drill: DrillId, label: impl Into<String>) -> Self {
        Self {
            exe: PathBuf::from("/proc/self/exe"),
            command: vec!["guardian".into()],
            state,
            drill,
            lease: Duration::from_secs(10),
            label: label.into(),
            environment: Vec::new(),
            reply_limit: Duration::from_secs(10),
        }
    }
}

impl Guardian {
    /// Starts a guardian and waits until its log is durable.
    ///
    /// # Errors
    /// When it does not start, or refuses: the drill exists, the state directory is not writable.
    pub fn spawn(config: SpawnConfig) -> Result<Self, GuardianError> {
        let connection = Connection::open(&config, false)?;
        Ok(Self {
            config,
            connection: Mutex::new(connection),
        })
    }

    /// What the guardian said of itself when it was ready.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.lock().ready.clone()
    }

    /// Makes the undo durable, then applies. All or nothing, except targets that vanished or were
    /// stopped before: those are in `skipped`.
    ///
    /// Rollbacks ([`Primitive::RunRollbacks`]) are registered by a call of their own.
    ///
    /// # Errors
    /// When refused (nothing stays applied), or when the guardian does not answer.
    pub fn apply(&self, effects: Vec<Primitive>) -> Result<Applied, GuardianError> {
        match self.call(Request::Apply { effects })? {
            Reply::Applied(applied) => Ok(applied),
            other => Err(unexpected(other)),
        }
    }

    /// How much of a fault is in place now.
    ///
    /// # Errors
    /// When there is no such fault, or the guardian does not answer.
    pub fn observe(&self, id: u64) -> Result<Observed, GuardianError> {
        match self.call(Request::Observe { id })? {
            Reply::Observed(observed) => Ok(observed),
            other => Err(unexpected(other)),
        }
    }

    /// Observes until the fault is in place on every target, or for as long as `limit`; gives the
    /// last observation. A signal takes effect when its process is next scheduled.
    ///
    /// # Errors
    /// As [`Self::observe`].
    pub fn observe_until(&self, id: u64, limit: Duration) -> Result<Observed, GuardianError> {
        let start = Instant::now();
        loop {
            let observed = self.observe(id)?;
            if observed.is_complete() || start.elapsed() >= limit {
                return Ok(observed);
            }
            wait(Duration::from_millis(1));
        }
    }

    /// Moves the deadline to one lease from now. Touches no disk.
    ///
    /// # Errors
    /// When the drill has ended: nothing can be applied in it again. [`GuardianError::NoReply`]
    /// when it has not answered for a whole lease: it is stopped or stuck, and to be replaced by
    /// [`Self::recover_after_guardian_death`].
    pub fn renew(&self) -> Result<(), GuardianError> {
        match self.lock().call(Request::Renew, self.config.lease)? {
            Reply::Renewed => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Undoes one fault. Reverting it again, or after the drill has ended, undoes nothing more.
    ///
    /// # Errors
    /// When there is no such fault, or the guardian does not answer.
    pub fn revert(&self, id: u64) -> Result<Reverted, GuardianError> {
        match self.call(Request::Revert { id })? {
            Reply::Reverted(reverted) => Ok(reverted),
            other => Err(unexpected(other)),
        }
    }

    /// Undoes what is left, and ends the guardian. The owner has run its own rollbacks by now.
    ///
    /// # Errors
    /// When the guardian does not answer, or is not gone within the reply limit.
    pub fn finish(&self) -> Result<Reverted, GuardianError> {
        let reverted = match self.call(Request::Finish)? {
            Reply::Finished(reverted) => reverted,
            other => return Err(unexpected(other)),
        };
        let limit = self.config.reply_limit;
        let mut connection = self.lock();
        if !connection.link.pidfd.wait_for_exit(limit)? {
            return Err(GuardianError::NoReply { waited: limit });
        }
        connection.reap();
        Ok(reverted)
    }

    /// Waits for the guardian to end the drill on its own, or to die, for at most `limit`.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn watch(&self, limit: Duration) -> Result<Watch, GuardianError> {
        let end = Instant::now() + limit;
        loop {
            let link = {
                let mut connection = self.lock();
                match connection.take_notice()? {
                    Watch::Quiet => Arc::clone(&connection.link),
                    seen => return Ok(seen),
                }
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Watch::Quiet);
            }
            link.poll(left)?;
        }
    }

    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.lock().link.pidfd.has_ended().is_ok_and(|ended| !ended)
    }

    /// A descriptor that becomes readable when the guardian dies; of the present guardian only.
    ///
    /// # Errors
    /// When descriptors have run out.
    pub fn pidfd(&self) -> io::Result<OwnedFd> {
        self.lock().link.pidfd.as_fd().try_clone_to_owned()
    }

    /// Starts another guardian on the log of the dead one, which undoes its faults. A guardian
    /// that still runs but does not answer is killed first.
    ///
    /// The drill has ended by then: later requests to apply or renew are refused. Rollbacks stay
    /// registered until [`Self::finish`] or the owner's death.
    ///
    /// # Errors
    /// When the new one does not start; then [`crate::recover`], called by the owner, undoes the
    /// faults itself.
    pub fn recover_after_guardian_death(&self) -> Result<Reverted, GuardianError> {
        let mut connection = self.lock();
        connection.link.pidfd.send(Signal::Kill)?;
        connection
            .link
            .pidfd
            .wait_for_exit(self.config.reply_limit)?;
        connection.reap();
        *connection = Connection::open(&self.config, true)?;
        Ok(connection.ready.recovered.clone())
    }

    fn call(&self, request: Request) -> Result<Reply, GuardianError> {
        self.lock().call(request, self.config.reply_limit)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves the connection as usable as it was.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn open(config: &SpawnConfig, resume: bool) -> Result<Self, GuardianError> {
        let spawn_error = |source| GuardianError::Spawn {
            exe: config.exe.clone(),
            source,
        };
        let owner = ProcessIdentity::current()?;
        let arguments = Arguments {
            state: config.state.clone(),
            drill: config.drill.clone(),
            label: config.label.clone(),
            owner_pid: owner.pid,
            owner_start: owner.start,
            lease: config.lease,
            resume,
        };
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
                .map_err(|errno| GuardianError::Socket {
                    source: errno.into(),
                })?;
        // The socket is its standard input: no other program started meanwhile can inherit it.
        let child = Command::new(&config.exe)
            .arg0("firedrill")
            .args(&config.command)
            .args(arguments.words())
            .envs(config.environment.iter().map(|(name, value)| (name, value)))
            .env("FIREDRILL_SPARE", "1")
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(spawn_error)?;
        let identity = ProcessIdentity::of(child.id())?.ok_or(GuardianError::Died)?;
        let pidfd = Pidfd::open(&identity)?.ok_or(GuardianError::Died)?;
        let mut connection = Self {
            link: Arc::new(Link {
                socket: ours,
                pidfd,
            }),
            child,
            ready: Ready {
                guardian: identity,
                memory_locked: false,
                spared_by_oom_killer: false,
                realtime: false,
                recovered: Reverted::default(),
            },
            number: 0,
            notice: None,
            buffer: vec![0; PACKET_MAX],
        };
        match connection.await_reply(0, config.reply_limit) {
            Ok(Reply::Ready(ready)) => {
                connection.ready = ready;
                Ok(connection)
            }
            other => {
                connection.give_up();
                Err(other.map_or_else(|error| error, unexpected))
            }
        }
    }

    fn call(&mut self, request: Request, limit: Duration) -> Result<Reply, GuardianError> {
        let targets = match &request {
            Request::Apply { effects } => effects.len(),
            _ => 0,
        };
        self.number += 1;
        let number = self.number;
        let packet = Packet {
            number,
            body: request,
        };
        match protocol::send(&self.link.socket, &packet, SendFlags::DONTWAIT) {
            Ok(()) => self.await_reply(number, limit),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(GuardianError::TooLarge { targets })
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                Err(self.died())
            }
            Err(source) => Err(GuardianError::Socket { source }),
        }
    }

    /// Waits for the reply of this number; late replies to earlier requests are dropped.
    fn await_reply(&mut self, number: u64, limit: Duration) -> Result<Reply, GuardianError> {
        let end = Instant::now() + limit;
        loop {
            match self.receive()? {
                Received::Packet(Packet {
                    number: 0,
                    body: Reply::Ended(ended),
                }) => self.notice = Some(ended),
                Received::Packet(packet) if packet.number == number => return Ok(packet.body),
                Received::Packet(_) => {}
                Received::Garbage(_) => return Err(GuardianError::Confused),
                Received::Closed => return Err(self.died()),
                Received::Nothing => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(GuardianError::NoReply { waited: limit });
                    }
                    self.link.poll_socket(left)?;
                }
            }
        }
    }

    fn take_notice(&mut self) -> Result<Watch, GuardianError> {
        loop {
            if let Some(ended) = self.notice.take() {
                return Ok(Watch::Ended(ended));
            }
            match self.receive()? {
                Received::Packet(Packet {
                    body: Reply::Ended(ended),
                    ..
                }) => self.notice = Some(ended),
                // A late reply, to a request that was given up.
                Received::Packet(_) | Received::Garbage(_) => {}
                Received::Closed => {
                    self.died();
                    return Ok(Watch::Died);
                }
                Received::Nothing if self.link.pidfd.has_ended()? => return Ok(Watch::Died),
                Received::Nothing => return Ok(Watch::Quiet),
            }
        }
    }

    fn receive(&mut self) -> Result<Received<Reply>, GuardianError> {
        protocol::receive(&self.link.socket, &mut self.buffer)
            .map_err(|source| GuardianError::Socket { source })
    }

    /// A dying process closes its descriptors, and gives up its locks, a little before it has
    /// ended: whoever is told of the death may rely on all of it.
    fn died(&self) -> GuardianError {
        match self.link.pidfd.wait_for_exit(Duration::from_secs(1)) {
            Ok(_) => GuardianError::Died,
            Err(error) => error.into(),
        }
    }

    /// Ends a guardian that did not get ready, so that it holds no lock when this returns.
    fn give_up(&mut self) {
        // Either fails only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// It has ended; this only frees its entry in the process table.
    fn reap(&mut self) {
        let _ = self.child.try_wait();
    }
}

impl Link {
    fn poll(&self, limit: Duration) -> Result<(), GuardianError> {
        poll(
            &mut [
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::new(&self.pidfd, PollFlags::IN),
            ],
            limit,
        )
    }

    fn poll_socket(&self, limit: Duration) -> Result<(), GuardianError> {
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], limit)
    }
}

fn poll(fds: &mut [PollFd<'_>], limit: Duration) -> Result<(), GuardianError> {
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    match rustix::event::poll(fds, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(GuardianError::Socket {
            source: error.into(),
        }),
    }
}

fn unexpected(reply: Reply) -> GuardianError {
    match reply {
        Reply::Refused(refusal) => GuardianError::Refused(refusal),
        _ => GuardianError::Confused,
    }
}
