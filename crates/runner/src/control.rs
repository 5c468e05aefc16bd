//! Python controls, applied through the worker.

use firedrill_engine::effect::{ControlReply, ControlRequest, Hook, Scope};
use serde_json::{Map, Value, json};

use crate::provider::Providers;
use crate::provider::python::RaisedKind;
use crate::settings::Settings;

/// The way to the controls. Cheap to clone; starts no Python before the first control.
#[derive(Debug, Clone)]
pub struct Controls {
    providers: Providers,
    settings: Settings,
}

impl Controls {
    pub fn new(providers: Providers, settings: Settings) -> Self {
        Self {
            providers,
            settings,
        }
    }

    /// A worker that cannot be started, or died, is a control that failed: the drill goes on.
    pub(crate) async fn apply(&self, request: ControlRequest) -> ControlReply {
        let mut payload = Map::new();
        payload.insert("controls".into(), Value::Array(request.controls));
        match path_of(request.hook, &request.context, &request.experiment) {
            Some(path) => payload.insert("context_path".into(), path),
            None => payload.insert("context".into(), request.context),
        };
        if let Some(state) = request.state {
            payload.insert("state".into(), state);
        }
        payload.insert("experiment".into(), request.experiment);
        payload.insert("configuration".into(), request.configuration);
        payload.insert("secrets".into(), request.secrets);
        payload.insert(
            "settings".into(),
            Value::Object(self.settings.raw().clone()),
        );
        let Ok(reply) = self
            .providers
            .python()
            .control(&hook(request.hook), payload)
            .await
        else {
            return ControlReply::default();
        };
        let interruption = reply
            .stopped
            .filter(|raised| matches!(raised.kind, RaisedKind::Interrupt | RaisedKind::Exit));
        ControlReply {
            context: reply.context,
            state: reply.state,
            experiment: reply.experiment,
            configuration: reply.configuration,
            secrets: reply.secrets,
            interruption: interruption.map(|raised| raised.interruption()),
        }
    }
}

/// Where the context stands in the experiment. The worker then hands controls that very part, so
/// that what they change in one is changed in the other, as it is in Chaos Toolkit.
fn path_of(hook: Hook, context: &Value, experiment: &Value) -> Option<Value> {
    let (Hook::Before(scope) | Hook::After(scope)) = hook else {
        return None;
    };
    match scope {
        Scope::Experiment | Scope::Method | Scope::Rollback => Some(json!([])),
        Scope::Hypothesis => Some(json!(["steady-state-hypothesis"])),
        Scope::Activity => {
            let probes = experiment.pointer("/steady-state-hypothesis/probes");
            let lists = [
                (json!(["steady-state-hypothesis", "probes"]), probes),
                (json!(["method"]), experiment.get("method")),
                (json!(["rollbacks"]), experiment.get("rollbacks")),
            ];
            lists.into_iter().find_map(|(path, list)| {
                let at = list?
                    .as_array()?
                    .iter()
                    .position(|activity| activity == context)?;
                let mut path = path.as_array()?.clone();
                path.push(json!(at));
                Some(Value::Array(path))
            })
        }
    }
}

fn hook(hook: Hook) -> String {
    let name = |scope: Scope| scope.name();
    match hook {
        Hook::Configure => "configure_control".into(),
        Hook::Cleanup => "cleanup_control".into(),
        Hook::Before(scope) => format!("before_{}_control", name(scope)),
        Hook::After(scope) => format!("after_{}_control", name(scope)),
    }
}
