//! What a drill waits for, and what ends its waiting.

use std::future::{Future, poll_fn};
use std::task::Poll;

use firedrill_experiment::journal::Status;

use super::Drill;
use crate::effect::{Level, Progress, Signal};
use crate::machine::{Either, either};
use crate::plan::Obstacle;
use crate::stop::{Stop, signal_name};

impl Drill {
    pub(crate) fn raise(&self, stop: Stop) {
        self.watch().cancel_faults();
        self.0.raised.borrow_mut().push_back(stop);
        self.core().touch();
    }

    /// Ends every background activity without waiting for it.
    pub(crate) fn abandon(&self) {
        self.watch().cancel_faults();
        self.0.abandoned.set(true);
        self.core().touch();
    }

    /// Waits as the drill itself does: a signal or a raised stop comes first.
    pub(crate) async fn foreground<T>(&self, future: impl Future<Output = T>) -> Result<T, Stop> {
        match either(self.stop_raised(), future).await {
            Either::First(stop) => Err(stop),
            Either::Second(value) => Ok(value),
        }
    }

    /// Waits as a background activity does: only giving up ends it.
    pub(crate) async fn background<T>(&self, future: impl Future<Output = T>) -> Result<T, Stop> {
        let state = self.0.clone();
        match either(self.core().until(move || state.abandoned.get()), future).await {
            Either::First(()) => Err(Stop::Signal(Signal::ExitNow)),
            Either::Second(value) => Ok(value),
        }
    }

    pub(crate) fn stop_raised(&self) -> impl Future<Output = Stop> + use<> {
        let drill = self.clone();
        poll_fn(move |_| match drill.take_stop() {
            Some(stop) => Poll::Ready(stop),
            None => Poll::Pending,
        })
    }

    pub(crate) fn take_stop(&self) -> Option<Stop> {
        if let Some(signal) = self.core().take_signal() {
            self.watch().cancel_faults();
            return Some(Stop::Signal(signal));
        }
        let stop = self.0.raised.borrow_mut().pop_front();
        if stop.is_some() {
            self.core().touch();
        }
        stop
    }

    pub(super) fn stopped_by_obstacle(&self) -> bool {
        let Some(obstacle) = &self.0.obstacle else {
            return false;
        };
        self.0.status.set(Some(Status::Aborted));
        let mut facts = self.0.facts.borrow_mut();
        match obstacle {
            Obstacle::Refused(reasons) => facts.refusals.clone_from(reasons),
            Obstacle::Failed(reason) => facts.aborted = Some(reason.clone()),
        }
        true
    }

    pub(crate) fn note_stop(&self, stop: Stop) {
        let heard = if let Stop::Signal(signal) = &stop {
            Some(*signal)
        } else {
            None
        };
        if let Some(recorded) = stop.recorded() {
            self.0.interruption.borrow_mut().get_or_insert(recorded);
        }
        let mut facts = self.0.facts.borrow_mut();
        match stop {
            Stop::Signal(signal) => {
                self.0.status.set(Some(Status::Interrupted));
                facts.stopped = Some(format!("stopped by {}", signal_name(signal)));
            }
            Stop::Interrupted(interruption) => {
                self.0.status.set(Some(Status::Interrupted));
                facts.stopped = Some(interruption.reason);
            }
            Stop::Guardrail(interruption) => {
                self.0.status.set(Some(Status::Interrupted));
                facts.guardrail = Some(interruption.reason);
            }
            Stop::Blind(why) => {
                self.0.status.set(Some(Status::Interrupted));
                facts.blind = Some(why);
            }
            Stop::Harm => {
                self.0.status.set(Some(Status::Completed));
                self.0.deviated.set(true);
                facts.harm = true;
            }
            Stop::Aborted(reason) => {
                self.0.status.set(Some(Status::Aborted));
                facts.aborted = Some(reason);
            }
        }
        drop(facts);
        self.progress(Progress::Stopped { signal: heard });
        let said = {
            let facts = self.0.facts.borrow();
            facts
                .stopped
                .clone()
                .or(facts.guardrail.clone())
                .or(facts.blind.clone())
                .or(facts.aborted.clone())
        };
        if let Some(said) = said {
            self.log(Level::Error, said);
        }
    }
}
