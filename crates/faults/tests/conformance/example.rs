use firedrill_faults::Entry;
use serde_json::{Map, Value};

/// The arguments that the catalogue gives to try a fault.
pub(crate) fn arguments(entry: &Entry) -> Map<String, Value> {
    let pairs = entry.example.split_whitespace();
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap());
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| text.into());
    pairs
        .map(|(name, text)| (name.to_owned(), value(text)))
        .collect()
}
