//! For programs: one row per drill, and how many of each verdict.

use firedrill_experiment::journal::Journal;
use serde_json::{Map, Value, json};

use crate::summary::{Summary, summary};
use crate::words;

/// `{"drills": n, "verdicts": {"held": n, …}, "rows": [{…}]}`.
///
/// A row holds `title`, `verdict` (in kebab case; of another tool's journal its status, as in
/// `completed`), `effect`, `headline`, `reasons`, `status`, `deviated`, `start`, `end`,
/// `duration` (seconds), `recovery` (`took` and `limit`, seconds), `id`, `seed`, `digest` and
/// `version`; what a journal does not say is null.
#[must_use]
pub fn json(journals: &[Journal]) -> Value {
    let rows: Vec<Value> = journals.iter().map(|j| row(j, &summary(j))).collect();
    let mut verdicts = Map::new();
    for row in &rows {
        if let Some(verdict) = row["verdict"].as_str() {
            let so_far = verdicts.get(verdict).and_then(Value::as_u64).unwrap_or(0);
            verdicts.insert(verdict.to_owned(), (so_far + 1).into());
        }
    }
    json!({"drills": rows.len(), "verdicts": verdicts, "rows": rows})
}

fn row(journal: &Journal, summary: &Summary) -> Value {
    let drill = journal.firedrill.as_ref();
    let verdict = match drill {
        Some(drill) => json!(drill.verdict),
        None => json!(words::status(journal.status)),
    };
    json!({
        "title": summary.title,
        "verdict": verdict,
        "effect": drill.and_then(|d| d.effect),
        "headline": summary.headline,
        "reasons": summary.reasons,
        "status": journal.status,
        "deviated": journal.deviated,
        "start": journal.start,
        "end": journal.end,
        "duration": journal.duration,
        "recovery": drill.and_then(|d| d.recovery),
        "id": drill.map(|d| &d.id),
        "seed": drill.map(|d| d.seed),
        "digest": drill.map(|d| &d.digest),
        "version": drill.map(|d| &d.version),
    })
}
