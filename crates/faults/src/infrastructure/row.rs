//! Rows of the catalogue.

use serde_json::Value;

use crate::catalogue::{Parameter, ParameterKind};

/// A parameter that may be left out.
pub(super) fn row(name: &'static str, kind: ParameterKind, summary: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        unit: None,
        bounds: None,
        default: None,
        required: false,
        summary,
    }
}

impl Parameter {
    pub(super) fn unit(self, unit: &'static str) -> Self {
        let unit = Some(unit);
        Self { unit, ..self }
    }

    pub(super) fn within(self, bounds: &'static str) -> Self {
        let bounds = Some(bounds);
        Self { bounds, ..self }
    }

    pub(super) fn or(self, default: Value) -> Self {
        let default = Some(default);
        Self { default, ..self }
    }

    pub(super) fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
}
