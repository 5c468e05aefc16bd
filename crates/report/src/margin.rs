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

use firedrill_experiment::journal::margin::{Record, Table};
use serde_json::{Map, Value};

pub use page::html;
pub use text::{json, markdown};
pub use words::{COLUMNS, Told, figures, heading, table, told};

use crate::ReadError;

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
pub fn read(bytes: &[u8]) -> Result<Vec<Record>, ReadError> {
    let value: Value = serde_json::from_slice(bytes)?;
    if value.get("records").is_some() {
        let table: Table = serde_json::from_value(value)?;
        return Ok(table.records);
    }
    Ok(vec![serde_json::from_value(value)?])
}
