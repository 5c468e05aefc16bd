//! Counters in the JSON that an endpoint answers with.

use serde_json::{Map, Value};

use super::{Counters, FieldError, missing, text, url, wrong};
use crate::jsonpath::JsonPath;

pub(super) const KEYS: [&str; 7] = [
    "url",
    "headers",
    "verify_tls",
    "good",
    "bad",
    "degraded",
    "stamp",
];

pub(super) fn read(raw: &Map<String, Value>) -> Result<Counters, FieldError> {
    let headers = match raw.get("headers") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(headers)) => headers.clone(),
        Some(_) => {
            let message = "`headers` is a mapping of strings".to_owned();
            return Err(wrong("headers", message));
        }
    };
    let needed = |key: &'static str| {
        let found = paths(raw, key)?;
        match found.is_empty() {
            true => Err(missing(
                key,
                "counters at an endpoint need JSONPaths to them, `good` and `bad`",
            )),
            false => Ok(found),
        }
    };
    let stamp = text(raw, "stamp")?;
    if let Some(path) = &stamp {
        check_path("stamp", path)?;
    }
    Ok(Counters::Json {
        url: url(
            raw,
            "counters at an endpoint need its `url`, which answers with JSON",
        )?,
        headers,
        verify_tls: raw.get("verify_tls").is_none_or(crate::python::is_true),
        good: needed("good")?,
        bad: needed("bad")?,
        degraded: paths(raw, "degraded")?,
        stamp,
    })
}

/// One, or a list of them.
fn paths(raw: &Map<String, Value>, key: &'static str) -> Result<Vec<String>, FieldError> {
    let listed = match raw.get(key) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(path)) => vec![path.clone()],
        Some(Value::Array(paths)) => paths
            .iter()
            .map(|path| path.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong(key, format!("`{key}` is a JSONPath, or a list of them")))?,
        Some(_) => {
            return Err(wrong(
                key,
                format!("`{key}` is a JSONPath, or a list of them"),
            ));
        }
    };
    for path in &listed {
        check_path(key, path)?;
    }
    Ok(listed)
}

fn check_path(key: &'static str, path: &str) -> Result<(), FieldError> {
    match JsonPath::parse_ours(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(wrong(key, format!("`{path}` is no JSONPath: {error}"))),
    }
}
