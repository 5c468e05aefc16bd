//! The `load` provider's fields.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{FieldError, LoadCall};
use crate::python::type_name;
use crate::units;

pub const KEYS: [&str; 12] = [
    "type",
    "url",
    "method",
    "headers",
    "body",
    "rate",
    "arrival",
    "connections",
    "timeout",
    "duration",
    "degraded-header",
    "secrets",
];

/// Unless told: the longest an answer may take.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
const CONNECTIONS_DEFAULT: usize = 64;
const CONNECTIONS_MAX: u64 = 10_000;
const RATE_MAX: f64 = 100_000.0;

/// # Errors
/// The first field that is missing or cannot be.
pub fn read(raw: &Map<String, Value>) -> Result<LoadCall, FieldError> {
    let url = text(raw, "url")?.ok_or_else(|| missing("url", "load needs a `url`"))?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(wrong("url", format!("`{url}` is not an http address")));
    }
    let rate = match raw.get("rate") {
        None | Some(Value::Null) => {
            return Err(missing("rate", "load needs a `rate`: requests per second"));
        }
        Some(value) => value
            .as_f64()
            .filter(|rate| *rate > 0.0 && *rate <= RATE_MAX),
    };
    let rate = rate.ok_or_else(|| {
        wrong(
            "rate",
            format!("`rate` is requests per second, over 0 and at most {RATE_MAX}"),
        )
    })?;
    let poisson = match text(raw, "arrival")?.as_deref() {
        None | Some("constant") => false,
        Some("poisson") => true,
        Some(other) => {
            return Err(wrong(
                "arrival",
                format!("`arrival` is constant or poisson, not `{other}`"),
            ));
        }
    };
    let connections = match raw.get("connections") {
        None | Some(Value::Null) => CONNECTIONS_DEFAULT,
        Some(value) => value
            .as_u64()
            .filter(|count| (1..=CONNECTIONS_MAX).contains(count))
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| {
                wrong(
                    "connections",
                    format!("`connections` is from 1 to {CONNECTIONS_MAX}"),
                )
            })?,
    };
    Ok(LoadCall {
        url,
        method: text(raw, "method")?
            .unwrap_or_else(|| "GET".to_owned())
            .to_uppercase(),
        headers: headers(raw)?,
        body: match raw.get("body") {
            Some(value @ (Value::Object(_) | Value::Array(_))) => Some(value.to_string()),
            _ => text(raw, "body")?,
        },
        rate,
        poisson,
        connections,
        timeout: duration(raw, "timeout")?.unwrap_or(TIMEOUT_DEFAULT),
        duration: duration(raw, "duration")?,
        degraded_header: text(raw, "degraded-header")?,
    })
}

fn headers(raw: &Map<String, Value>) -> Result<Vec<(String, String)>, FieldError> {
    match raw.get("headers") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(headers)) => headers
            .iter()
            .map(|(name, value)| match value {
                Value::String(value) => Ok((name.clone(), value.clone())),
                other => Err(wrong(
                    "headers",
                    format!(
                        "the header `{name}` is a string, not a {}",
                        type_name(other)
                    ),
                )),
            })
            .collect(),
        Some(_) => Err(wrong(
            "headers",
            "`headers` is a mapping of strings".to_owned(),
        )),
    }
}

pub(super) fn text(
    raw: &Map<String, Value>,
    key: &'static str,
) -> Result<Option<String>, FieldError> {
    match raw.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong(
            key,
            format!("`{key}` is a string, not a {}", type_name(other)),
        )),
    }
}

/// More than 0.
pub(super) fn duration(
    raw: &Map<String, Value>,
    key: &'static str,
) -> Result<Option<Duration>, FieldError> {
    match raw.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match units::duration(value) {
            Ok(Duration::ZERO) => Err(wrong(key, format!("`{key}` is longer than nothing"))),
            Ok(duration) => Ok(Some(duration)),
            Err(error) => Err(wrong(key, format!("{error}: {}", error.hint()))),
        },
    }
}

pub(super) fn missing(key: &'static str, message: &str) -> FieldError {
    FieldError {
        key,
        message: message.to_owned(),
        missing: true,
    }
}

pub(super) fn wrong(key: &'static str, message: String) -> FieldError {
    FieldError {
        key,
        message,
        missing: false,
    }
}
