//! What an answer holds for, beside its load: written in the document, or read from the system
//! before the search and again at its end.

use firedrill_engine::effect::Outcome;
use firedrill_experiment::call;
use firedrill_experiment::document::{ContextFrom, MarginContext};
use firedrill_experiment::journal::margin::Stopped;
use firedrill_experiment::jsonpath::JsonPath;
use firedrill_experiment::mask::Mask;
use firedrill_experiment::scope::Scope;
use firedrill_experiment::substitute::substitute;
use serde_json::{Map, Value};

use crate::provider::{Cancel, Providers};

/// Longer ones are no facts to tell beside a figure.
const CHARACTERS_MAX: usize = 200;

/// One of them, and how it is known.
#[derive(Debug, Clone)]
pub struct Fact {
    name: String,
    from: ContextFrom,
    scope: Scope,
}

/// As the document names them.
pub(super) fn facts(context: &[MarginContext], scope: &Scope) -> Vec<Fact> {
    let fact = |one: &MarginContext| Fact {
        name: one.name.clone(),
        from: one.from.clone(),
        scope: scope.clone(),
    };
    context.iter().map(fact).collect()
}

/// All of them, as they are now; or why one cannot be told.
pub(super) async fn read(
    facts: &[Fact],
    providers: &Providers,
    cancel: &Cancel,
) -> Result<Map<String, Value>, String> {
    let mut known = Map::new();
    for fact in facts {
        let value = fact.read(providers, cancel.clone()).await;
        let value = value.map_err(|why| format!("`{}` of the context: {why}", fact.name))?;
        known.insert(fact.name.clone(), value);
    }
    Ok(known)
}

/// Nothing while they are the same.
pub(super) fn changed(before: &Map<String, Value>, now: &Map<String, Value>) -> Option<Stopped> {
    let (name, was) = before
        .iter()
        .find(|(name, value)| now.get(*name) != Some(value))?;
    let is = now.get(name).unwrap_or(&Value::Null);
    Some(Stopped::ContextChanged(format!(
        "`{name}` was {} and is {}: what was seen is not of one system, so it answers nothing",
        word(was),
        word(is)
    )))
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Fact {
    async fn read(&self, providers: &Providers, cancel: Cancel) -> Result<Value, String> {
        let (provider, jsonpath) = match &self.from {
            ContextFrom::Literal(value) => return self.told(substitute(value, &self.scope)),
            ContextFrom::Read { provider, jsonpath } => (provider, jsonpath),
        };
        let call = call::resolve(provider, &self.scope).map_err(|error| error.to_string())?;
        let output = match providers.call(&call, cancel).await {
            Outcome::Succeeded(output) => output,
            Outcome::Failed(failure) | Outcome::Aborted(failure) => return Err(failure.message),
            Outcome::Interrupted(interruption) => return Err(interruption.reason),
        };
        let answer = answer(output)?;
        let Some(path) = jsonpath else {
            return self.told(answer);
        };
        let answer = parsed(answer);
        let matches = JsonPath::parse_ours(path)
            .map_err(|error| error.to_string())?
            .select(&answer)
            .map_err(|error| error.to_string())?;
        match matches.into_iter().next() {
            Some(value) => self.told(value),
            None => Err(format!("`{path}` leads to nothing in the answer")),
        }
    }

    /// A single value, without secrets.
    fn told(&self, value: Value) -> Result<Value, String> {
        let text = word(&value);
        if value.is_object() || value.is_array() || text.chars().count() > CHARACTERS_MAX {
            return Err("it is no single short value; `jsonpath` says where one stands".into());
        }
        Ok(match value {
            Value::String(text) => {
                Value::String(Mask::new(&self.scope.secrets).text(text.trim()).to_string())
            }
            other => other,
        })
    }
}

/// What was answered, without what the provider says around it: a body, an output.
fn answer(output: Value) -> Result<Value, String> {
    let status = output.get("status").and_then(Value::as_i64);
    if let Some(status) = status.filter(|status| *status != 0 && !(200..300).contains(status)) {
        return Err(format!("who was asked answered with status {status}"));
    }
    let inner = output.get("body").or_else(|| output.get("stdout"));
    Ok(inner.cloned().unwrap_or(output))
}

/// Only where a path leads into it: `1.40` by itself is a version, and not a number.
fn parsed(answer: Value) -> Value {
    match answer {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    }
}
