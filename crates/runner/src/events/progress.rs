//! The engine's progress in the words of the events file.

use std::time::Duration;

use firedrill_engine::effect::{Check as Checked, Progress};
use firedrill_experiment::journal::Status;
use serde_json::{Map, Value, json};

use super::{Check, Event, EventsFile};

impl EventsFile {
    /// Writes down what happened, `now` after the drill's start.
    pub fn progress(&self, now: Duration, progress: &Progress) {
        let event = match progress {
            Progress::Started { title } => Event::RunStarted { title },
            Progress::HypothesisStarted { check } => Event::HypothesisStarted {
                check: when(*check),
                frequency: None,
            },
            Progress::HypothesisChecked { check, state } => Event::HypothesisCompleted {
                check: when(*check),
                state,
            },
            Progress::MethodStarted => Event::MethodStarted,
            Progress::MethodEnded => Event::MethodCompleted,
            Progress::RollbacksStarted => Event::RollbacksStarted,
            Progress::RollbacksEnded => Event::RollbacksCompleted,
            Progress::ActivityStarted { activity } => Event::ActivityStarted { activity },
            Progress::ActivityEnded { run } => Event::ActivityCompleted { run },
            Progress::Stopped { signal: Some(_) } => Event::RunSignalExit,
            Progress::Stopped { signal: None } => Event::RunInterrupted,
            Progress::Ended { status, deviated } => Event::RunFinished {
                status: name(*status),
                deviated: *deviated,
            },
            Progress::Phase { phase, .. } => ours("phase-started", now, json!({"phase": phase})),
            Progress::FaultApplied { name } => ours("fault-applied", now, json!({"fault": name})),
            Progress::FaultReverted { name } => ours("fault-reverted", now, json!({"fault": name})),
            Progress::Recovered { took } => {
                ours("recovered", now, json!({"seconds": took.as_secs_f64()}))
            }
        };
        self.emit(&event);
    }
}

fn ours(kind: &'static str, now: Duration, fields: Value) -> Event<'static> {
    let mut all = Map::new();
    all.insert("at".into(), json!(now.as_secs_f64()));
    if let Value::Object(fields) = fields {
        all.extend(fields);
    }
    Event::Firedrill { kind, fields: all }
}

fn when(check: Checked) -> Check {
    match check {
        Checked::Before => Check::Before,
        Checked::During { iteration } => Check::During { iteration },
        Checked::After => Check::After,
    }
}

fn name(status: Status) -> &'static str {
    match status {
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Aborted => "aborted",
        Status::Interrupted => "interrupted",
    }
}
