//! Python controls, applied through the worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// A control has registered a handler for the drill's events.
    heard: Arc<AtomicBool>,
}

/// Shows a document's place to the controls of loading, before it is read.
pub async fn before_loading(controls: &[Value], place: &str, providers: &Providers) {
    let payload = loading(controls, place, None);
    // A control that fails is one that changes nothing.
    let _ = providers
        .python()
        .control("before_loading_experiment_control", payload)
        .await;
}

/// Shows the document to the controls of loading; the answer is what they made of it.
pub async fn after_loading(
    controls: &[Value],
    place: &str,
    document: &Value,
    providers: &Providers,
) -> Option<Value> {
    let payload = loading(controls, place, Some(document));
    let reply = providers
        .python()
        .control("after_loading_experiment_control", payload)
        .await;
    reply.ok().and_then(|reply| reply.state)
}

fn loading(controls: &[Value], place: &str, document: Option<&Value>) -> Map<String, Value> {
    let mut payload = Map::new();
    payload.insert("controls".into(), json!(controls));
    payload.insert("context".into(), json!(place));
    if let Some(document) = document {
        payload.insert("state".into(), document.clone());
    }
    payload
}

impl Controls {
    pub fn new(providers: Providers, settings: Settings) -> Self {
        Self {
            providers,
            settings,
            heard: Arc::default(),
        }
    }

    /// Whether the drill's events are to be told at all.
    pub(crate) fn are_listening(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Tells the handlers that controls registered; whatever becomes of them, the drill goes on.
    pub(crate) async fn tell(&self, happening: &'static str, arguments: Vec<Value>) {
        let _ = self
            .providers
            .python()
            .lifecycle(happening, arguments)
            .await;
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
        if reply.event_handlers > 0 {
            self.heard.store(true, Ordering::Relaxed);
        }
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
