//! The answer in words that a manager can read, and the figures behind it.

use std::fmt::Write as _;

use firedrill_report::margin::{COLUMNS, Dimension, figures, heading, table, told};
use firedrill_runner::margin::record::Record;

use super::plot;
use crate::output::{BAD, BOLD, CAUTION, DIM, GOOD};

/// Everything, for standard output.
pub(in crate::command) fn describe(records: &[Record]) -> serde_json::Result<String> {
    let dimensions: Vec<Dimension> = records
        .iter()
        .map(|record| serde_json::to_value(record).and_then(serde_json::from_value))
        .collect::<Result<_, _>>()?;
    let mut text = String::new();
    for (record, of) in records.iter().zip(&dimensions) {
        one(record, of, records.len() > 1, &mut text);
    }
    if dimensions.len() > 1 {
        as_table(&dimensions, &mut text);
    }
    Ok(text)
}

fn one(record: &Record, of: &Dimension, is_named: bool, text: &mut String) {
    let told = told(of);
    let style = match told.good {
        Some(true) => GOOD,
        Some(false) => BAD,
        None => CAUTION,
    };
    if is_named {
        let _ = writeln!(text, "\n{BOLD}{}{BOLD:#}", heading(of));
    } else {
        text.push('\n');
    }
    let (word, sentence) = (told.word, &told.sentence);
    let _ = writeln!(text, "{style}{word:<10}{style:#}  {BOLD}{sentence}{BOLD:#}");
    for (name, value) in figures(of) {
        let _ = writeln!(text, "  {name:<10}  {value}");
    }
    if let Some(search) = record.search() {
        text.push_str(&plot::draw(&search, &record.context.unit));
    }
}

fn as_table(dimensions: &[Dimension], text: &mut String) {
    let rows = table(dimensions);
    let long = |cell: &str| cell.chars().count();
    let width = |at: usize| {
        let cells = rows.iter().map(|row| long(&row[at]));
        cells.chain([long(COLUMNS[at])]).max().unwrap_or(0)
    };
    let line = |cells: [&str; 6]| {
        let cells = cells.iter().enumerate().map(|(at, cell)| {
            let space = width(at).saturating_sub(long(cell));
            format!("{cell}{}  ", " ".repeat(space))
        });
        cells.collect::<String>().trim_end().to_owned()
    };
    let _ = writeln!(text, "\n  {DIM}{}{DIM:#}", line(COLUMNS));
    for row in &rows {
        let _ = writeln!(text, "  {}", line(row.each_ref().map(String::as_str)));
    }
    text.push('\n');
}
