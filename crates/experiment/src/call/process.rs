//! The `process` provider. Path and timeout are taken as written; arguments are filled in.

use std::time::Duration;

use serde_json::Value;

use super::{Command, ProcessCall, ResolveError, aborts};
use crate::python;
use crate::scope::Scope;
use crate::substitute::substitute_unless_empty;
use crate::units;

pub(super) fn resolve(
    path: &str,
    arguments: Option<&Value>,
    timeout: Option<&Value>,
    scope: &Scope,
) -> Result<ProcessCall, ResolveError> {
    let timeout = timeout.map(seconds).transpose()?;
    let filled = arguments.map(|arguments| substitute_unless_empty(arguments, scope));
    let words = match filled {
        None => Vec::new(),
        Some(Value::String(text)) => {
            return Ok(ProcessCall {
                command: Command::Shell(format!("{path} {text}")),
                timeout,
            });
        }
        Some(Value::Array(items)) => items,
        Some(Value::Object(map)) => map
            .into_iter()
            .flat_map(|(key, value)| [Value::String(key), value])
            .collect(),
        Some(other) => {
            let kind = python::type_name(&other);
            return Err(aborts(format!(
                "TypeError: '{kind}' object is not iterable"
            )));
        }
    };
    let mut argv = vec![path.to_owned()];
    let kept = words.iter().filter(|word| !word.is_null() && *word != "");
    argv.extend(kept.map(python::str));
    if argv.iter().any(|word| word.contains('\0')) {
        return Err(aborts("ValueError: embedded null byte"));
    }
    Ok(ProcessCall {
        command: Command::Argv(argv),
        timeout,
    })
}

/// Numbers are seconds, below 0 no time at all; strings need a unit (ours: Chaos Toolkit aborts).
fn seconds(value: &Value) -> Result<Duration, ResolveError> {
    match value {
        Value::Number(number) if number.as_f64().is_some_and(|seconds| seconds < 0.0) => {
            Ok(Duration::ZERO)
        }
        Value::Bool(flag) => Ok(Duration::from_secs(u64::from(*flag))),
        Value::Number(_) => units::duration(value).map_err(|error| aborts(error.to_string())),
        Value::String(text) if text.trim().parse::<f64>().is_err() => {
            units::duration(value).map_err(|error| aborts(format!("the timeout: {error}")))
        }
        other => Err(aborts(format!(
            "TypeError: unsupported operand type(s) for +: 'float' and '{}'",
            python::type_name(other)
        ))),
    }
}
