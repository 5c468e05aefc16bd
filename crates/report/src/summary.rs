//! What every format says about one drill.

use firedrill_experiment::journal::{Effect, Journal, Run, Status, Verdict};
use serde_json::Value;

use crate::words;

/// One drill in a line.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) title: String,
    /// `held`, or of another tool's journal: `completed, not deviated`.
    pub(crate) verdict: String,
    pub(crate) tone: Tone,
    /// One sentence.
    pub(crate) headline: String,
    /// Further sentences.
    pub(crate) reasons: Vec<String>,
}

/// How a verdict is shown, and what a test runner is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    /// No answer.
    Doubt,
    /// Nothing was touched.
    Idle,
    /// Another tool saw nothing wrong: no verdict of ours, and none of its colour.
    Plain,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Doubt => "doubt",
            Tone::Idle => "idle",
            Tone::Plain => "plain",
        }
    }
}

pub(crate) fn summary(journal: &Journal) -> Summary {
    let title = title(journal);
    let mut reasons;
    let (verdict, tone, headline);
    if let Some(drill) = &journal.firedrill {
        verdict = match (drill.verdict, drill.effect) {
            (Verdict::Held, Some(Effect::Unobserved)) => "held, effect unobserved".to_owned(),
            (other, _) => words::verdict(other).to_owned(),
        };
        tone = verdict_tone(drill.verdict);
        let mut sentences = drill.reasons.iter().filter(|r| !r.trim().is_empty());
        headline = sentences
            .next()
            .cloned()
            .unwrap_or_else(|| meaning(drill.verdict).to_owned());
        reasons = sentences.cloned().collect::<Vec<_>>();
    } else {
        verdict = format!(
            "{}, {}",
            words::status(journal.status),
            if journal.deviated {
                "deviated"
            } else {
                "not deviated"
            }
        );
        tone = plain_tone(journal);
        headline = plain_headline(journal).to_owned();
        reasons = vec![
            "A Chaos Toolkit journal without measurements of Firedrill's: no verdict can be given."
                .to_owned(),
        ];
    }
    if let Some(Value::String(why)) = journal.extra.get("firedrill-unreadable") {
        reasons.push(format!(
            "The journal's `firedrill` part could not be read: {why}."
        ));
    }
    if let Some(cut) = &journal.interruption {
        let by = cut
            .name
            .as_deref()
            .map(|name| format!(" by {name}"))
            .unwrap_or_default();
        reasons.push(format!("Interrupted ({}){by}: {}", cut.kind, cut.reason));
    }
    Summary {
        title,
        verdict,
        tone,
        headline,
        reasons,
    }
}

/// The verdict's definition, for drills that give no reason of their own.
pub(crate) fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "The expectation was met in every phase.",
        Verdict::Broken => "The expectation was not met while something was broken.",
        Verdict::NotRecovered => "The system did not come back within its limit.",
        Verdict::Inconclusive => "The evidence is not enough for an answer.",
        Verdict::UnhealthyBefore => "The system was not well before the drill; nothing was broken.",
        Verdict::Refused => "Not allowed, or safety unknown; nothing was touched.",
        Verdict::Halted => "Stopped from outside.",
        Verdict::Failed => "Firedrill itself failed.",
    }
}

fn title(journal: &Journal) -> String {
    match journal.experiment.get("title") {
        Some(Value::String(title)) if !title.trim().is_empty() => title.clone(),
        _ => "Untitled experiment".to_owned(),
    }
}

fn verdict_tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Held => Tone::Good,
        Verdict::Broken | Verdict::NotRecovered => Tone::Bad,
        Verdict::Inconclusive | Verdict::Halted | Verdict::Failed => Tone::Doubt,
        Verdict::UnhealthyBefore | Verdict::Refused => Tone::Idle,
    }
}

fn plain_tone(journal: &Journal) -> Tone {
    match journal.status {
        _ if journal.deviated => Tone::Bad,
        Status::Completed => Tone::Plain,
        Status::Failed => Tone::Bad,
        Status::Aborted | Status::Interrupted => Tone::Doubt,
    }
}

fn plain_headline(journal: &Journal) -> &'static str {
    match journal.status {
        _ if journal.deviated => "The steady state was not met after the method.",
        Status::Completed => "The method ran and no deviation from the steady state was seen.",
        Status::Failed => "The experiment failed.",
        Status::Aborted => "The experiment was aborted.",
        Status::Interrupted => "The experiment was interrupted.",
    }
}

/// An activity's name.
pub(crate) fn name(run: &Run) -> &str {
    run.activity
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("unnamed")
}

/// `probe` or `action`.
pub(crate) fn kind(run: &Run) -> &str {
    run.activity
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("activity")
}

/// `http http://127.0.0.1:8080/`, `python pkg.module.func`, `fault infrastructure.cpu`.
pub(crate) fn provider(run: &Run) -> String {
    let provider = &run.activity["provider"];
    let field = |key: &str| provider[key].as_str().unwrap_or_default();
    let kind = field("type");
    let what = match kind {
        "python" => format!("{}.{}", field("module"), field("func")),
        "process" => {
            let arguments = provider["arguments"].as_str().unwrap_or_default();
            format!("{} {arguments}", field("path"))
        }
        "http" => {
            let method = provider["method"].as_str().unwrap_or("GET");
            format!("{method} {}", field("url"))
        }
        _ => ["name", "url", "query"]
            .into_iter()
            .map(field)
            .find(|v| !v.is_empty())
            .unwrap_or_default()
            .to_owned(),
    };
    format!("{kind} {what}").trim().to_owned()
}
