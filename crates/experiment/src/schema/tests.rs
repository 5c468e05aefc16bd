use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::document::{Experiment, Strictness};
use crate::parse::{Format, parse_value};
use crate::source::Source;

/// A document that uses every key of ours.
pub(crate) const FULL: &str = include_str!("../../tests/full.yaml");

fn full() -> Value {
    parse_value(&Source::new("full.yaml", FULL), Format::Yaml).unwrap()
}

#[test]
fn what_validates_also_has_the_schema_s_shape() {
    let recorded = include_str!("../../tests/recorded/documents.json");
    let rows: Vec<Value> = serde_json::from_str(recorded).unwrap();
    let mut documents: Vec<Value> = rows
        .into_iter()
        .map(|row| row["document"].clone())
        .collect();
    documents.push(full());
    // A single string for `tags`, an unknown contribution and the like pass with a warning.
    let clean = |document: &Value| {
        let reading = Experiment::read_value(document.clone(), Strictness::Strict);
        reading.diagnostics.is_empty()
    };
    let valid: Vec<Value> = documents.into_iter().filter(clean).collect();
    assert!(valid.len() > 30, "only {} documents are valid", valid.len());
    for document in valid {
        let shape = serde_json::from_value::<shape::Experiment>(document.clone());
        assert!(shape.is_ok(), "{document}: {shape:?}");
    }
}

#[test]
fn the_schema_knows_every_key_that_is_read() {
    let schema = schema();
    let properties = |pointer: &str| -> BTreeSet<String> {
        let found = schema.pointer(pointer).and_then(Value::as_object);
        found
            .unwrap_or_else(|| panic!("no {pointer}"))
            .keys()
            .cloned()
            .collect()
    };
    let top = properties("/properties");
    for key in full().as_object().unwrap().keys() {
        assert!(top.contains(key), "{key}");
    }
    let activity = properties("/$defs/OwnActivity/properties");
    for key in [
        "retry",
        "repeat",
        "register",
        "rollback",
        "on-failure",
        "undo-class",
        "exposure",
    ] {
        assert!(activity.contains(key), "{key}");
    }
    assert_eq!(
        schema["required"],
        json!(["title", "description", "method"])
    );
}
