//! A canary that counts users: what that asks of the rest of it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::super::activity::duration;
use super::super::reader::Reader;
use super::kpi::{CanaryAsk, CanaryKpi};
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;

/// How long a user is watched at most, before it counts.
const EPOCH_DEFAULT: Duration = Duration::from_secs(5);
/// What the proxy takes.
const EPOCH_LEAST: Duration = Duration::from_millis(100);
const EPOCH_MOST: Duration = Duration::from_secs(3600);

/// The epoch, where a KPI is of users.
pub(super) fn read(
    map: &Map<String, Value>,
    path: &Path,
    by: Option<&str>,
    kpis: &[CanaryKpi],
    reader: &mut Reader,
) -> Option<Duration> {
    let of_users = kpis
        .iter()
        .any(|kpi| matches!(kpi.asks, CanaryAsk::UserRatio { .. }));
    let path = path.key("split");
    let given = map.get("split").and_then(Value::as_object);
    let given = given.and_then(|split| duration(split, "epoch", &path, reader));
    if !of_users {
        if given.is_some() {
            let message = "`epoch` is how long a user is watched, and no KPI is `of: users`";
            reader.error(Code::Value, &path.key("epoch"), message);
        }
        return None;
    }
    if by == Some("connection") {
        let diagnostic = Diagnostic::error(
            Code::Value,
            &path.key("by"),
            "a KPI is `of: users`, and a connection does not say whose it is".to_owned(),
        );
        reader.push(diagnostic.hint("divide by cookie:NAME, header:NAME or client"));
    }
    let epoch = given.unwrap_or(EPOCH_DEFAULT);
    if !(EPOCH_LEAST..=EPOCH_MOST).contains(&epoch) {
        let message = "`epoch` is 100 ms to an hour";
        reader.error(Code::Value, &path.key("epoch"), message);
    }
    Some(epoch)
}

/// Nothing is told of users before their epoch is over: whether it is within these.
pub(super) fn check(
    epoch: Duration,
    path: &Path,
    baseline: Duration,
    longest: Option<Duration>,
    reader: &mut Reader,
) {
    for (key, time) in [("baseline", Some(baseline)), ("duration", longest)] {
        if time.is_some_and(|time| time < epoch) {
            let message = format!(
                "`{key}` ends before an epoch does ({} s), so no user would be counted in it",
                epoch.as_secs_f64()
            );
            reader.error(Code::Value, &path.key(key), message);
        }
    }
}
