//! What toxics on messages have in common: ours, Toxiproxy has none.

use serde_json::{Map, Value};

use super::super::answer::ApiError;
use super::LatencyToxic;
use crate::message::Kind;
use crate::stream::Direction;

/// A toxic on single requests.
pub(super) trait OnMessages {
    /// The fault that it is, or what is wrong with it. The direction is that of what it changes, where
    /// a protocol has changes.
    fn fault(&self, direction: Direction) -> Result<Kind, String>;

    /// Where it delays.
    fn latency(&self) -> Option<&LatencyToxic> {
        None
    }
}

const LATENCY: &[&str] = &["latency", "jitter", "distribution", "correlation"];

/// The attributes of a type: those that say which requests it is meant for, and the others.
fn names(kind: &str) -> Option<[&'static [&'static str]; 2]> {
    let (family, rest) = kind.split_once('_')?;
    let limits: &[&str] = match family {
        "http" => &["methods", "path", "headers"],
        "grpc" => &["service", "method", "metadata"],
        "redis" => &["commands", "key"],
        "postgres" | "mysql" => &["statement"],
        "kafka" => &["apis", "topic"],
        "websocket" => &["path", "messages"],
        _ => return None,
    };
    let own: &[&str] = match (family, rest) {
        (_, "delay") => LATENCY,
        ("http", "abort") => &["status", "body"],
        ("http", "body") => &["replace", "truncate", "corrupt"],
        ("http", "header") => &["change", "name", "value"],
        ("grpc", "abort") => &["status", "message"],
        ("grpc", "cut") => &["after", "status", "message"],
        ("redis", "error") => &["error"],
        ("postgres", "error" | "refuse") => &["sqlstate", "message"],
        ("mysql", "error" | "refuse") => &["code", "sqlstate", "message"],
        ("kafka", "error") => &["code"],
        ("websocket", "close") => &["code", "reason"],
        ("websocket", "message") => &["truncate", "corrupt"],
        _ => &[],
    };
    Some([limits, own])
}

/// Refuses attributes that there are not: one that limits the requests, misspelt, would leave the
/// toxic on all of them.
pub(super) fn check_names(kind: &str, attributes: &Map<String, Value>) -> Result<(), ApiError> {
    let Some(known) = names(kind).map(|parts| parts.concat()) else {
        return Ok(());
    };
    let mut names = attributes.keys();
    match names.find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(ApiError::body(format!(
            "{kind} has no attribute {name}; it has {}",
            known.join(", ")
        ))),
        None => Ok(()),
    }
}
