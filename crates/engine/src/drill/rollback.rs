//! Which rollbacks there are, and whether they are played.

use firedrill_experiment::document::{Activity, Provider, RollbackStrategy};
use firedrill_experiment::journal::Status;
use serde_json::Value;

use super::Drill;
use crate::effect::{Armed, Effect};

impl Drill {
    /// Remembers the rollback of an action that runs.
    pub(crate) fn owe(&self, activity: &Activity) {
        if let Some(rollback) = &activity.rollback {
            self.0.owed.borrow_mut().push((**rollback).clone());
            self.arm_rollbacks();
        }
    }

    /// Makes the rollbacks as they now stand durable, for the case that this drill is killed.
    pub(super) fn arm_rollbacks(&self) {
        let rollbacks = self.rollbacks();
        if self.options().rollback_strategy == RollbackStrategy::Never
            || rollbacks.is_empty()
            || self.options().dry.is_some()
        {
            return;
        }
        let scope = self.scope();
        self.core().emit(Effect::ArmRollbacks(Armed {
            activities: rollbacks
                .into_iter()
                .map(|activity| Value::Object(activity.raw))
                .collect(),
            configuration: scope.configuration.clone(),
            registered: scope.registered.clone(),
        }));
    }

    /// The rollbacks to play: of single actions, last first, then the document's.
    pub(crate) fn rollbacks(&self) -> Vec<Activity> {
        let mut rollbacks: Vec<_> = self.0.owed.borrow().iter().rev().cloned().collect();
        rollbacks.extend(self.experiment().rollbacks.iter().cloned());
        rollbacks
    }

    pub(super) fn has_rollbacks(&self) -> bool {
        let experiment = self.experiment();
        !experiment.rollbacks.is_empty()
            || experiment
                .method
                .iter()
                .any(|activity| activity.rollback.is_some())
    }

    /// An opaque action lasts until the rollbacks have taken it back.
    pub(super) fn recovers_after_rollbacks(&self) -> bool {
        let experiment = self.experiment();
        let opaque = experiment.method.iter().any(|activity| {
            activity.kind == firedrill_experiment::document::ActivityKind::Action
                && !matches!(activity.provider, Provider::Fault { .. })
        });
        opaque && self.has_rollbacks()
    }

    pub(super) fn rollbacks_wanted(&self) -> bool {
        match self.options().rollback_strategy {
            RollbackStrategy::Always => true,
            RollbackStrategy::Never => false,
            RollbackStrategy::Deviated => self.0.deviated.get(),
            RollbackStrategy::Default => {
                let fatal = self.0.facts.borrow().fatal_failure.is_some();
                let guardrail = self.0.facts.borrow().guardrail.is_some();
                fatal
                    || guardrail
                    || !matches!(self.status(), Some(Status::Failed | Status::Interrupted))
            }
        }
    }
}
