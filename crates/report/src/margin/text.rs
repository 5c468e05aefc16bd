//! Markdown, and JSON for programs.

use std::fmt::Write as _;

use firedrill_experiment::journal::margin::{Record, TrialReport};
use firedrill_judge::margin::{Approach, Verdict};
use serde_json::{Value, json};

use super::words::{COLUMNS, figures, heading, table, told};

/// The margin table where there are several dimensions, then each with its trials.
#[must_use]
pub fn markdown(dimensions: &[Record]) -> String {
    let mut out = String::new();
    if dimensions.len() > 1 {
        let _ = writeln!(out, "# Margins\n\n| {} |", COLUMNS.join(" | "));
        let _ = writeln!(out, "|{}", "---|".repeat(COLUMNS.len()));
        for row in table(dimensions) {
            let _ = writeln!(out, "| {} |", row.map(|cell| escaped(&cell)).join(" | "));
        }
        out.push('\n');
    }
    for of in dimensions {
        one(of, &mut out);
    }
    out
}

/// `{"margins": n, "rows": [{…}]}`: a row holds `title`, `dimension`, `answer` (a word),
/// `sentence`, `unit`, `break-point`, `headroom`, `held`, `trials`, `bad-events`, `facts`, `rate`
/// (requests per second), `traffic`, `source` (of counters), `began`, `seed` and `version`; what is
/// not known is null.
#[must_use]
pub fn json(dimensions: &[Record]) -> Value {
    let row = |of: &Record| {
        let told = told(of);
        let answer = of.answer.as_ref();
        json!({
            "title": of.title,
            "dimension": of.context.name,
            "answer": told.word,
            "sentence": told.sentence,
            "unit": of.context.unit,
            "break-point": answer.map(|answer| answer.break_point),
            "headroom": answer.and_then(|answer| answer.headroom),
            "held": answer.and_then(|answer| answer.held),
            "trials": answer.map(|answer| answer.trials),
            "bad-events": answer.map(|answer| answer.bad_events),
            "facts": of.context.facts,
            "rate": of.context.rate,
            "traffic": of.context.traffic,
            "source": of.context.source,
            "began": of.began,
            "seed": of.seed,
            "version": of.version,
        })
    };
    let rows: Vec<Value> = dimensions.iter().map(row).collect();
    json!({"margins": rows.len(), "rows": rows})
}

fn one(of: &Record, out: &mut String) {
    let told = told(of);
    let _ = writeln!(out, "# {}\n", escaped(&heading(of)));
    let _ = writeln!(out, "**{}**: {}\n", told.word, escaped(&told.sentence));
    for (name, value) in figures(of) {
        let _ = writeln!(out, "- {name}: {}", escaped(&value));
    }
    if of.trials.is_empty() {
        out.push('\n');
        return;
    }
    out.push_str(
        "\n| trial | magnitude | answer | bad | requests | in place |\n|---|---|---|---|---|---|\n",
    );
    for trial in &of.trials {
        let record = &trial.trial;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {:.1} s |",
            trial.number,
            of.context.unit.show(record.magnitude),
            verdict(trial),
            record.bad,
            record.bad + record.good.unwrap_or(0),
            trial.reverted - trial.applied,
        );
    }
    out.push('\n');
}

/// `borne`, `not borne`, `not clear`, and from which side.
pub(super) fn verdict(trial: &TrialReport) -> String {
    let word = match trial.trial.verdict {
        Verdict::Hold => "borne",
        Verdict::Break => "not borne",
        Verdict::NotYet => "not clear",
    };
    match trial.trial.approach {
        Approach::Below => word.to_owned(),
        Approach::Above { .. } => format!("{word}, from above"),
    }
}

/// In a table's cell and out of it.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
