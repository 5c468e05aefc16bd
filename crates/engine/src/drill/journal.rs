//! The journal, as Chaos Toolkit's readers expect it.

use std::time::Duration;

use firedrill_experiment::journal::{Journal, Status};
use firedrill_experiment::substitute::substitute_text;
use serde_json::{Map, Value};

use super::Drill;
use crate::record;

/// The version of chaostoolkit-lib whose journal this follows.
pub const CHAOSLIB_VERSION: &str = "1.45.1";

impl Drill {
    /// As Chaos Toolkit keeps it: with what controls changed inside, but no key they added.
    pub(super) fn recorded_experiment(&self) -> Map<String, Value> {
        let mut experiment = self.experiment().raw.clone();
        experiment.retain(|key, _| self.0.declared.contains(key));
        let title = substitute_text(&self.experiment().title, &self.scope());
        experiment.insert("title".into(), title);
        experiment.insert(
            "dry".into(),
            self.options()
                .dry
                .map_or(Value::Null, |dry| dry.name().into()),
        );
        experiment
    }

    pub(super) fn journal(&self) -> Journal {
        Journal {
            chaoslib_version: CHAOSLIB_VERSION.into(),
            platform: self.identity().platform.clone(),
            node: self.identity().node.clone(),
            experiment: Value::Object(self.recorded_experiment()),
            start: record::moment(self.identity().epoch, Duration::ZERO),
            status: self.status().unwrap_or(Status::Completed),
            deviated: self.0.deviated.get(),
            steady_states: self.0.states.borrow().clone(),
            run: self.0.run.snapshot(),
            rollbacks: self.0.rollbacks.snapshot(),
            end: self.moment(),
            duration: self.now().as_secs_f64(),
            interruption: self.0.interruption.borrow().clone(),
            safeguards: None,
            extra: Map::new(),
            firedrill: None,
        }
    }
}
