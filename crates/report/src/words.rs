//! Numbers and texts as a reader wants them.

use firedrill_experiment::document::UndoClass;
use firedrill_experiment::journal::{Effect, Outcome, Phase, RunStatus, Status, Verdict};
use serde_json::Value;

pub(crate) use firedrill_judge::words::count;

/// Longest output shown, in bytes.
const OUTPUT_MAX: usize = 4096;

/// `48.2 ms`, `1.25 s`, `3 min 20 s`, from seconds.
pub(crate) fn seconds(s: f64) -> String {
    if !s.is_finite() {
        return "—".to_owned();
    }
    let size = s.abs();
    if size >= 7200.0 {
        let minutes = (size / 60.0).round();
        return format!(
            "{}{} h {:02} min",
            sign(s),
            (minutes / 60.0).floor(),
            minutes % 60.0
        );
    }
    if size >= 120.0 {
        let whole = size.round();
        return format!(
            "{}{} min {:02} s",
            sign(s),
            (whole / 60.0).floor(),
            whole % 60.0
        );
    }
    if size >= 1.0 || size == 0.0 {
        return format!("{} s", significant(s));
    }
    if size < 1e-3 {
        return format!("{} µs", significant(s * 1e6));
    }
    format!("{} ms", significant(s * 1e3))
}

/// From milliseconds.
pub(crate) fn millis(ms: f64) -> String {
    seconds(ms / 1e3)
}

fn sign(v: f64) -> &'static str {
    if v < 0.0 { "−" } else { "" }
}

/// Three digits, no trailing zeros.
pub(crate) fn significant(v: f64) -> String {
    let digits = match v.abs() {
        a if a >= 100.0 => 0,
        a if a >= 10.0 => 1,
        _ => 2,
    };
    trimmed(format!("{v:.digits$}"))
}

pub(crate) fn trimmed(text: String) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `99.87 %`, with enough digits to tell it from 0 and 100.
pub(crate) fn percent(share: f64) -> String {
    rounded(share, f64::round)
}

/// For lower bounds: "at least" stays true.
pub(crate) fn percent_down(share: f64) -> String {
    rounded(share, f64::floor)
}

/// For upper bounds.
pub(crate) fn percent_up(share: f64) -> String {
    rounded(share, f64::ceil)
}

fn rounded(share: f64, round: impl Fn(f64) -> f64) -> String {
    let from_edge = share.min(1.0 - share).abs() * 100.0;
    let digits: i32 = match from_edge {
        0.0 => 0,
        e if e >= 10.0 => 1,
        e if e >= 0.1 => 2,
        e => (1.0 - e.log10().floor()).clamp(2.0, 8.0) as i32,
    };
    let scale = 10_f64.powi(digits);
    let steps = share * 100.0 * scale;
    let on_step = (steps - steps.round()).abs() < 1e-6;
    let value = if on_step { steps.round() } else { round(steps) } / scale;
    format!(
        "{} %",
        trimmed(format!("{value:.*}", usize::try_from(digits).unwrap_or(0)))
    )
}

/// At most this many characters, an ellipsis in place of the rest.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// An activity's output as text, cut after 4 KiB, and how many bytes were cut.
pub(crate) fn output(value: &Value) -> (String, usize) {
    let text = match value {
        Value::Null => return (String::new(), 0),
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    cut(text)
}

/// The output on one line, where that is short enough to need no fold.
pub(crate) fn line(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim_end().to_owned(),
        other => other.to_string(),
    };
    (text.len() <= 80 && !text.contains('\n')).then_some(text)
}

/// The first words of a longer text.
pub(crate) fn opening(text: &str) -> String {
    let start: String = text.chars().take(300).collect();
    shortened(&start.split_whitespace().collect::<Vec<_>>().join(" "), 48)
}

pub(crate) fn cut(mut text: String) -> (String, usize) {
    if text.len() <= OUTPUT_MAX {
        return (text, 0);
    }
    let end = text.floor_char_boundary(OUTPUT_MAX);
    let dropped = text.len() - end;
    text.truncate(end);
    (text, dropped)
}

/// One line, for tolerances and the like.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        other => other.to_string(),
    }
}

pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Broken => "broken",
        Verdict::NotRecovered => "not recovered",
        Verdict::Inconclusive => "inconclusive",
        Verdict::UnhealthyBefore => "unhealthy before",
        Verdict::Refused => "refused",
        Verdict::Halted => "halted",
        Verdict::Failed => "failed",
    }
}

pub(crate) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Baseline => "baseline",
        Phase::Transition => "transition",
        Phase::Fault => "fault",
        Phase::Recovery => "recovery",
    }
}

pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Met => "met",
        Outcome::Missed => "missed",
        Outcome::Undecided => "undecided",
    }
}

pub(crate) fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Observed => "observed",
        Effect::Unobserved => "unobserved",
    }
}

pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Aborted => "aborted",
        Status::Interrupted => "interrupted",
    }
}

pub(crate) fn run_status(status: Option<RunStatus>) -> &'static str {
    match status {
        Some(RunStatus::Succeeded) => "succeeded",
        Some(RunStatus::Failed) => "failed",
        Some(RunStatus::Aborted) => "aborted",
        None => "unknown",
    }
}

pub(crate) fn undo_class(class: UndoClass) -> &'static str {
    match class {
        UndoClass::Reversible => "reversible",
        UndoClass::Replaced => "replaced",
        UndoClass::Irreversible => "irreversible",
        UndoClass::Opaque => "opaque",
    }
}

/// What the class means for whoever has to clean up.
pub(crate) fn undo_meaning(class: UndoClass) -> &'static str {
    match class {
        UndoClass::Reversible => "undone by the guardian",
        UndoClass::Replaced => "killed; something else starts it again",
        UndoClass::Irreversible => "cannot be taken back",
        UndoClass::Opaque => "only the document's rollbacks know how",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(seconds(0.0482), "48.2 ms");
        assert_eq!(seconds(1.254), "1.25 s");
        assert_eq!(seconds(200.4), "3 min 20 s");
        assert_eq!(seconds(9000.0), "2 h 30 min");
        assert_eq!(seconds(f64::NAN), "—");
        assert_eq!(millis(0.25), "250 µs");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(percent_down(0.98999), "98.99 %");
        assert_eq!(percent_up(0.99999), "99.999 %");
        assert_eq!(shortened("abcdef", 4), "abc…");
    }

    #[test]
    fn a_long_output_is_cut_between_characters() {
        let (text, dropped) = output(&Value::String("é".repeat(4000)));
        assert_eq!(text.len() + dropped, 8000);
        assert!(text.len() <= OUTPUT_MAX && dropped > 0);
    }
}
