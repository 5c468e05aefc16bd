use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use firedrill_kernel::clock::{DeadlineTimer, boottime};
use firedrill_kernel::signals::{Arrived, SignalQueue};
use firedrill_kernel::{KernelError, Pidfd};
use rustix::event::{PollFd, PollFlags};
use rustix::net::SendFlags;

use crate::drill::{Drill, Scope};
use crate::effect::OwnerState;
use crate::log::Ending;
use crate::protocol::{self, Ended, PACKET_MAX, Packet, Received, Refusal, Reply, Request};
use crate::residue::Reverted;

/// A guardian at work.
pub(super) struct Service {
    drill: Drill,
    lease: Duration,
    socket: OwnedFd,
    owner: Pidfd,
    signals: SignalQueue,
    timer: DeadlineTimer,
    buffer: Vec<u8>,
}

/// Whether to wait for the next event.
enum Next {
    Wait,
    Leave,
}

/// What `poll` found.
struct Ripe {
    request: bool,
    owner_ended: bool,
    signal: bool,
    /// Which of the drill's [watched](Drill::watched) descriptors is.
    ended: Option<usize>,
}

impl Service {
    pub(super) fn new(
        drill: Drill,
        lease: Duration,
        socket: OwnedFd,
        owner: Pidfd,
        signals: SignalQueue,
    ) -> Result<Self, KernelError> {
        let timer = DeadlineTimer::new()?;
        if drill.ended().is_none() {
            timer.set(drill.deadline())?;
        }
        Ok(Self {
            drill,
            lease,
            socket,
            owner,
            signals,
            timer,
            buffer: vec![0; PACKET_MAX],
        })
    }

    /// Until the drill is over: finished, or its owner gone and everything undone.
    pub(super) fn run(mut self) -> ExitCode {
        loop {
            let ripe = self.wait();
            if let Next::Leave = self.step(&ripe) {
                return if self.drill.close() {
                    ExitCode::SUCCESS
                } else {
                    // The log stays, for a recovery with more rights than ours.
                    ExitCode::FAILURE
                };
            }
        }
    }

    fn wait(&self) -> Ripe {
        let mut fds = vec![
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(&self.owner, PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.timer, PollFlags::IN),
        ];
        let own = fds.len();
        let watched = self.drill.watched();
        fds.extend(watched.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        // Interrupted or out of memory: an empty result leads back here by way of the deadline.
        let _ = rustix::event::poll(&mut fds, None);
        let ripe = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        Ripe {
            request: ripe(0),
            owner_ended: ripe(1),
            signal: ripe(2),
            ended: (own..fds.len())
                .find(|index| ripe(*index))
                .map(|index| index - own),
        }
    }

    fn step(&mut self, ripe: &Ripe) -> Next {
        let now = boottime();
        let deadline = self.drill.deadline();
        if ripe.owner_ended {
            self.drill
                .end(Ending::OwnerDied, Scope::All, OwnerState::Lost);
            return Next::Leave;
        }
        if self.drill.ended().is_none() && now >= deadline {
            let late_by = now.saturating_sub(deadline);
            let reverted = self
                .drill
                .end(Ending::Expired, Scope::All, OwnerState::Lost);
            self.announce(Ending::Expired, late_by, reverted);
        }
        if let Some(which) = ripe.ended {
            self.drill.watched_ended(which);
        }
        // The expiry is taken above; this only makes the descriptor quiet.
        let _ = self.timer.take();
        if ripe.signal {
            self.on_signal();
        }
        if ripe.request {
            return self.on_request();
        }
        Next::Wait
    }

    fn on_signal(&mut self) {
        while let Ok(Some(arrived)) = self.signals.take() {
            if arrived == Arrived::Terminate && self.drill.ended().is_none() {
                let reverted = self
                    .drill
                    .end(Ending::Halted, Scope::Faults, OwnerState::Present);
                self.announce(Ending::Halted, Duration::ZERO, reverted);
            }
        }
    }

    fn on_request(&mut self) -> Next {
        match protocol::receive::<Request>(&self.socket, &mut self.buffer) {
            Ok(Received::Packet(packet)) => self.answer(packet),
            Ok(Received::Nothing) => Next::Wait,
            Ok(Received::Garbage(error)) => {
                let why = error.to_string();
                self.tell(0, Reply::Refused(Refusal::Malformed { why }));
                Next::Wait
            }
            // Closed without `finish`: an owner that gave up, or is just dying.
            Ok(Received::Closed) | Err(_) => {
                self.drill
                    .end(Ending::OwnerDied, Scope::All, OwnerState::Lost);
                Next::Leave
            }
        }
    }

    fn answer(&mut self, packet: Packet<Request>) -> Next {
        let reply = match packet.body {
            Request::Apply { effects } => match self.drill.apply(effects) {
                Ok(applied) => Reply::Applied(applied),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Observe { id } => match self.drill.observe(id) {
                Ok(observed) => Reply::Observed(observed),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Renew => self.renew(),
            Request::Revert { id } if self.drill.knows(id) => {
                Reply::Reverted(self.drill.undo(Scope::One(id), OwnerState::Present))
            }
            Request::Revert { id } => Reply::Refused(Refusal::UnknownFault { id }),
            Request::Finish => {
                let reverted = self
                    .drill
                    .end(Ending::Finished, Scope::All, OwnerState::Present);
                self.tell(packet.number, Reply::Finished(reverted));
                return Next::Leave;
            }
        };
        self.tell(packet.number, reply);
        Next::Wait
    }

    fn renew(&mut self) -> Reply {
        if let Some(ending) = self.drill.ended() {
            return Reply::Refused(Refusal::Ended { ending });
        }
        self.drill.renew(self.lease);
        match self.timer.set(self.drill.deadline()) {
            Ok(()) => Reply::Renewed,
            // The old deadline stands: earlier than asked, never later.
            Err(error) => Reply::Refused(Refusal::Malformed {
                why: crate::effect::chain(&error),
            }),
        }
    }

    fn announce(&self, ending: Ending, late_by: Duration, reverted: Reverted) {
        self.tell(
            0,
            Reply::Ended(Ended {
                ending,
                late_by,
                reverted,
            }),
        );
    }

    /// Never waits: a stopped owner whose socket is full must not stop its guardian.
    pub(super) fn tell(&self, number: u64, body: Reply) {
        let _ = protocol::send(&self.socket, &Packet { number, body }, SendFlags::DONTWAIT);
    }
}
