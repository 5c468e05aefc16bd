//! The `http` provider. Method, `verify_tls` and `max_retries` are taken as written.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{HttpCall, ResolveError, aborts};
use crate::python::{self, type_name};
use crate::scope::Scope;
use crate::substitute::{substitute, substitute_unless_empty};
use crate::units;

pub(super) fn resolve(raw: &Map<String, Value>, scope: &Scope) -> Result<HttpCall, ResolveError> {
    let field = |key: &str| raw.get(key).filter(|value| !value.is_null());
    let url = match field("url").map(|url| substitute(url, scope)) {
        Some(Value::String(url)) => url,
        Some(other) => {
            let shown = python::str(&other);
            return Err(aborts(format!(
                "MissingSchema: Invalid URL '{shown}': No scheme supplied"
            )));
        }
        None => return Err(aborts("KeyError: 'url'")),
    };
    let method = match field("method") {
        None => "GET".to_owned(),
        Some(Value::String(method)) => method.to_uppercase(),
        Some(other) => {
            let kind = type_name(other);
            return Err(aborts(format!(
                "AttributeError: '{kind}' object has no attribute 'upper'"
            )));
        }
    };
    let (connect_timeout, read_timeout) = match field("timeout") {
        Some(timeout) => timeouts(&substitute(timeout, scope))?,
        None => (None, None),
    };
    let max_retries = match field("max_retries") {
        None => 0,
        Some(value) => value
            .as_u64()
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| aborts("TypeError: max_retries is not a whole number"))?,
    };
    Ok(HttpCall {
        url,
        method,
        headers: headers(field("headers"), scope)?,
        arguments: field("arguments").map(|arguments| substitute_unless_empty(arguments, scope)),
        connect_timeout,
        read_timeout,
        verify_tls: field("verify_tls").is_none_or(python::is_true),
        max_retries,
    })
}

fn headers(headers: Option<&Value>, scope: &Scope) -> Result<Map<String, Value>, ResolveError> {
    let Some(headers) = headers.filter(|headers| python::is_true(headers)) else {
        return Ok(Map::new());
    };
    let Value::Object(headers) = substitute(headers, scope) else {
        return Err(aborts("ValueError: headers are not a mapping"));
    };
    let mut out = Map::new();
    for (name, value) in headers {
        match value {
            // A header set to nothing is not sent.
            Value::Null => {}
            Value::String(_) => {
                out.insert(name, value);
            }
            other => {
                return Err(aborts(format!(
                    "InvalidHeader: Header part ({}) from ({}, {}) must be of type str or bytes, \
                     not <class '{}'>",
                    python::repr(&other),
                    python::repr(&Value::String(name)),
                    python::repr(&other),
                    type_name(&other)
                )));
            }
        }
    }
    Ok(out)
}

type Timeouts = (Option<Duration>, Option<Duration>);

/// One for both, or `[connect, read]`.
fn timeouts(value: &Value) -> Result<Timeouts, ResolveError> {
    match value {
        Value::Array(pair) => match &pair[..] {
            [connect, read] => Ok((timeout(connect)?, timeout(read)?)),
            _ => Err(aborts(
                "ValueError: a timeout is a number or [connect, read]",
            )),
        },
        one => timeout(one).map(|timeout| (timeout, timeout)),
    }
}

fn timeout(value: &Value) -> Result<Option<Duration>, ResolveError> {
    let wrong = |why: &str| {
        aborts(format!(
            "ValueError: Timeout value {}: {why}",
            python::str(value)
        ))
    };
    match value {
        Value::Null => Ok(None),
        Value::Number(number) if number.as_f64().is_some_and(|seconds| seconds <= 0.0) => {
            Err(wrong("attempted to set a timeout of 0 or less"))
        }
        Value::Number(_) => units::duration(value)
            .map(Some)
            .map_err(|e| wrong(&e.to_string())),
        // A unit is ours: Chaos Toolkit aborts on any string.
        Value::String(text) if text.trim().parse::<f64>().is_err() => units::duration(value)
            .map(Some)
            .map_err(|error| wrong(&error.to_string())),
        _ => Err(wrong("it must be an int, float or None")),
    }
}
