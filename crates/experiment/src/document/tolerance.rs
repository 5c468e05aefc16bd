//! Tolerances, as the document says them.

use serde_json::{Map, Value};

use super::Strictness;
use super::activity::standalone;
use super::reader::{Reader, not_one_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::document::Provider;
use crate::jsonpath::JsonPath;
use crate::path::Path;
use crate::python::{is_true, str as text, type_name};
use crate::tolerance::{self, Tolerance};

const TYPES: [&str; 4] = ["probe", "regex", "jsonpath", "range"];

/// A tolerance on its own; nothing when it is none that a run could check.
pub(crate) fn read_tolerance(value: &Value) -> Option<Tolerance> {
    let mut reader = Reader::new(Strictness::Lenient);
    tolerance(value, &Path::root(), &mut reader).filter(|_| !reader.diagnostics.has_errors())
}

pub(super) fn tolerance(value: &Value, path: &Path, reader: &mut Reader) -> Option<Tolerance> {
    match value {
        Value::Bool(_) | Value::String(_) | Value::Array(_) => {
            Some(Tolerance::Literal(value.clone()))
        }
        Value::Number(number) if number.is_f64() => {
            reader.rule(
                Diagnostic::error(Code::Type, path, "a tolerance cannot be a float").hint(format!(
                    "use `{{type: range, range: [{number}, {number}]}}`"
                )),
            );
            Some(Tolerance::Literal(value.clone()))
        }
        Value::Number(_) => Some(Tolerance::Literal(value.clone())),
        Value::Null => {
            reader.rule(Diagnostic::error(
                Code::Type,
                path,
                "a tolerance cannot be null",
            ));
            Some(Tolerance::Literal(Value::Null))
        }
        Value::Object(map) => match map.get("type").and_then(Value::as_str) {
            Some("probe") => probe(value, path, reader),
            Some("regex") => regex(map, path, reader),
            Some("jsonpath") => jsonpath(map, path, reader),
            Some("range") => range(map, path, reader),
            _ => {
                let found = map.get("type").map(text).unwrap_or_default();
                reader.push(not_one_of(
                    &path.key("type"),
                    "tolerance type",
                    &found,
                    &TYPES,
                ));
                None
            }
        },
    }
}

fn probe(value: &Value, path: &Path, reader: &mut Reader) -> Option<Tolerance> {
    let activity = standalone(value, path, reader)?;
    if activity.name.is_empty() {
        let message = "an activity needs a `name`";
        reader.rule(Diagnostic::error(Code::Missing, &path.key("name"), message));
    }
    if let Provider::Process { arguments, .. } = &activity.provider {
        reader.push(
            Diagnostic::warning(
                Code::Surprise,
                path,
                "a process as a tolerance always passes: its output is a mapping, and that is true",
            )
            .hint("use a python provider, or a jsonpath, regex or range tolerance"),
        );
        if arguments
            .as_ref()
            .is_some_and(|arguments| !arguments.is_object())
        {
            let message =
                "the value is passed as the argument `value`: `arguments` must be a mapping";
            reader.error(Code::Type, &path.key("provider").key("arguments"), message);
        }
    }
    Some(Tolerance::Probe(Box::new(activity)))
}

fn regex(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Tolerance> {
    reader.known_keys(map, path, &["type", "pattern", "target", "name"]);
    let here = path.key("pattern");
    let pattern = match map.get("pattern") {
        Some(Value::String(pattern)) => pattern,
        Some(other) => {
            reader.wrong_type(&here, "a regular expression", other);
            return None;
        }
        None => {
            reader.error(
                Code::Missing,
                &here,
                "a regex tolerance needs its `pattern`",
            );
            return None;
        }
    };
    if let Err(message) = tolerance::compile(pattern) {
        reader.rule(Diagnostic::error(
            Code::Value,
            &here,
            format!("the regular expression is not valid: {message}"),
        ));
    }
    Some(Tolerance::Regex {
        pattern: pattern.clone(),
        target: target(map, path, reader)?,
    })
}

fn jsonpath(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Tolerance> {
    reader.known_keys(
        map,
        path,
        &["type", "path", "target", "expect", "count", "name"],
    );
    let here = path.key("path");
    let text = match map.get("path") {
        Some(Value::String(text)) if !text.trim().is_empty() => text,
        Some(Value::String(_)) | None => {
            reader.error(
                Code::Missing,
                &here,
                "a jsonpath tolerance needs its `path`",
            );
            return None;
        }
        Some(other) => {
            reader.wrong_type(&here, "a JSONPath", other);
            return None;
        }
    };
    if let Err(error) = JsonPath::parse(text.trim()) {
        let diagnostic = Diagnostic::error(
            Code::Value,
            &here,
            format!("the JSONPath is not valid: {error}"),
        );
        reader.rule(diagnostic.hint(jsonpath_hint(text)));
    }
    if let Some(count) = map.get("count")
        && !(count.is_u64() || count.is_null() || count.is_string())
    {
        let message = format!("`count` is a whole number, not a {}", type_name(count));
        reader.warning(Code::Surprise, &path.key("count"), message);
    }
    Some(Tolerance::JsonPath {
        path: text.clone(),
        target: target(map, path, reader)?,
        expect: map.get("expect").cloned(),
        count: map.get("count").filter(|count| !count.is_null()).cloned(),
    })
}

fn jsonpath_hint(path: &str) -> &'static str {
    if !path.trim_start().starts_with('$') {
        "start it with `$`"
    } else if path.contains('\'') {
        "use double quotes: `$[\"a key\"]`"
    } else if path.contains("==") || path.contains("&&") || path.contains("||") {
        "the operators are `=`, `and`, `or`, `not`"
    } else if path.contains('-') {
        "quote keys with a dash: `$[\"a-key\"]`"
    } else {
        "for example `$.items[*][?(@.count > 1)].name`"
    }
}

fn range(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Tolerance> {
    reader.known_keys(map, path, &["type", "range", "target", "name"]);
    let here = path.key("range");
    let bounds = match map.get("range") {
        Some(Value::Array(bounds)) => bounds,
        Some(other) => {
            reader.wrong_type(&here, "a list of two numbers", other);
            return None;
        }
        None => {
            reader.error(Code::Missing, &here, "a range tolerance needs its `range`");
            return None;
        }
    };
    let [low, high] = &bounds[..] else {
        reader.error(
            Code::Value,
            &here,
            "a range is two numbers: the lowest and the highest",
        );
        return None;
    };
    let mut bound = |at: usize, value: &Value| {
        let number = match value {
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            other => other.as_f64(),
        };
        if number.is_none() {
            let message = format!("a bound is a number, not a {}", type_name(value));
            reader.push(
                Diagnostic::error(Code::Type, &here.index(at), message)
                    .hint("variables are not filled in here"),
            );
        }
        number
    };
    let (low, high) = (bound(0, low), bound(1, high));
    let (low, high) = (low?, high?);
    if low > high {
        reader.warning(
            Code::Surprise,
            &here,
            "no number is in this range: its bounds are swapped",
        );
    }
    Some(Tolerance::Range {
        low,
        high,
        target: target(map, path, reader)?,
    })
}

/// `Some(None)`: no target; `None`: a mistake.
#[expect(
    clippy::option_option,
    reason = "absent and mistaken are different answers"
)]
fn target(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Option<String>> {
    match map.get("target") {
        Some(Value::String(target)) if !target.is_empty() => Some(Some(target.clone())),
        Some(other) if is_true(other) => {
            reader.wrong_type(&path.key("target"), "the name of a key", other);
            None
        }
        _ => Some(None),
    }
}
