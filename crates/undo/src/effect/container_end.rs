use std::time::{Duration, Instant};

use firedrill_container::{Change, Details, EngineError, Request, Standing, State};
use firedrill_kernel::{KernelError, Pidfd, Presence, ProcessIdentity};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, SkipReason, Skipped, chain};
use crate::primitive::{Comeback, ContainerEnd, EndHow, Primitive};
use crate::residue::{Residue, Reverted};
use crate::state::{DrillId, wait};

/// A container whose run was ended.
#[derive(Debug)]
pub(crate) struct EndedContainer {
    end: ContainerEnd,
    /// `None` when the process was gone at the time a recovery took it up.
    pidfd: Option<Pidfd>,
    /// A stop that its engine is still at.
    request: Option<Request>,
}

/// What an engine may take to answer a question.
const TO_ANSWER: Duration = Duration::from_secs(2);

/// What it may take to start a container.
const TO_START: Duration = Duration::from_secs(5);

/// How long the end is waited for when it is applied. A longer stop goes on while the guardian looks
/// at its deadline.
const TO_STOP_AT_ONCE: Duration = Duration::from_millis(500);

/// How long after its end an engine may still believe that a container runs, or a restart policy
/// may take: Docker's first delay is 100 ms.
const SETTLE: Duration = Duration::from_secs(3);

impl EndedContainer {
    pub(super) fn prepare(end: ContainerEnd) -> Result<Prepared, EffectError> {
        let process = end.run.process;
        let skipped = |why| Ok(Prepared::Skipped(Skipped { process, why }));
        let Some(pidfd) = Pidfd::open(&process)? else {
            return skipped(SkipReason::Vanished);
        };
        // A signal needs no engine; whether somebody else paused it, only the engine knows.
        if !matches!(end.how, EndHow::Signal { .. }) {
            match end.run.container.standing_within(TO_ANSWER)? {
                Standing::Same(details) if details.paused => {
                    return skipped(SkipReason::StoppedBefore);
                }
                Standing::Same(details) if details.state == State::Running => {}
                _ => return skipped(SkipReason::Vanished),
            }
        }
        Ok(Prepared::ready(Self {
            end,
            pidfd: Some(pidfd),
            request: None,
        }))
    }

    pub(super) fn resume(end: ContainerEnd) -> Result<Self, KernelError> {
        Ok(Self {
            pidfd: Pidfd::open(&end.run.process)?,
            end,
            request: None,
        })
    }

    /// Waits for an end that may be on its way; `false` when there is none.
    fn has_ended(&mut self) -> Result<bool, KernelError> {
        let limit = match self.end.how {
            EndHow::Signal { .. } => Duration::from_millis(500),
            EndHow::Stop { grace_ms, .. } | EndHow::Restart { grace_ms } => {
                Duration::from_millis(grace_ms) + TO_ANSWER
            }
        };
        let ended = match &self.pidfd {
            Some(pidfd) => pidfd.wait_for_exit(limit)?,
            None => true,
        };
        // Its answer comes when the engine has noted the end, or has started it again.
        if let Some(request) = self.request.take()
            && ended
            && request.is_answered(TO_ANSWER)
        {
            // What it says is seen below in what has become of the container.
            let _ = request.finish();
        }
        Ok(ended)
    }

    /// The process may have ended long before its engine says so, which notes the end and, where it
    /// was asked to, starts the container again.
    fn await_end_or_answer(&self, request: &Request) {
        let limit = Timespec::try_from(TO_STOP_AT_ONCE).ok();
        let mut fds = vec![PollFd::new(request, PollFlags::IN)];
        fds.extend(
            self.pidfd
                .iter()
                .map(|pidfd| PollFd::new(pidfd, PollFlags::IN)),
        );
        // An interrupted wait is only shorter.
        let _ = rustix::event::poll(&mut fds, limit.as_ref());
    }

    fn come_back(&self) -> Result<Back, EngineError> {
        let container = &self.end.run.container;
        let begun = Instant::now();
        let mut started = None;
        loop {
            let state = match container.standing_within(TO_ANSWER)? {
                Standing::Gone => return Ok(Back::Gone),
                Standing::Restarted(details) if details.state == State::Running => {
                    return Ok(Back::Runs(details));
                }
                Standing::Same(details) | Standing::Restarted(details) => details.state,
            };
            if self.end.comeback == Comeback::Start && state == State::Exited && started.is_none() {
                let engine = container.engine().within(TO_START);
                started = match engine.start(&container.id) {
                    Ok(Change::Done | Change::Already) => Some(()),
                    Err(EngineError::Gone { .. }) => return Ok(Back::Gone),
                    Err(error) => return Err(error),
                };
                continue;
            }
            if begun.elapsed() > SETTLE {
                return Ok(Back::Not(state));
            }
            wait(Duration::from_millis(5));
        }
    }

    fn left(&self, why: String) -> Residue {
        Residue::EffectLeft {
            effect: format!("the end of {}", self.end.run.in_words()),
            why,
        }
    }
}

impl Effect for EndedContainer {
    fn primitive(&self) -> Primitive {
        Primitive::EndContainer(self.end.clone())
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        let container = &self.end.run.container;
        let engine = container.engine().within(TO_ANSWER);
        let request = match self.end.how {
            EndHow::Signal { signal } => {
                if let Some(pidfd) = &self.pidfd {
                    pidfd.send(signal)?;
                }
                return Ok(());
            }
            EndHow::Stop { grace_ms, .. } => {
                engine.begin_stop(&container.id, Duration::from_millis(grace_ms))?
            }
            EndHow::Restart { grace_ms } => {
                engine.begin_restart(&container.id, Duration::from_millis(grace_ms))?
            }
        };
        self.await_end_or_answer(&request);
        if request.is_answered(Duration::ZERO) {
            request.finish()?;
        } else {
            self.request = Some(request);
        }
        Ok(())
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        if self.end.comeback == Comeback::No {
            return reverted;
        }
        let process = self.end.run.process;
        match self.has_ended() {
            Ok(true) => {}
            // Never ended: there is nothing to bring back.
            Ok(false) => return reverted,
            Err(error) => {
                reverted.residue.push(self.left(chain(&error)));
                return reverted;
            }
        }
        match self.come_back() {
            Ok(Back::Runs(details)) => {
                reverted.undone = 1;
                reverted.restarted.extend(first_process(&details));
            }
            Ok(Back::Gone) => reverted.vanished.push(process),
            Ok(Back::Not(state)) => reverted.residue.push(Residue::NotRestarted {
                process,
                why: format!("{} was running, and is {state}", self.end.run.in_words()),
            }),
            // The engine may be back later, and a recovery with it.
            Err(error) => reverted.residue.push(self.left(chain(&error))),
        }
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let gone = self.end.run.process.presence()? == Presence::Gone;
        Ok(Observed::one(gone, || self.end.run.in_words()))
    }
}

/// What has become of the container.
enum Back {
    Runs(Box<Details>),
    /// Removed: somebody else's doing, or its own.
    Gone,
    Not(State),
}

fn first_process(details: &Details) -> Option<ProcessIdentity> {
    ProcessIdentity::of(details.pid?).ok()?
}
