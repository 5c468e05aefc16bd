//! Rows of the catalogue.

use serde_json::Value;

use crate::catalogue::{Parameter, ParameterKind};

/// A parameter that may be left out.
pub(crate) fn row(
    name: &'static str,
    kind: ParameterKind,
    bounds: &'static str,
    default: Option<Value>,
    summary: &'static str,
) -> Parameter {
    Parameter {
        name,
        kind,
        unit: None,
        bounds: Some(bounds),
        default,
        required: false,
        summary,
    }
}

/// A parameter that must be given.
pub(crate) fn required(
    name: &'static str,
    kind: ParameterKind,
    bounds: &'static str,
    summary: &'static str,
) -> Parameter {
    Parameter {
        required: true,
        ..row(name, kind, bounds, None, summary)
    }
}
