//! Text to a typed value, as `env_var_type` and `--var name:type=value` ask.

use serde_json::{Number, Value};

use super::ScopeError;
use crate::parse::{Format, parse_value};
use crate::path::Path;
use crate::python;
use crate::source::Source;

/// # Errors
/// Where Python's `int`, `float` or `json.loads` would refuse.
pub(super) fn convert(
    kind: Option<&str>,
    value: &Value,
    place: &Path,
) -> Result<Value, ScopeError> {
    let refused = || ScopeError::Conversion {
        place: place.clone(),
        kind: kind.unwrap_or_default().to_owned(),
        // Not the value itself: it may be a secret.
        value: format!("a {} that does not fit", python::type_name(value)),
    };
    match kind {
        None | Some("str" | "string") => Ok(value.clone()),
        Some("int" | "integer") => int(value).ok_or_else(refused),
        Some("float" | "number") => float(value).ok_or_else(refused),
        // The journal has no bytes; text stands for them.
        Some("bytes") => match value {
            Value::String(_) => Ok(value.clone()),
            _ => Err(refused()),
        },
        Some("bool") => match value {
            Value::Bool(_) => Ok(value.clone()),
            Value::String(text) => Ok(Value::Bool(!matches!(
                text.to_lowercase().as_str(),
                "false" | "0" | "no"
            ))),
            _ => Err(refused()),
        },
        Some("json") => match value {
            Value::String(text) if !text.is_empty() => {
                parse_value(&Source::new("", text.as_str()), Format::Json).map_err(|_| refused())
            }
            _ => Ok(value.clone()),
        },
        Some(other) => Err(ScopeError::UnknownType {
            place: place.clone(),
            kind: other.to_owned(),
        }),
    }
}

fn int(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(flag) => Some(Value::from(u64::from(*flag))),
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64()?.trunc();
            // Exact up to 2^53; beyond, a float names no single integer anyway.
            (whole.abs() <= 9_007_199_254_740_992.0).then(|| Value::from(whole as i64))
        }
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => {
            let digits = separated(text.trim())?;
            digits
                .parse::<i64>()
                .map(Value::from)
                .or_else(|_| digits.parse::<u64>().map(Value::from))
                .ok()
        }
        _ => None,
    }
}

fn float(value: &Value) -> Option<Value> {
    let number = match value {
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => separated(text.trim())?.parse().ok()?,
        _ => return None,
    };
    Number::from_f64(number).map(Value::Number)
}

/// Python allows single underscores between digits.
fn separated(text: &str) -> Option<String> {
    let wrong = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!wrong).then(|| text.replace('_', ""))
}
