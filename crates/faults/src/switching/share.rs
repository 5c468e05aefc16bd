//! A share of the packets, and how much each decision resembles the one before.

use firedrill_worker::queue::random::Share;

use super::row::{required, row};
use crate::arguments::Arguments;
use crate::catalogue::{Parameter, ParameterKind};

/// Reads `percent` and `correlation`; `what` says what they are of, should there be none.
pub(super) fn read(arguments: &mut Arguments<'_>, what: &'static str) -> Share {
    let percent = arguments.percent("percent");
    Share {
        share: arguments.require("percent", percent, what) / 100.0,
        correlation: correlation(arguments).unwrap_or(0.0),
    }
}

/// From 0 to below 1, if it is given.
pub(super) fn correlation(arguments: &mut Arguments<'_>) -> Option<f64> {
    let percent = arguments.number("correlation", 0.0..100.0, "a number from 0 to below 100");
    percent.map(|percent| percent / 100.0)
}

/// The rows of both.
pub(super) fn parameters(summary: &'static str) -> Vec<Parameter> {
    let percent = required(
        "percent",
        ParameterKind::Number,
        "above 0, at most 100",
        summary,
    );
    vec![
        Parameter {
            unit: Some("%"),
            ..percent
        },
        correlation_parameter("how much each decision resembles the one before"),
    ]
}

pub(super) fn correlation_parameter(summary: &'static str) -> Parameter {
    Parameter {
        unit: Some("%"),
        ..row(
            "correlation",
            ParameterKind::Number,
            "0 to below 100",
            None,
            summary,
        )
    }
}
