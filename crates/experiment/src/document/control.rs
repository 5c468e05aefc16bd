//! Controls: hooks around every part of a drill.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::reader::{Reader, not_one_of};
use super::{Control, ControlScope, PythonControl};
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;
use crate::python::is_true;

/// The `controls` of an experiment, a hypothesis or an activity.
pub(super) fn controls(
    owner: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Vec<Control> {
    let items = reader.list(owner, "controls", path).iter().enumerate();
    items
        .filter_map(|(at, item)| control(item, &path.key("controls").index(at), reader))
        .collect()
}

fn control(value: &Value, path: &Path, reader: &mut Reader) -> Option<Control> {
    let map = reader.map(value, path)?;
    reader.known_keys(
        map,
        path,
        &["name", "provider", "scope", "automatic", "ref", "type"],
    );
    for (key, message) in [
        ("name", "a control needs a `name`"),
        ("provider", "a control needs a `provider`"),
    ] {
        if !map.contains_key(key) {
            reader.rule(Diagnostic::error(Code::Missing, &path.key(key), message));
        }
    }
    let scope = match map.get("scope") {
        Some(Value::String(scope)) if scope == "before" => Some(ControlScope::Before),
        Some(Value::String(scope)) if scope == "after" => Some(ControlScope::After),
        Some(other) if is_true(other) => {
            let found = crate::python::str(other);
            reader.rule(not_one_of(
                &path.key("scope"),
                "scope",
                &found,
                &["before", "after"],
            ));
            None
        }
        Some(other) if !other.is_null() => {
            let message = "an empty `scope` means both, before and after";
            reader.warning(Code::Value, &path.key("scope"), message);
            None
        }
        _ => None,
    };
    Some(Control {
        raw: map.clone(),
        name: map.get("name").map(crate::python::str).unwrap_or_default(),
        scope,
        automatic: map.get("automatic").is_none_or(is_true),
        python: provider(map, path, reader),
    })
}

fn provider(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<PythonControl> {
    let path = path.key("provider");
    let provider = reader.map(map.get("provider")?, &path)?;
    if provider.get("type").is_none_or(|kind| kind != "python") {
        let message = "only `python` controls do anything; others are ignored without a word";
        reader.warning(Code::Surprise, &path.key("type"), message);
        return None;
    }
    let module = reader.required_text(provider, "module", &path, "a control needs its `module`");
    let arguments = match provider.get("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(arguments) => reader
            .map(arguments, &path.key("arguments"))
            .cloned()
            .unwrap_or_default(),
    };
    (!module.is_empty()).then_some(PythonControl { module, arguments })
}

/// A control's `ref` names another control of the document.
pub(super) fn check_references(raw: &Map<String, Value>, reader: &mut Reader) {
    let all = everywhere(raw);
    let names: HashSet<&str> = all
        .iter()
        .filter(|(_, control)| control.get("ref").is_none())
        .filter_map(|(_, control)| control.get("name")?.as_str())
        .collect();
    for (path, control) in &all {
        let Some(reference) = control.get("ref") else {
            continue;
        };
        if !reference.as_str().is_some_and(|name| names.contains(name)) {
            let shown = crate::python::str(reference);
            reader.rule(Diagnostic::error(
                Code::Reference,
                &path.key("ref"),
                format!("no control is called `{shown}`"),
            ));
        }
    }
}

fn everywhere(raw: &Map<String, Value>) -> Vec<(Path, &Value)> {
    let root = Path::root();
    let hypothesis = raw
        .get("steady-state-hypothesis")
        .and_then(Value::as_object);
    let hypothesis_path = root.key("steady-state-hypothesis");
    let mut owners = vec![(root.clone(), raw)];
    owners.extend(hypothesis.map(|map| (hypothesis_path.clone(), map)));
    let mut lists = vec![(root.key("method"), raw.get("method"))];
    lists.push((
        hypothesis_path.key("probes"),
        hypothesis.and_then(|map| map.get("probes")),
    ));
    lists.push((root.key("rollbacks"), raw.get("rollbacks")));
    for (path, list) in lists {
        let items = list
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate();
        owners.extend(items.filter_map(|(at, item)| Some((path.index(at), item.as_object()?))));
    }
    let mut out = Vec::new();
    for (path, owner) in owners {
        let controls = owner
            .get("controls")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        out.extend(
            controls
                .enumerate()
                .map(|(at, one)| (path.key("controls").index(at), one)),
        );
    }
    out
}
