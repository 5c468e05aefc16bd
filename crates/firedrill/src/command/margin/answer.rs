//! The answer in words that a manager can read, and the figures behind it.

use std::fmt::Write as _;

use anstyle::Style;
use firedrill_experiment::units::Unit;
use firedrill_judge::margin::{Aim, Answer, End, Interval, Unanswered};
use firedrill_runner::margin::record::Record;

use super::plot;
use crate::output::{BAD, BOLD, CAUTION, GOOD};

/// Everything, for standard output.
pub(super) fn describe(record: &Record) -> String {
    let mut text = String::new();
    let search = record.search();
    let answer = search.as_ref().map(firedrill_judge::margin::Margin::answer);
    let unit = &record.context.unit;
    let (style, word, sentence) = match (&record.stopped, &answer) {
        (Some(stopped), _) => (CAUTION, "stopped", stopped.to_string()),
        (None, Some(answer)) => in_words(record, answer),
        (None, None) => (CAUTION, "stopped", "nothing was asked".to_owned()),
    };
    let _ = writeln!(
        text,
        "\n{style}{word:<10}{style:#}  {BOLD}{sentence}{BOLD:#}"
    );
    if let (Some(answer), Some(search)) = (&answer, &search) {
        figures(&mut text, record, answer);
        text.push_str(&plot::draw(search, unit));
    }
    text
}

fn in_words(record: &Record, answer: &Answer) -> (Style, &'static str, String) {
    let unit = &record.context.unit;
    let what = format!(
        "`{}` of `{}`",
        record.context.argument, record.context.activity
    );
    let sure = format!("{:.0} %", answer.break_point.confidence * 100.0);
    match answer.end {
        Some(End::Proven) => {
            let least = target(record).map_or_else(|| "the margin".into(), |at| unit.show(at));
            (
                GOOD,
                "proven",
                format!("at least {least} of {what} is borne ({sure})"),
            )
        }
        Some(End::Disproven { at }) => (
            BAD,
            "disproven",
            format!("{} of {what} is not borne ({sure})", unit.show(at)),
        ),
        Some(End::Found) => (
            GOOD,
            "found",
            format!("{what} breaks at {}", between(&answer.break_point, unit)),
        ),
        Some(End::BeyondLargest) => (
            GOOD,
            "beyond",
            format!("all of {what} that may be tried is borne ({sure})"),
        ),
        Some(End::BelowLowest) => (
            BAD,
            "below",
            format!("the smallest {what} is already not borne ({sure})"),
        ),
        Some(End::NotAnswered(why)) => (CAUTION, "no answer", unanswered(why).to_owned()),
        None => (
            CAUTION,
            "stopped",
            "the search has not come to its end".to_owned(),
        ),
    }
}

fn unanswered(why: Unanswered) -> &'static str {
    match why {
        Unanswered::BadEventsSpent => {
            "the budget of bad requests is spent; a larger one, or a KPI with more traffic, goes on"
        }
        Unanswered::TrialsSpent => "all trials are made; more of them, or longer ones, go on",
        Unanswered::TooRisky => {
            "the next trial would break the system with more than the chance allowed; a larger `risk` goes on"
        }
        Unanswered::NotRecovered => "the system was not well again in time after a trial",
    }
}

fn target(record: &Record) -> Option<f64> {
    let question = record.question.as_ref()?;
    matches!(question.aim, Aim::Certify { .. })
        .then(|| question.target().ok().flatten())
        .flatten()
}

/// `201 ms (95 %: 193 ms to 209 ms)`.
fn between(interval: &Interval, unit: &Unit) -> String {
    let end =
        |end: Option<f64>, open: &str| end.map_or_else(|| open.to_owned(), |end| unit.show(end));
    let ends = format!(
        "{:.0} %: {} to {}",
        interval.confidence * 100.0,
        end(interval.low, "anything"),
        end(interval.high, "anything"),
    );
    match interval.value {
        Some(value) => format!("{} ({ends})", unit.show(value)),
        None => ends,
    }
}

fn figures(text: &mut String, record: &Record, answer: &Answer) {
    let unit = &record.context.unit;
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<10}  {value}");
    };
    if !matches!(answer.end, Some(End::Found)) {
        line("breaks at", between(&answer.break_point, unit));
    }
    if let Some(held) = answer.held {
        line(
            "borne",
            format!("{}, the most that was tried and held", unit.show(held)),
        );
    }
    let normal = record
        .question
        .as_ref()
        .and_then(|question| question.normal);
    if let (Some(headroom), Some(normal)) = (&answer.headroom, normal) {
        let times = |times: Option<f64>| times.map(|times| format!("{times:.1} times"));
        let ends = [
            headroom
                .low
                .map(|low| format!("at least {}", unit.show(low))),
            headroom
                .high
                .map(|high| format!("at most {}", unit.show(high))),
        ];
        let factors = [times(headroom.times_low), times(headroom.times_high)];
        let ends: Vec<_> = ends.into_iter().flatten().collect();
        let factors: Vec<_> = factors.into_iter().flatten().collect();
        line(
            "headroom",
            format!(
                "{} beside {} today ({})",
                ends.join(", "),
                unit.show(normal.value),
                factors.join(" to ")
            ),
        );
    }
    if let Some(hysteresis) = &answer.hysteresis {
        let remembers = match hysteresis.remembers {
            true => "it remembers that it was broken",
            false => "no memory of being broken was seen",
        };
        line(
            "from above",
            format!("{}; {remembers}", between(&hysteresis.from_above, unit)),
        );
    }
    line(
        "spent",
        format!(
            "{} trials, {} of {} bad requests",
            answer.trials, answer.bad_events, answer.bad_events_max
        ),
    );
    let context = &record.context;
    line(
        "holds for",
        format!(
            "{} requests/s of {} traffic to {}; {} on {}",
            context.rate, context.traffic, context.url, context.fault, context.target
        ),
    );
}
