//! What carries an activity out, as the document says it.

use serde_json::{Map, Value};

use super::Provider;
use super::reader::{Reader, not_one_of};
use crate::call;
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;
use crate::python::{is_true, str as text, type_name};
use crate::substitute::names;
use crate::units;

const TYPES: [&str; 6] = ["python", "process", "http", "fault", "load", "prometheus"];

/// The `provider` of an activity.
pub(super) fn provider(
    activity: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Option<Provider> {
    let path = path.key("provider");
    let Some(value) = activity.get("provider").filter(|value| is_true(value)) else {
        reader.error(Code::Missing, &path, "an activity needs a `provider`");
        return None;
    };
    let map = reader.map(value, &path)?;
    let kind = match map.get("type") {
        Some(Value::String(kind)) if !kind.is_empty() => kind.as_str(),
        Some(other) if is_true(other) => {
            reader.wrong_type(&path.key("type"), "a string", other);
            return None;
        }
        _ => {
            let message = format!("a provider needs a `type`: one of {}", TYPES.join(", "));
            reader.error(Code::Missing, &path.key("type"), message);
            return None;
        }
    };
    match kind {
        "process" => process(map, &path, reader),
        "http" => {
            check_http(map, &path, reader);
            Some(Provider::Http { raw: map.clone() })
        }
        "python" => python(map, &path, reader),
        "fault" => fault(map, &path, reader),
        "load" => {
            check_load(map, &path, reader);
            Some(Provider::Load { raw: map.clone() })
        }
        "prometheus" => {
            check_prometheus(map, &path, reader);
            Some(Provider::Prometheus { raw: map.clone() })
        }
        other => {
            reader.push(not_one_of(
                &path.key("type"),
                "provider type",
                other,
                &TYPES,
            ));
            None
        }
    }
}

fn process(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Provider> {
    reader.known_keys(
        map,
        path,
        &["type", "path", "arguments", "timeout", "secrets"],
    );
    let Some(program) = map
        .get("path")
        .and_then(Value::as_str)
        .filter(|path| !path.is_empty())
    else {
        reader.error(
            Code::Missing,
            &path.key("path"),
            "a process needs the `path` of its program",
        );
        return None;
    };
    if !names(map.get("path").unwrap_or(&Value::Null)).is_empty() {
        reader.push(
            Diagnostic::warning(
                Code::Surprise,
                &path.key("path"),
                "variables are not filled in here",
            )
            .hint("use `path: sh` and put them into `arguments`"),
        );
    }
    let timeout = map
        .get("timeout")
        .filter(|timeout| !timeout.is_null())
        .cloned();
    if let Some(value) = &timeout
        && let Err(error) = units::duration(value)
    {
        reader.push(
            Diagnostic::warning(
                Code::Surprise,
                &path.key("timeout"),
                format!("{error}; the run will abort here"),
            )
            .hint("write a number of seconds; variables are not filled in here"),
        );
    }
    for key in ["env", "cwd"] {
        if map.contains_key(key) {
            let message = format!("a process has no `{key}`; nobody reads it");
            reader.push(
                Diagnostic::warning(Code::UnknownKey, &path.key(key), message)
                    .hint("use `path: sh` with `arguments: -c \"…\"`"),
            );
        }
    }
    Some(Provider::Process {
        path: program.to_owned(),
        arguments: map.get("arguments").cloned(),
        timeout,
    })
}

/// The fields of an `http` provider; what only fails when it runs is a warning.
pub(super) fn check_http(map: &Map<String, Value>, path: &Path, reader: &mut Reader) {
    reader.known_keys(
        map,
        path,
        &[
            "type",
            "url",
            "method",
            "headers",
            "arguments",
            "timeout",
            "verify_tls",
            "max_retries",
            "secrets",
            "expected_status",
        ],
    );
    match map.get("url") {
        Some(Value::String(url)) if !url.is_empty() => {}
        Some(other) if is_true(other) => reader.wrong_type(&path.key("url"), "a string", other),
        _ => reader.error(
            Code::Missing,
            &path.key("url"),
            "an http provider needs a `url`",
        ),
    }
    match map.get("headers") {
        Some(Value::Object(headers)) => {
            for (name, value) in headers.iter().filter(|(_, value)| !value.is_string()) {
                if !value.is_null() {
                    let message = format!(
                        "a header is a string, not a {}; the run will abort here",
                        type_name(value)
                    );
                    reader.warning(Code::Surprise, &path.key("headers").key(name), message);
                }
            }
        }
        Some(other) if is_true(other) => {
            let message = "`headers` is a mapping of strings";
            reader.rule(Diagnostic::error(Code::Type, &path.key("headers"), message));
        }
        Some(other) if !other.is_null() => {
            let message = "`headers` is a mapping of strings; this is taken for none";
            reader.warning(Code::Type, &path.key("headers"), message);
        }
        _ => {}
    }
    if map.contains_key("expected_status") {
        reader.push(
            Diagnostic::warning(
                Code::Surprise,
                &path.key("expected_status"),
                "`expected_status` is ignored",
            )
            .hint("use the tolerance"),
        );
    }
}

fn python(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Provider> {
    reader.known_keys(
        map,
        path,
        &["type", "module", "func", "arguments", "secrets"],
    );
    let mut field = |key: &str, message: &str| match map.get(key) {
        Some(Value::String(value)) if !value.is_empty() => Some(value.clone()),
        Some(other) if is_true(other) => {
            reader.wrong_type(&path.key(key), "a string", other);
            None
        }
        _ => {
            reader.error(Code::Missing, &path.key(key), message);
            None
        }
    };
    let module = field("module", "a Python activity needs its `module`");
    let func = field("func", "a Python activity needs its `func`");
    let arguments = match map.get("arguments") {
        None => Map::new(),
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(other) => {
            let message = format!("`arguments` is a mapping, not a {}", type_name(other));
            reader.rule(Diagnostic::error(
                Code::Type,
                &path.key("arguments"),
                message,
            ));
            Map::new()
        }
    };
    let secrets = secrets(map, path, reader);
    Some(Provider::Python {
        module: module?,
        func: func?,
        arguments,
        secrets,
    })
}

fn secrets(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Vec<String> {
    match map.get("secrets") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(groups)) => groups.iter().map(text).collect(),
        Some(other) => {
            reader.push(
                Diagnostic::warning(
                    Code::Type,
                    &path.key("secrets"),
                    "`secrets` is a list of groups",
                )
                .hint(format!(
                    "write `secrets: [{}]`; as it is, no group is passed",
                    text(other)
                )),
            );
            Vec::new()
        }
    }
}

fn fault(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Provider> {
    reader.known_keys(
        map,
        path,
        &["type", "name", "target", "duration", "arguments"],
    );
    let name = map
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty());
    if name.is_none() {
        reader.push(
            Diagnostic::error(Code::Missing, &path.key("name"), "a fault needs its `name`")
                .hint("`firedrill faults` lists them"),
        );
    }
    let target = map.get("target").filter(|target| is_true(target));
    if target.is_none() {
        let message = "a fault needs a `target`: what it hits";
        reader.error(Code::Missing, &path.key("target"), message);
    }
    let duration = map.get("duration").filter(|duration| !duration.is_null());
    match duration {
        None => reader.error(
            Code::Missing,
            &path.key("duration"),
            "a fault needs a `duration`: no fault stays for ever",
        ),
        Some(value) if names(value).is_empty() => {
            if let Err(error) = units::duration(value) {
                let hint = error.hint();
                let here = path.key("duration");
                reader.push(Diagnostic::error(Code::Value, &here, error.to_string()).hint(hint));
            }
        }
        Some(_) => {}
    }
    let arguments = match map.get("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(arguments) => reader
            .map(arguments, &path.key("arguments"))
            .cloned()
            .unwrap_or_default(),
    };
    Some(Provider::Fault {
        name: name?.to_owned(),
        target: target?.clone(),
        duration: duration.cloned(),
        arguments,
    })
}

/// A `load` provider, unless variables stand between it and an answer.
pub(super) fn check_load(map: &Map<String, Value>, path: &Path, reader: &mut Reader) {
    reader.known_keys(map, path, &call::LOAD_KEYS);
    if map.values().all(|value| names(value).is_empty())
        && let Err(error) = call::read_load(map)
    {
        report(&error, path, reader);
    }
}

fn check_prometheus(map: &Map<String, Value>, path: &Path, reader: &mut Reader) {
    reader.known_keys(map, path, &call::PROMETHEUS_KEYS);
    // Label sets in a query look nothing like variables, but `$` may stand in a regular expression.
    let others = map.iter().filter(|(key, _)| *key != "query");
    if others
        .map(|(_, value)| value)
        .all(|value| names(value).is_empty())
        && let Err(error) = call::read_prometheus(map)
    {
        report(&error, path, reader);
    }
}

pub(super) fn report(error: &call::FieldError, path: &Path, reader: &mut Reader) {
    let code = if error.missing {
        Code::Missing
    } else {
        Code::Value
    };
    reader.error(code, &path.key(error.key), error.message.clone());
}
