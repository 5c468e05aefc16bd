//! The answer in words that a manager can read, and the figures behind it.

use std::fmt::Write as _;

use firedrill_experiment::journal::margin::Record;
use firedrill_report::margin::{COLUMNS, figures, heading, table, told};

use super::plot;
use crate::output::{BAD, BOLD, CAUTION, DIM, GOOD};

/// Everything, for standard output.
pub(in crate::command) fn describe(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        one(record, records.len() > 1, &mut text);
    }
    if records.len() > 1 {
        as_table(records, &mut text);
    }
    text
}

fn one(of: &Record, is_named: bool, text: &mut String) {
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
    if let Some(search) = of.search() {
        text.push_str(&plot::draw(&search, &of.context.unit));
    }
}

fn as_table(dimensions: &[Record], text: &mut String) {
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
