//! The `python` provider.

use serde_json::{Map, Value};

use super::{PythonCall, ResolveError, aborts};
use crate::scope::Scope;
use crate::substitute::substitute_unless_empty;

pub(super) fn resolve(
    module: &str,
    func: &str,
    arguments: &Map<String, Value>,
    secrets: &[String],
    scope: &Scope,
) -> Result<PythonCall, ResolveError> {
    let Value::Object(arguments) =
        substitute_unless_empty(&Value::Object(arguments.clone()), scope)
    else {
        return Err(aborts("TypeError: arguments are not a mapping"));
    };
    Ok(PythonCall {
        module: module.to_owned(),
        func: func.to_owned(),
        arguments,
        configuration: scope.configuration.clone(),
        secrets: (!secrets.is_empty()).then(|| scope.secret_groups(secrets)),
    })
}
