//! Controls: Python hooks around the experiment, hypothesis, method, rollbacks and activities.
//!
//! Which controls apply where follows chaostoolkit-lib 1.45's `get_context_controls`, its
//! surprises included: see docs/compat.md.

use firedrill_experiment::document::{Control, Experiment, Strictness};
use firedrill_experiment::journal::Journal;
use serde_json::Value;

use crate::drill::Drill;
use crate::effect::{ControlReply, ControlRequest, Effect, Hook, Scope};
use crate::stop::Stop;

impl Drill {
    /// Applies the controls of one level; a control may change what it was shown, or interrupt.
    pub(crate) async fn control(
        &self,
        scope: Scope,
        own: &[Control],
        context: Value,
        state: Option<Value>,
        before: bool,
    ) -> Result<ControlReply, Stop> {
        let own: Vec<Value> = own
            .iter()
            .map(|control| Value::Object(control.raw.clone()))
            .collect();
        let controls = applicable(
            &self.options().global_controls,
            &top_level(&self.experiment()),
            own,
            scope,
        );
        let hook = if before {
            Hook::Before(scope)
        } else {
            Hook::After(scope)
        };
        let reply = self.ask(hook, controls, context, state).await;
        match reply.interruption.clone() {
            Some(interruption) => Err(Stop::of(interruption)),
            None => Ok(reply),
        }
    }

    pub(crate) async fn experiment_control_before(&self) -> Result<(), Stop> {
        let own = self.experiment().controls.clone();
        let context = Value::Object(self.experiment().raw.clone());
        let reply = self
            .control(Scope::Experiment, &own, context, None, true)
            .await?;
        self.adopt(reply.context);
        Ok(())
    }

    /// The journal as the controls left it.
    pub(crate) async fn experiment_control_after(&self, journal: Journal) -> Journal {
        let own = self.experiment().controls.clone();
        let context = Value::Object(self.experiment().raw.clone());
        let state = serde_json::to_value(&journal).ok();
        match self
            .control(Scope::Experiment, &own, context, state, false)
            .await
        {
            Ok(reply) => reply
                .state
                .and_then(|state| serde_json::from_value(state).ok())
                .unwrap_or(journal),
            Err(_) => journal,
        }
    }

    pub(crate) async fn initialise_controls(&self) {
        let controls = self.declared_controls();
        self.ask(Hook::Configure, controls, Value::Null, None).await;
    }

    pub(crate) async fn cleanup_controls(&self) {
        let controls = self.declared_controls();
        self.ask(Hook::Cleanup, controls, Value::Null, None).await;
    }

    async fn ask(
        &self,
        hook: Hook,
        controls: Vec<Value>,
        context: Value,
        state: Option<Value>,
    ) -> ControlReply {
        let controls: Vec<Value> = controls.into_iter().filter(is_python).collect();
        if controls.is_empty() {
            return ControlReply::default();
        }
        let id = self.core().next_id();
        let request = ControlRequest {
            hook,
            controls,
            context,
            state,
            experiment: Value::Object(self.experiment().raw.clone()),
            configuration: Value::Object(self.scope().configuration.clone()),
            secrets: Value::Object(self.scope().secrets.clone()),
        };
        let reply = self
            .core()
            .control(id, Effect::Control { id, request })
            .await;
        if let Some(Value::Object(configuration)) = &reply.configuration {
            self.change_scope(|scope| scope.configuration = configuration.clone());
        }
        if let Some(Value::Object(secrets)) = &reply.secrets {
            self.change_scope(|scope| scope.secrets = secrets.clone());
        }
        self.adopt(reply.experiment.clone());
        reply
    }

    /// Takes over an experiment that a control has changed, if it still is one.
    fn adopt(&self, changed: Option<Value>) {
        let adopted =
            changed.and_then(|value| Experiment::from_value(value, Strictness::Lenient).ok());
        if let Some(experiment) = adopted {
            self.replace_experiment(experiment);
        }
    }

    /// Every control of settings and document, each name once.
    fn declared_controls(&self) -> Vec<Value> {
        let experiment = self.experiment();
        let mut controls = self.options().global_controls.clone();
        controls.extend(top_level(&experiment));
        let hypothesis = experiment.hypothesis.iter();
        let probes = experiment
            .hypothesis
            .iter()
            .flat_map(|hypothesis| &hypothesis.probes);
        let activities = probes
            .chain(&experiment.method)
            .chain(&experiment.rollbacks);
        let nested = hypothesis
            .flat_map(|h| &h.controls)
            .chain(activities.flat_map(|activity| &activity.controls));
        controls.extend(nested.map(|control| Value::Object(control.raw.clone())));
        let mut seen = Vec::new();
        controls.retain(|control| {
            let Some(name) = control.get("name").and_then(Value::as_str) else {
                return false;
            };
            let first = !seen.iter().any(|known| known == name);
            seen.push(name.to_owned());
            first
        });
        controls
    }
}

fn top_level(experiment: &Experiment) -> Vec<Value> {
    experiment
        .controls
        .iter()
        .map(|control| Value::Object(control.raw.clone()))
        .collect()
}

fn is_python(control: &Value) -> bool {
    control.pointer("/provider/type").and_then(Value::as_str) == Some("python")
}

fn is_automatic(control: &Value) -> bool {
    control
        .get("automatic")
        .and_then(Value::as_bool)
        .unwrap_or(true)
}

fn applicable(global: &[Value], top: &[Value], own: Vec<Value>, scope: Scope) -> Vec<Value> {
    // At these levels the context is the experiment itself, so its own controls are the top ones.
    let own = match scope {
        Scope::Method | Scope::Rollback | Scope::Experiment => top.to_vec(),
        Scope::Hypothesis | Scope::Activity => own,
    };
    let mut controls: Vec<Value> = global.to_vec();
    controls.extend(own);
    if top.is_empty() {
        return controls;
    }
    let automatic = || {
        top.iter()
            .filter(|control| is_automatic(control))
            .cloned()
            .collect()
    };
    if controls.is_empty() || matches!(scope, Scope::Method | Scope::Rollback) {
        return automatic();
    }
    for control in controls.clone() {
        match control.get("ref") {
            Some(wanted) => {
                controls.extend(
                    top.iter()
                        .find(|control| control.get("name") == Some(wanted))
                        .cloned(),
                );
            }
            None if scope != Scope::Experiment => {
                let name = control.get("name");
                for control in top
                    .iter()
                    .rev()
                    .filter(|t| t.get("name") != name && is_automatic(t))
                {
                    controls.insert(0, control.clone());
                }
            }
            None => {}
        }
    }
    controls
}
