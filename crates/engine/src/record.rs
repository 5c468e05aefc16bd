//! The journal while it grows.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use firedrill_experiment::journal::{Run, RunStatus};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::effect::Failure;

/// A list of runs that several coroutines append to, in the order of their start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs(Rc<RefCell<Vec<Run>>>);

/// One entry of such a list.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    runs: Runs,
    index: usize,
}

impl Runs {
    pub(crate) fn push(&self, run: Run) -> Entry {
        let mut runs = self.0.borrow_mut();
        runs.push(run);
        Entry {
            runs: self.clone(),
            index: runs.len() - 1,
        }
    }

    pub(crate) fn snapshot(&self) -> Vec<Run> {
        self.0.borrow().clone()
    }

    pub(crate) fn replace(&self, runs: Vec<Run>) {
        *self.0.borrow_mut() = runs;
    }
}

impl Entry {
    pub(crate) fn update(&self, change: impl FnOnce(&mut Run)) {
        if let Some(run) = self.runs.0.borrow_mut().get_mut(self.index) {
            change(run);
        }
    }

    pub(crate) fn read(&self) -> Option<Run> {
        self.runs.0.borrow().get(self.index).cloned()
    }
}

/// The journal's way to write a moment: Python's `isoformat` in UTC.
pub(crate) fn moment(epoch: Timestamp, now: Duration) -> String {
    let at = SignedDuration::try_from(now)
        .ok()
        .and_then(|now| epoch.checked_add(now).ok())
        .unwrap_or(epoch);
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

pub(crate) fn begun(activity: &Map<String, Value>, start: String) -> Run {
    Run {
        activity: Value::Object(activity.clone()),
        output: Value::Null,
        start: Some(start),
        status: None,
        end: None,
        duration: None,
        exception: None,
        tolerance_met: None,
        extra: Map::new(),
    }
}

pub(crate) fn succeed(run: &mut Run, output: Value) {
    run.output = output;
    run.status = Some(RunStatus::Succeeded);
}

pub(crate) fn fail(run: &mut Run, failure: Failure) {
    run.status = Some(RunStatus::Failed);
    run.exception = Some(failure.exception);
}
