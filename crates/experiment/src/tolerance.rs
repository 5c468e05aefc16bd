//! Tolerances: does an output satisfy what the author believes?

mod decimal;
mod regex;

use std::cmp::Ordering;

use serde_json::Value;
use thiserror::Error;

use crate::document::{Activity, Provider};
use crate::jsonpath::{JsonPath, JsonPathError};
use crate::parse::{Format, parse_value};
use crate::python;
use crate::scope::Scope;
use crate::source::Source;
use crate::substitute::{substitute, substitute_text};

pub use regex::compile;

use decimal::Decimal;

/// As written; strings in it may hold `${name}`.
#[derive(Debug, Clone, PartialEq)]
pub enum Tolerance {
    /// A bool, string, int or list.
    Literal(Value),
    Regex {
        pattern: String,
        target: Option<String>,
    },
    Range {
        low: f64,
        high: f64,
        target: Option<String>,
    },
    JsonPath {
        path: String,
        target: Option<String>,
        expect: Option<Value>,
        count: Option<Value>,
    },
    /// Judged by an activity that receives the value as argument `value`.
    Probe(Box<Activity>),
}

/// Where Chaos Toolkit raises instead of judging: the run ends without an answer.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ToleranceError {
    #[error("{tolerance} cannot be compared with {value}")]
    Incomparable { tolerance: String, value: String },
    #[error("a {kind} tolerance needs {needed}, not a {found}{hint}")]
    WrongValue {
        kind: &'static str,
        needed: &'static str,
        found: &'static str,
        hint: &'static str,
    },
    #[error("the target `{target}` cannot be looked up in a {found}")]
    NoTarget { target: String, found: &'static str },
    #[error("the regular expression `{pattern}` is not valid: {message}")]
    Pattern { pattern: String, message: String },
    #[error("the regular expression `{pattern}` gave up: {message}")]
    PatternTooHard { pattern: String, message: String },
    #[error("the JSONPath `{path}` is not valid: {source}")]
    JsonPath { path: String, source: JsonPathError },
    #[error("a probe's tolerance is judged by running the probe")]
    IsProbe,
}

/// Whether an output is within a tolerance.
///
/// # Errors
/// Where Chaos Toolkit raises an exception; see [`ToleranceError`].
pub fn check(tolerance: &Tolerance, value: &Value, scope: &Scope) -> Result<bool, ToleranceError> {
    match tolerance {
        Tolerance::Literal(Value::String(text)) => {
            literal(&substitute_text(text, scope), value, scope)
        }
        Tolerance::Literal(expected) => literal(expected, value, scope),
        Tolerance::Regex { pattern, target } => {
            let pattern = substitute_text(pattern, scope);
            regex::search(&pattern, targeted(value, target.as_deref())?)
        }
        Tolerance::Range { low, high, target } => {
            range(*low, *high, targeted(value, target.as_deref())?)
        }
        Tolerance::JsonPath {
            path,
            target,
            expect,
            count,
        } => {
            let value = targeted(value, target.as_deref())?;
            jsonpath(path, value, expect.as_ref(), count.as_ref(), scope)
        }
        Tolerance::Probe(_) => Err(ToleranceError::IsProbe),
    }
}

impl Tolerance {
    /// The probe that judges, if this tolerance is one.
    pub fn probe(&self) -> Option<&Activity> {
        match self {
            Self::Probe(activity) => Some(activity),
            _ => None,
        }
    }
}

/// The probe of a tolerance with the output it judges as its argument `value`.
pub fn with_value_argument(probe: &Activity, value: &Value) -> Activity {
    let mut probe = probe.clone();
    let insert = |arguments: &mut Value| {
        if arguments.is_null() {
            *arguments = Value::Object(serde_json::Map::new());
        }
        if let Value::Object(map) = arguments {
            map.insert("value".to_owned(), value.clone());
        }
    };
    match &mut probe.provider {
        Provider::Process { arguments, .. } => insert(arguments.get_or_insert(Value::Null)),
        Provider::Http { raw } => {
            insert(raw.entry("arguments").or_insert(Value::Null));
        }
        Provider::Python { arguments, .. } => {
            arguments.insert("value".to_owned(), value.clone());
        }
        Provider::Fault { .. } | Provider::Load { .. } | Provider::Prometheus { .. } => {}
    }
    if let Some(Value::Object(provider)) = probe.raw.get_mut("provider") {
        insert(provider.entry("arguments").or_insert(Value::Null));
    }
    probe
}

/// Whether a probe's output says yes: Python's truth. A process's output always does.
pub fn probe_met(output: &Value) -> bool {
    python::is_true(output)
}

/// The rule depends on the tolerance's type, after a string's variables are filled in.
fn literal(expected: &Value, value: &Value, scope: &Scope) -> Result<bool, ToleranceError> {
    let status = value.get("status").filter(|_| value.is_object());
    match expected {
        Value::Bool(_) | Value::String(_) => Ok(python::equal(value, expected)),
        Value::Number(number) if !number.is_f64() => {
            Ok(python::equal(status.unwrap_or(value), expected))
        }
        Value::Array(allowed) => match (status, &allowed[..]) {
            (Some(status), _) => Ok(allowed.iter().any(|one| python::equal(one, status))),
            (None, [low, high]) => {
                Ok(at_most(low, value, expected, value)? && at_most(value, high, expected, value)?)
            }
            (None, _) => Ok(allowed.iter().any(|one| python::equal(one, value))),
        },
        // A variable may hold a whole tolerance.
        Value::Object(_) => match crate::document::read_tolerance(expected) {
            Some(Tolerance::Literal(_)) | None => Ok(false),
            Some(tolerance) => check(&tolerance, value, scope),
        },
        // Floats and null have no rule, so nothing meets them.
        Value::Number(_) | Value::Null => Ok(false),
    }
}

fn at_most(a: &Value, b: &Value, all: &Value, value: &Value) -> Result<bool, ToleranceError> {
    python::compare(a, b)
        .map(|order| order != Ordering::Greater)
        .ok_or_else(|| ToleranceError::Incomparable {
            tolerance: python::repr(all),
            value: format!("a {}", python::type_name(value)),
        })
}

/// `value[target]`; the value itself where there is no such key.
fn targeted<'a>(value: &'a Value, target: Option<&str>) -> Result<&'a Value, ToleranceError> {
    match (target, value) {
        (None, _) => Ok(value),
        (Some(target), Value::Object(map)) => Ok(map.get(target).unwrap_or(value)),
        (Some(target), other) => Err(ToleranceError::NoTarget {
            target: target.to_owned(),
            found: python::type_name(other),
        }),
    }
}

fn range(low: f64, high: f64, value: &Value) -> Result<bool, ToleranceError> {
    let number = match value {
        Value::Bool(flag) => Decimal::from_f64(f64::from(u8::from(*flag))),
        Value::Number(number) if number.is_f64() => number.as_f64().and_then(Decimal::from_f64),
        Value::Number(number) => Decimal::parse(&number.to_string()),
        // Text that is no number is out of range; NaN makes Python raise.
        Value::String(text) => match Decimal::parse(text) {
            Some(number) => Some(number),
            None if decimal::is_nan(text) => return Err(not_a_number("NaN", "")),
            None => return Ok(false),
        },
        other => {
            let hint = if other.is_object() {
                "; name a `target`"
            } else {
                ""
            };
            return Err(not_a_number(python::type_name(other), hint));
        }
    };
    let bounds = Decimal::from_f64(low).zip(Decimal::from_f64(high));
    Ok(match (number, bounds) {
        (Some(number), Some((low, high))) => low <= number && number <= high,
        _ => false,
    })
}

fn not_a_number(found: &'static str, hint: &'static str) -> ToleranceError {
    ToleranceError::WrongValue {
        kind: "range",
        needed: "a number",
        found,
        hint,
    }
}

fn jsonpath(
    path: &str,
    value: &Value,
    expect: Option<&Value>,
    count: Option<&Value>,
    scope: &Scope,
) -> Result<bool, ToleranceError> {
    let filled = python::str(&substitute_text(path, scope));
    let wrong = |source| ToleranceError::JsonPath {
        path: filled.clone(),
        source,
    };
    let parsed = JsonPath::parse(&filled).map_err(wrong)?;
    let decoded = match value {
        Value::String(text) => parse_value(&Source::new("", text.as_str()), Format::Json).ok(),
        _ => None,
    };
    let found = parsed
        .select(decoded.as_ref().unwrap_or(value))
        .map_err(wrong)?;
    if let Some(expect) = expect {
        let expect = substitute(expect, scope);
        let all = Value::Array(found);
        return Ok(match expect {
            Value::Array(_) => python::equal(&all, &expect),
            one => python::equal(&all, &Value::Array(vec![one])),
        });
    }
    match count {
        Some(count) => Ok(python::equal(&Value::from(found.len()), count)),
        None => Ok(!found.is_empty()),
    }
}

#[cfg(test)]
mod tests;
