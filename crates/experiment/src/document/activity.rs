//! Probes and actions.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Strictness;
use super::experiment::{did_you_mean, tags};
use super::provider::provider;
use super::reader::{Reader, not_one_of};
use super::tolerance::tolerance;
use super::{
    Activity, ActivityKind, Exposure, OnFailure, Provider, Register, Repeat, Retry, UndoClass,
};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::jsonpath::JsonPath;
use crate::path::Path;
use crate::python::{is_true, str as text, type_name};
use crate::tolerance::Tolerance;
use crate::units;

impl Activity {
    /// An activity on its own: one that a control changed, or a dynamic configuration.
    ///
    /// # Errors
    /// What a run cannot do without: a kind, a provider of a known type with its fields.
    pub fn from_value(value: &Value) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(Strictness::Lenient);
        match standalone(value, &Path::root(), &mut reader) {
            Some(activity) if !reader.diagnostics.has_errors() => Ok(activity),
            _ => Err(reader.diagnostics),
        }
    }
}

/// An activity outside the document's lists; it cannot be a `ref`.
pub(super) fn standalone(value: &Value, path: &Path, reader: &mut Reader) -> Option<Activity> {
    Lowering {
        named: HashMap::new(),
    }
    .one(value, path, Role::Alone, reader)
}

/// Where an activity stands: what is required and what is ignored differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Method,
    /// Needs a tolerance.
    Hypothesis,
    Rollback,
    /// Needs a tolerance; may not be a `ref`.
    Guardrail,
    Alone,
}

/// What `ref`s may name: the last of the method's and then the hypothesis's entries with a name.
pub(super) struct Lowering<'a> {
    named: HashMap<&'a str, &'a Value>,
}

const KEYS: [&str; 18] = [
    "type",
    "name",
    "provider",
    "background",
    "pauses",
    "controls",
    "tolerance",
    "ref",
    "timeout",
    "tags",
    "retry",
    "repeat",
    "register",
    "rollback",
    "on-failure",
    "undo-class",
    "exposure",
    "dry",
];

impl<'a> Lowering<'a> {
    pub(super) fn new(raw: &'a Map<String, Value>) -> Self {
        let probes = raw
            .get("steady-state-hypothesis")
            .and_then(|value| value.get("probes"));
        let lists = [raw.get("method"), probes].into_iter().flatten();
        let entries = lists.filter_map(Value::as_array).flatten();
        let named = entries.filter_map(|entry| Some((entry.get("name")?.as_str()?, entry)));
        Self {
            named: named.filter(|(name, _)| !name.is_empty()).collect(),
        }
    }

    pub(super) fn list(
        &self,
        owner: &Map<String, Value>,
        key: &str,
        path: &Path,
        role: Role,
        reader: &mut Reader,
    ) -> Vec<Activity> {
        let items = reader.list(owner, key, path).iter().enumerate();
        items
            .filter_map(|(at, item)| self.one(item, &path.key(key).index(at), role, reader))
            .collect()
    }

    pub(super) fn one(
        &self,
        value: &Value,
        path: &Path,
        role: Role,
        reader: &mut Reader,
    ) -> Option<Activity> {
        let map = reader.map(value, path)?;
        if map.is_empty() {
            reader.error(Code::Missing, path, "an empty activity is no activity");
            return None;
        }
        match map.get("ref") {
            None | Some(Value::Null) => self.own(map, path, role, reader),
            Some(reference) => self.referenced(reference, map, path, role, reader),
        }
    }

    /// `{ref: name}`: the activity of that name, with this entry's tolerance and background.
    fn referenced(
        &self,
        reference: &Value,
        entry: &Map<String, Value>,
        path: &Path,
        role: Role,
        reader: &mut Reader,
    ) -> Option<Activity> {
        let here = path.key("ref");
        let Some(name) = reference.as_str().filter(|name| !name.is_empty()) else {
            reader.error(Code::Type, &here, "a `ref` is the name of an activity");
            return None;
        };
        let Some(target) = self.named.get(name) else {
            let message = format!("no activity of the method or hypothesis is called `{name}`");
            let diagnostic = Diagnostic::error(Code::Reference, &here, message);
            reader.push(match did_you_mean(name, self.named.keys().copied()) {
                Some(hint) => diagnostic.hint(hint),
                None => diagnostic,
            });
            return None;
        };
        if target.get("ref").is_some_and(|inner| !inner.is_null()) {
            reader.push(
                Diagnostic::error(
                    Code::Reference,
                    &here,
                    format!("`{name}` is itself a `ref`"),
                )
                .hint("Chaos Toolkit crashes on this; name the activity directly"),
            );
            return None;
        }
        // Mistakes in the target are told where it stands.
        let mut activity =
            self.own(target.as_object()?, path, Role::Alone, &mut reader.silent())?;
        activity.background = entry.get("background").is_some_and(is_true);
        activity.tolerance = self.tolerance(entry, path, role, reader);
        if entry.contains_key("tags") {
            activity.tags = tags(entry, path, reader);
        }
        Some(activity)
    }

    fn own(
        &self,
        map: &Map<String, Value>,
        path: &Path,
        role: Role,
        reader: &mut Reader,
    ) -> Option<Activity> {
        reader.known_keys(map, path, &KEYS);
        let kind = kind(map, path, reader);
        let name = if role == Role::Alone {
            map.get("name").map(text).unwrap_or_default()
        } else {
            reader.required_text(map, "name", path, "an activity needs a `name`")
        };
        let provider = provider(map, path, reader);
        check_timeout(map, path, reader);
        let (pause_before, pause_after) = pauses(map, path, reader);
        let activity = Activity {
            raw: map.clone(),
            kind: kind.unwrap_or(ActivityKind::Action),
            name,
            provider: provider?,
            background: background(map, path, role, reader),
            pause_before,
            pause_after,
            tolerance: self.tolerance(map, path, role, reader),
            controls: super::control::controls(map, path, reader),
            tags: tags(map, path, reader),
            retry: retry(map, path, reader),
            repeat: repeat(map, path, reader),
            register: register(map, path, reader),
            rollback: self.rollback(map, path, reader),
            on_failure: on_failure(map, path, reader),
            undo_class: undo_class(map, path, reader),
            exposure: exposure(map, path, reader),
        };
        check_fault(&activity, path, reader);
        kind.map(|_| activity)
    }

    fn tolerance(
        &self,
        map: &Map<String, Value>,
        path: &Path,
        role: Role,
        reader: &mut Reader,
    ) -> Option<Tolerance> {
        let required = matches!(role, Role::Hypothesis | Role::Guardrail);
        let here = path.key("tolerance");
        let Some(value) = map.get("tolerance") else {
            if required {
                let message = "a probe of the hypothesis needs a `tolerance`";
                reader.rule(Diagnostic::error(Code::Missing, &here, message));
            }
            return None;
        };
        if required {
            return tolerance(value, &here, reader);
        }
        // Outside the hypothesis nobody checks it; Chaos Toolkit does not even look.
        let mut silent = reader.silent();
        let read = tolerance(value, &here, &mut silent);
        if read.is_none() || silent.diagnostics.has_errors() {
            let message = "this tolerance is not valid; it is ignored outside the hypothesis";
            reader.warning(Code::Surprise, &here, message);
            return None;
        }
        read
    }

    fn rollback(
        &self,
        map: &Map<String, Value>,
        path: &Path,
        reader: &mut Reader,
    ) -> Option<Box<Activity>> {
        let value = map.get("rollback").filter(|value| !value.is_null())?;
        self.one(value, &path.key("rollback"), Role::Rollback, reader)
            .map(Box::new)
    }
}

fn kind(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<ActivityKind> {
    let here = path.key("type");
    match map.get("type") {
        Some(Value::String(kind)) if kind == "probe" => Some(ActivityKind::Probe),
        Some(Value::String(kind)) if kind == "action" => Some(ActivityKind::Action),
        Some(value) if is_true(value) => {
            reader.push(not_one_of(
                &here,
                "activity type",
                &text(value),
                &["probe", "action"],
            ));
            None
        }
        _ => {
            let message = "an activity needs a `type`: probe or action";
            reader.error(Code::Missing, &here, message);
            None
        }
    }
}

/// Validated by Chaos Toolkit, then ignored.
fn check_timeout(map: &Map<String, Value>, path: &Path, reader: &mut Reader) {
    let here = path.key("timeout");
    match map.get("timeout") {
        None | Some(Value::Null) => {}
        Some(Value::Number(_) | Value::Bool(_)) => reader.push(
            Diagnostic::warning(
                Code::Surprise,
                &here,
                "the `timeout` of an activity is ignored",
            )
            .hint("put it into the provider"),
        ),
        Some(other) => {
            let message = format!(
                "a timeout is a number of seconds, not a {}",
                type_name(other)
            );
            reader.rule(Diagnostic::error(Code::Type, &here, message));
        }
    }
}

fn pauses(
    map: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> (Option<Value>, Option<Value>) {
    let path = path.key("pauses");
    let Some(value) = map.get("pauses").filter(|value| !value.is_null()) else {
        return (None, None);
    };
    let Some(pauses) = reader.map(value, &path) else {
        return (None, None);
    };
    reader.known_keys(pauses, &path, &["before", "after"]);
    (
        pause(pauses, "before", &path, reader),
        pause(pauses, "after", &path, reader),
    )
}

fn pause(
    pauses: &Map<String, Value>,
    key: &str,
    path: &Path,
    reader: &mut Reader,
) -> Option<Value> {
    let value = pauses.get(key).filter(|value| !value.is_null())?;
    let here = path.key(key);
    let fine = match value {
        Value::Number(number) => number.as_f64().is_some_and(|seconds| seconds >= 0.0),
        Value::Bool(_) => true,
        Value::String(pattern) => pattern.starts_with("${") && pattern.ends_with('}'),
        _ => false,
    };
    if !fine {
        reader.rule(
            Diagnostic::error(
                Code::Value,
                &here,
                "a pause is a number of seconds, or `\"${name}\"`",
            )
            .hint("units are for keys of our own; Chaos Toolkit takes seconds here"),
        );
    }
    Some(value.clone())
}

fn background(map: &Map<String, Value>, path: &Path, role: Role, reader: &mut Reader) -> bool {
    let here = path.key("background");
    match map.get("background") {
        None => false,
        Some(Value::Bool(flag)) => {
            if *flag && role == Role::Hypothesis {
                let message = "`background` is ignored in the hypothesis";
                reader.warning(Code::Surprise, &here, message);
            }
            *flag
        }
        Some(other) => {
            reader.rule(Diagnostic::error(
                Code::Type,
                &here,
                "`background` is true or false",
            ));
            is_true(other)
        }
    }
}

/// A duration of ours at a key.
pub(super) fn duration(
    map: &Map<String, Value>,
    key: &str,
    path: &Path,
    reader: &mut Reader,
) -> Option<Duration> {
    let value = map.get(key).filter(|value| !value.is_null())?;
    match units::duration(value) {
        Ok(duration) => Some(duration),
        Err(error) => {
            let hint = error.hint();
            let diagnostic = Diagnostic::error(Code::Value, &path.key(key), error.to_string());
            reader.push(diagnostic.hint(hint));
            None
        }
    }
}

fn retry(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Retry> {
    let path = path.key("retry");
    let retry = reader.map(map.get("retry")?, &path)?;
    reader.known_keys(retry, &path, &["until", "every", "within"]);
    if !retry.contains_key("within") {
        let message = "`retry` needs `within`, the time after which it gives up";
        reader.error(Code::Missing, &path.key("within"), message);
    }
    let until = match retry.get("until") {
        None | Some(Value::Null) => None,
        Some(value) => tolerance(value, &path.key("until"), reader),
    };
    let every = if retry.contains_key("every") {
        duration(retry, "every", &path, reader)?
    } else {
        Duration::from_secs(1)
    };
    Some(Retry {
        until,
        every,
        within: duration(retry, "within", &path, reader)?,
    })
}

/// The most repetitions; each is a journal entry.
const REPEAT_MAX: u64 = 10_000;

fn repeat(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Repeat> {
    let path = path.key("repeat");
    let (times, place, every) = match map.get("repeat")? {
        Value::Object(repeat) => {
            reader.known_keys(repeat, &path, &["times", "every"]);
            let every = duration(repeat, "every", &path, reader).unwrap_or_default();
            (repeat.get("times"), path.key("times"), every)
        }
        other => (Some(other), path, Duration::ZERO),
    };
    let times = times
        .and_then(Value::as_u64)
        .filter(|times| (1..=REPEAT_MAX).contains(times));
    let Some(times) = times.and_then(|times| u32::try_from(times).ok()) else {
        let message = format!("`repeat` is a whole number from 1 to {REPEAT_MAX}");
        reader.error(Code::Value, &place, message);
        return None;
    };
    Some(Repeat { times, every })
}

fn register(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Vec<Register> {
    let path = path.key("register");
    let mut out = Vec::new();
    match map.get("register") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) => {
            if check_name(name, &path, reader) {
                out.push(Register {
                    name: name.clone(),
                    jsonpath: None,
                });
            }
        }
        Some(Value::Object(names)) => {
            for (name, jsonpath) in names {
                let here = path.key(name);
                if !check_name(name, &here, reader) {
                    continue;
                }
                match jsonpath {
                    Value::Null => out.push(Register {
                        name: name.clone(),
                        jsonpath: None,
                    }),
                    Value::String(jsonpath) => {
                        check_jsonpath(jsonpath, &here, reader);
                        let jsonpath = Some(jsonpath.clone());
                        out.push(Register {
                            name: name.clone(),
                            jsonpath,
                        });
                    }
                    other => reader.wrong_type(&here, "a JSONPath", other),
                }
            }
        }
        Some(other) => {
            reader.wrong_type(&path, "a name, or a mapping of names to JSONPaths", other);
        }
    }
    out
}

/// `${name}` reads ASCII identifiers only, so nothing else is worth registering.
fn check_name(name: &str, path: &Path, reader: &mut Reader) -> bool {
    let fine = crate::substitute::only_pattern(&format!("${{{name}}}")).is_some();
    if !fine {
        let message = format!("`${{{name}}}` would not be substituted");
        reader.push(
            Diagnostic::error(Code::Value, path, message).hint("use letters, digits and `_`"),
        );
    }
    fine
}

fn check_jsonpath(path_text: &str, path: &Path, reader: &mut Reader) {
    if let Err(error) = JsonPath::parse_ours(path_text) {
        reader.error(
            Code::Value,
            path,
            format!("the JSONPath `{path_text}` is not valid: {error}"),
        );
    }
}

fn on_failure(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> OnFailure {
    const NAMES: [(&str, OnFailure); 2] =
        [("continue", OnFailure::Continue), ("fail", OnFailure::Fail)];
    choice(map, "on-failure", &NAMES, path, reader).unwrap_or_default()
}

fn undo_class(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<UndoClass> {
    const NAMES: [(&str, UndoClass); 4] = [
        ("reversible", UndoClass::Reversible),
        ("replaced", UndoClass::Replaced),
        ("irreversible", UndoClass::Irreversible),
        ("opaque", UndoClass::Opaque),
    ];
    choice(map, "undo-class", &NAMES, path, reader)
}

/// One of a few words at a key.
pub(super) fn choice<T: Copy>(
    map: &Map<String, Value>,
    key: &str,
    names: &[(&'static str, T)],
    path: &Path,
    reader: &mut Reader,
) -> Option<T> {
    let value = map.get(key).filter(|value| !value.is_null())?;
    let found = names
        .iter()
        .find(|(name, _)| value == name)
        .map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        reader.push(not_one_of(&path.key(key), key, &text(value), &words));
    }
    found
}

fn exposure(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Exposure> {
    let path = path.key("exposure");
    let exposure = reader.map(map.get("exposure")?, &path)?;
    let mut provider = exposure.clone();
    let jsonpaths: Vec<String> = match provider.shift_remove("jsonpath") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    if jsonpaths.is_empty() {
        let message = "`exposure` needs `jsonpath`: where in the answer the counters stand";
        reader.error(Code::Missing, &path.key("jsonpath"), message);
    }
    for jsonpath in &jsonpaths {
        check_jsonpath(jsonpath, &path.key("jsonpath"), reader);
    }
    if provider.get("type").is_some_and(|kind| kind != "http") {
        reader.error(
            Code::Value,
            &path.key("type"),
            "`exposure` is read over `http`",
        );
    }
    provider.entry("type").or_insert_with(|| "http".into());
    super::provider::check_http(&provider, &path, reader);
    Some(Exposure {
        provider,
        jsonpaths,
    })
}

fn check_fault(activity: &Activity, path: &Path, reader: &mut Reader) {
    let is_fault = matches!(activity.provider, Provider::Fault { .. });
    if is_fault && activity.kind == ActivityKind::Probe {
        reader.error(
            Code::Value,
            &path.key("type"),
            "a fault changes the system: it is an action",
        );
    }
    if activity.exposure.is_some() && !is_fault {
        let message = "`exposure` counts the traffic that meets a fault; this is none";
        reader.warning(Code::Surprise, &path.key("exposure"), message);
    }
    if activity.undo_class.is_some() && is_fault {
        let message = "a fault of ours knows its own undo class";
        reader.warning(Code::Surprise, &path.key("undo-class"), message);
    }
}
