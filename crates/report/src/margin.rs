//! Margins: how much of a dimension a system bears, from the records of `firedrill margin`.
//!
//! - `words`: the answer as a sentence, and the figures behind it, for every format and the
//!   terminal;
//! - `plot`: trials, belief, break point and today's normal, drawn;
//! - `page` and `text`: HTML, Markdown and JSON.
//!
//! A record is one search; several dimensions of one document are a table of records.

mod page;
mod plot;
mod text;
mod words;

use firedrill_experiment::units::Unit;
use firedrill_judge::margin::{Answer, Plotted, Question, TrialRecord};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

pub use page::html;
pub use text::{json, markdown};
pub use words::{COLUMNS, Told, figures, heading, table, told};

use crate::ReadError;

/// One dimension, as its record has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dimension {
    pub title: String,
    pub version: String,
    pub began: String,
    pub seed: u64,
    pub context: Context,
    /// Absent before what is normal was seen.
    pub question: Option<Question>,
    pub trials: Vec<Trial>,
    /// Absent before anything was asked.
    #[serde(deserialize_with = "where_it_is")]
    pub answer: Option<Answer>,
    #[serde(deserialize_with = "where_it_is")]
    pub plotted: Option<Plotted>,
    pub stopped: Option<Stopped>,
}

/// What the answer holds for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Context {
    pub name: Option<String>,
    pub activity: String,
    pub fault: String,
    pub target: Value,
    pub argument: String,
    pub unit: Unit,
    pub kpi: String,
    /// Requests per second.
    pub rate: f64,
    pub traffic: String,
    pub url: String,
    pub node: String,
    pub facts: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trial {
    pub number: usize,
    pub trial: TrialRecord,
    /// Since the search began, in seconds: in place, and gone.
    pub applied: f64,
    pub reverted: f64,
    pub achieved: Option<String>,
}

/// Why a search ended early.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Stopped {
    /// In one word: `halted`, `guardrail`.
    pub why: String,
    /// In a sentence; absent where the word says it all.
    pub text: Option<String>,
}

/// Null is absent, and so is an object that says nothing.
fn where_it_is<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(from)?;
    if value.is_null() {
        return Ok(None);
    }
    serde_json::from_value(value)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

/// Whether this is a record of margins, and no journal.
#[must_use]
pub fn is_record(bytes: &[u8]) -> bool {
    let fields: Result<Map<String, Value>, _> = serde_json::from_slice(bytes);
    fields.is_ok_and(|fields| {
        let of_ours = |key| fields.get(key).is_some_and(Value::is_u64);
        of_ours("margin") || of_ours("margins")
    })
}

/// Every dimension of a record.
///
/// # Errors
/// When the bytes are not JSON, or not what `firedrill margin` writes.
pub fn read(bytes: &[u8]) -> Result<Vec<Dimension>, ReadError> {
    #[derive(Deserialize)]
    struct Table {
        records: Vec<Dimension>,
    }
    let value: Value = serde_json::from_slice(bytes)?;
    if value.get("records").is_some() {
        let table: Table = serde_json::from_value(value)?;
        return Ok(table.records);
    }
    Ok(vec![serde_json::from_value(value)?])
}
