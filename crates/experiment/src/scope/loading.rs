//! The `configuration` block: inline values, environment variables, probes.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::convert::convert;
use super::{Scope, ScopeError};
use crate::document::{Activity, Provider};
use crate::path::Path;
use crate::python;

/// A configuration on its way: the runner executes the probes in it, in order.
///
/// ```text
/// while let Some(dynamic) = loading.next_dynamic() {
///     // run dynamic.provider with loading.known() as configuration
///     loading.finish(&dynamic, &output);      // or nothing, if it failed
/// }
/// let configuration = loading.into_configuration();
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Loading {
    known: Map<String, Value>,
    waiting: VecDeque<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Value(String, Value),
    Dynamic(Box<Dynamic>),
}

/// An entry that a probe provides (`type: probe`).
#[derive(Debug, Clone, PartialEq)]
pub struct Dynamic {
    /// The configuration key.
    pub name: String,
    /// The probe; its provider carries it out.
    pub activity: Activity,
}

/// Reads the block against an environment, with `--var`s and variable files laid over.
///
/// # Errors
/// A variable that is not set and has no default, a value that does not convert.
pub fn load_configuration(
    configuration: &Map<String, Value>,
    env: &dyn Fn(&str) -> Option<String>,
    overrides: &Map<String, Value>,
) -> Result<Loading, ScopeError> {
    let mut waiting = VecDeque::new();
    for (name, declared) in configuration {
        let place = Path::root().key("configuration").key(name);
        let value = overrides.get(name).unwrap_or(declared);
        waiting.push_back(match value.get("type").and_then(Value::as_str) {
            Some("env") => Entry::Value(name.clone(), from_env(value, env, &place)?),
            Some("probe") => Entry::Dynamic(Box::new(Dynamic::read(name, value, &place)?)),
            _ => Entry::Value(name.clone(), value.clone()),
        });
    }
    Ok(Loading {
        known: Map::new(),
        waiting,
    })
}

fn from_env(
    entry: &Value,
    env: &dyn Fn(&str) -> Option<String>,
    place: &Path,
) -> Result<Value, ScopeError> {
    let Some(variable) = entry.get("key").and_then(Value::as_str) else {
        return Err(ScopeError::KeyMissing {
            place: place.clone(),
            key: "key",
        });
    };
    let kind = match entry.get("env_var_type") {
        None | Some(Value::Null) => None,
        Some(Value::String(kind)) => Some(kind.as_str()),
        Some(other) => {
            return Err(ScopeError::UnknownType {
                place: place.clone(),
                kind: python::str(other),
            });
        }
    };
    let value = match (env(variable), entry.get("default")) {
        (Some(text), _) => Value::String(text),
        (None, Some(default)) => default.clone(),
        (None, None) => {
            return Err(ScopeError::EnvironmentMissing {
                place: place.clone(),
                variable: variable.to_owned(),
            });
        }
    };
    convert(kind, &value, place)
}

impl Loading {
    /// The next probe to run, after everything declared before it is known.
    pub fn next_dynamic(&mut self) -> Option<Dynamic> {
        while let Some(entry) = self.waiting.pop_front() {
            match entry {
                Entry::Value(name, value) => {
                    self.known.insert(name, value);
                }
                Entry::Dynamic(dynamic) => return Some(*dynamic),
            }
        }
        None
    }

    /// What is loaded so far: what the next probe may use.
    pub fn known(&self) -> &Map<String, Value> {
        &self.known
    }

    /// Takes a probe's output in. A probe that failed gives nothing and its key stays unknown;
    /// so does a process that exited with anything but 0, which returns `false` here.
    pub fn finish(&mut self, dynamic: &Dynamic, output: &Value) -> bool {
        match dynamic.finish(output) {
            Some(value) => {
                self.known.insert(dynamic.name.clone(), value);
                true
            }
            None => false,
        }
    }

    /// Everything loaded; probes not run are left out.
    pub fn into_configuration(mut self) -> Map<String, Value> {
        while self.next_dynamic().is_some() {}
        self.known
    }
}

impl Dynamic {
    fn read(name: &str, value: &Value, place: &Path) -> Result<Self, ScopeError> {
        let activity = Activity::from_value(value).map_err(|diagnostics| ScopeError::Provider {
            place: place.clone(),
            message: diagnostics.lines().join("; "),
        })?;
        Ok(Self {
            name: name.to_owned(),
            activity,
        })
    }

    /// Dynamic Python probes receive every secret group, whatever their provider asks for.
    #[must_use]
    pub fn with_all_secrets(mut self, scope: &Scope) -> Self {
        if let Provider::Python { secrets, .. } = &mut self.activity.provider {
            *secrets = scope.secrets.keys().cloned().collect();
        }
        self
    }

    /// The value an output stands for: a process's stripped stdout if it exited with 0, an HTTP
    /// body, anything else as it is.
    pub fn finish(&self, output: &Value) -> Option<Value> {
        match &self.activity.provider {
            Provider::Process { .. } => {
                let ok = output.get("status").and_then(Value::as_i64) == Some(0);
                let stdout = output
                    .get("stdout")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                ok.then(|| Value::String(stdout.trim().to_owned()))
            }
            Provider::Http { .. } => Some(output.get("body").cloned().unwrap_or(Value::Null)),
            _ => Some(output.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
