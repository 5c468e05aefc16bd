//! Tolerances: does an output satisfy what the author believes?

use serde_json::Value;

use crate::document::Activity;

/// As written; strings in it may hold `${name}`.
#[derive(Debug, Clone, PartialEq)]
pub enum Tolerance {
    /// A bool, string, int or list.
    Literal(Value),
    Regex { pattern: String, target: Option<String> },
    Range { low: f64, high: f64, target: Option<String> },
    JsonPath { path: String, target: Option<String>, expect: Option<Value>, count: Option<Value> },
    /// Judged by an activity that receives the value as argument `value`.
    Probe(Box<Activity>),
}
