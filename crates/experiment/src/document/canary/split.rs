//! Who is in which arm of a canary, or in the one that a margin searches.

use serde_json::{Map, Value};

use super::super::ours::{require, share};
use super::super::reader::Reader;
use super::refuse_unknown;
use crate::diagnostic::Code;
use crate::path::Path;

/// The share of each arm, and by what the traffic is divided.
pub(super) fn read(
    map: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Option<(f64, String)> {
    let path = path.key("split");
    let split = reader.map(map.get("split")?, &path)?;
    refuse_unknown(split, &path, &["share", "by", "epoch"], reader);
    let part = share_of_arm(split, &path, reader);
    let by = divided_by(split, "by", "connection", &path, reader);
    Some((part?, by))
}

/// `share`, which is needed.
pub(in crate::document) fn share_of_arm(
    map: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Option<f64> {
    require(map, &["share"], path, reader);
    let part = share(map, "share", path, reader);
    if part.is_some_and(|part| part <= 0.0 || part > 0.5) {
        let message = "`share` is that of each of two arms: above 0, at most 0.5";
        reader.error(Code::Value, &path.key("share"), message);
    }
    part
}

/// What those who belong together have the same value of.
pub(in crate::document) fn divided_by(
    map: &Map<String, Value>,
    key: &str,
    unless_told: &str,
    path: &Path,
    reader: &mut Reader,
) -> String {
    let by = match map.get(key) {
        None | Some(Value::Null) => unless_told,
        Some(value) => value.as_str().unwrap_or(""),
    };
    let named = |kind: &str| by.strip_prefix(kind).is_some_and(|name| !name.is_empty());
    if !(by == "connection" || by == "client" || named("header:") || named("cookie:")) {
        let message = format!("`{key}` is connection, client, header:NAME or cookie:NAME");
        reader.error(Code::Value, &path.key(key), message);
    }
    by.to_owned()
}
