//! The drill's side of a margin: all of its trials stand where the method has the one fault.

use std::time::Duration;

use firedrill_engine::effect::FaultReport;
use firedrill_experiment::call::FaultCall;
use firedrill_experiment::journal::margin::{Record, Stopped};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::provider::Cancel;

/// The way from the drill to the search. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Trials {
    activity: String,
    turns: mpsc::UnboundedSender<Turn>,
}

/// The method has come to the fault that is varied.
#[derive(Debug)]
pub(super) struct Turn {
    /// The drill was stopped: by a guardrail, or from outside.
    pub(super) cancel: Cancel,
    pub(super) ended: oneshot::Sender<Held>,
}

/// What the drill is told of the trials, all of them together.
#[derive(Debug, Default)]
pub(super) struct Held {
    mechanism: String,
    achieved: Option<String>,
    observed: bool,
    residue: Vec<String>,
    refused: Option<String>,
}

impl Trials {
    pub(super) fn of(activity: &str) -> (Self, mpsc::UnboundedReceiver<Turn>) {
        let (turns, received) = mpsc::unbounded_channel();
        let activity = activity.to_owned();
        (Self { activity, turns }, received)
    }

    pub(crate) fn are_of(&self, activity: &str) -> bool {
        self.activity == activity
    }

    /// Returns when no trial's fault is in place any more.
    pub(crate) async fn hold(
        self,
        call: &FaultCall,
        cancel: Cancel,
        began: Instant,
        applied: impl FnOnce(),
    ) -> FaultReport {
        let mut report = crate::fault::blank(call);
        let since = began.elapsed();
        let (ended, waits) = oneshot::channel();
        if self.turns.send(Turn { cancel, ended }).is_err() {
            report.refused = Some("its trials were made already".into());
            return report;
        }
        applied();
        let Ok(held) = waits.await else {
            report.refused = Some("the search ended without a word".into());
            return report;
        };
        report.applied = Some(since);
        report.reverted = Some(began.elapsed());
        report.revert = Some(Duration::ZERO);
        report.mechanism = held.mechanism;
        report.achieved = held.achieved;
        report.observed = held.observed;
        report.residue = held.residue;
        report.refused = held.refused;
        report
    }
}

impl Held {
    pub(super) fn of(record: &Record) -> Self {
        let last = record.trials.last();
        let mut held = Self {
            mechanism: last.map_or_else(String::new, |trial| trial.mechanism.clone()),
            achieved: last.map(|_| format!("{} trials", record.trials.len())),
            observed: last.is_some(),
            ..Self::default()
        };
        match &record.stopped {
            Some(Stopped::Residue(what)) => held.residue.push(what.clone()),
            Some(Stopped::Refused(why)) => held.refused = Some(why.clone()),
            _ => {}
        }
        held
    }
}
