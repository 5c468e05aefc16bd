//! The answer in words that a manager can read, and the figures behind it.

use firedrill_experiment::journal::margin::Record;
use firedrill_experiment::units::Unit;
use firedrill_judge::margin::{Aim, Answer, End, Headroom, Interval, Unanswered};
use serde_json::Value;

use crate::summary::Tone;
use crate::words::count;

/// An answer: a word that is seen first, and a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Whether that is good news; unknown where there is no answer.
    pub good: Option<bool>,
    pub word: &'static str,
    pub sentence: String,
}

impl Told {
    pub(super) fn tone(&self) -> Tone {
        match self.good {
            Some(true) => Tone::Good,
            Some(false) => Tone::Bad,
            None => Tone::Doubt,
        }
    }
}

/// The document's title, and the dimension's name where it has one.
#[must_use]
pub fn heading(of: &Record) -> String {
    match &of.context.name {
        Some(name) => format!("{}: {name}", of.title),
        None => of.title.clone(),
    }
}

/// The answer, with what it holds for.
#[must_use]
pub fn told(of: &Record) -> Told {
    let (good, word, what) = answer(of);
    let sentence = match good {
        Some(_) => {
            let normal = of.question.as_ref().and_then(|question| question.normal);
            let normal = normal.map(|normal| {
                let shown = of.context.unit.show(normal.value);
                format!("; {shown} is normal today")
            });
            format!("{what}{}; {}", normal.unwrap_or_default(), holds_at(of))
        }
        None => what,
    };
    Told {
        good,
        word,
        sentence,
    }
}

fn answer(of: &Record) -> (Option<bool>, &'static str, String) {
    if let Some(stopped) = &of.stopped {
        return (None, "stopped", stopped.to_string());
    }
    let Some(answer) = &of.answer else {
        return (None, "stopped", "nothing was asked".to_owned());
    };
    let unit = &of.context.unit;
    let what = format!("`{}` of `{}`", of.context.argument, of.context.activity);
    let sure = format!("{:.0} %", answer.break_point.confidence * 100.0);
    match answer.end {
        Some(End::Proven) => {
            let least = target(of).map_or_else(|| "the margin".into(), |at| unit.show(at));
            let text = format!("at least {least} of {what} is borne ({sure})");
            (Some(true), "proven", text)
        }
        Some(End::Disproven { at }) => {
            let text = format!("{} of {what} is not borne ({sure})", unit.show(at));
            (Some(false), "disproven", text)
        }
        Some(End::Found) => {
            let text = format!("{what} breaks at {}", between(&answer.break_point, unit));
            (Some(true), "found", text)
        }
        Some(End::BeyondLargest) => {
            let text = format!("all of {what} that may be tried is borne ({sure})");
            (Some(true), "beyond", text)
        }
        Some(End::BelowLowest) => {
            let text = format!("the smallest {what} is already not borne ({sure})");
            (Some(false), "below", text)
        }
        Some(End::NotAnswered(why)) => (None, "no answer", unanswered(why).to_owned()),
        None => {
            let text = "the search has not come to its end";
            (None, "stopped", text.to_owned())
        }
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

fn target(of: &Record) -> Option<f64> {
    let question = of.question.as_ref()?;
    matches!(question.aim, Aim::Certify { .. })
        .then(|| question.target().ok().flatten())
        .flatten()
}

/// `at 40 requests/s, version 1.4, 6 replicas`.
fn holds_at(of: &Record) -> String {
    let mut text = format!("at {}", traffic(of));
    for (name, value) in of.context.facts.iter().flatten() {
        text.push_str(", ");
        text.push_str(&match value {
            Value::Number(number) => format!("{number} {name}"),
            Value::String(value) => format!("{name} {value}"),
            other => format!("{name} {other}"),
        });
    }
    text
}

/// `40 requests/s`; of what others send it is about so many.
fn traffic(of: &Record) -> String {
    let context = &of.context;
    match (context.rate, &context.source) {
        (Some(rate), None) => format!("{rate} requests/s"),
        (Some(rate), Some(_)) => {
            let digits = if rate < 10.0 { 1 } else { 0 };
            format!(
                "about {rate:.digits$} requests/s of {} traffic",
                context.traffic
            )
        }
        (None, _) => format!("{} traffic", context.traffic),
    }
}

/// `201 ms (95 %: 193 ms to 209 ms)`.
pub(super) fn between(interval: &Interval, unit: &Unit) -> String {
    let end = |end: Option<f64>| end.map_or_else(|| "anything".to_owned(), |end| unit.show(end));
    let ends = format!(
        "{:.0} %: {} to {}",
        interval.confidence * 100.0,
        end(interval.low),
        end(interval.high),
    );
    match interval.value {
        Some(value) => format!("{} ({ends})", unit.show(value)),
        None => ends,
    }
}

/// The figures behind the answer, by name.
#[must_use]
pub fn figures(of: &Record) -> Vec<(&'static str, String)> {
    let Some(answer) = &of.answer else {
        return Vec::new();
    };
    let unit = &of.context.unit;
    let mut lines = Vec::new();
    if !matches!(answer.end, Some(End::Found)) || of.stopped.is_some() {
        lines.push(("breaks at", between(&answer.break_point, unit)));
    }
    if let Some(held) = answer.held {
        let shown = unit.show(held);
        lines.push((
            "borne",
            format!("{shown}, the most that was tried and held"),
        ));
    }
    let normal = of.question.as_ref().and_then(|question| question.normal);
    if let (Some(headroom), Some(normal)) = (&answer.headroom, normal) {
        let today = unit.show(normal.value);
        lines.push(("headroom", headroom_in_words(headroom, &today, unit)));
    }
    if let Some(hysteresis) = &answer.hysteresis {
        let remembers = match hysteresis.remembers {
            true => "it remembers that it was broken",
            false => "no memory of being broken was seen",
        };
        let above = between(&hysteresis.from_above, unit);
        lines.push(("from above", format!("{above}; {remembers}")));
    }
    lines.push(("spent", spent(answer)));
    lines.push(("holds for", holds_for(of)));
    lines
}

fn headroom_in_words(headroom: &Headroom, today: &str, unit: &Unit) -> String {
    let times = |times: Option<f64>| times.map(|times| format!("{times:.1} times"));
    let low = headroom
        .low
        .map(|low| format!("at least {}", unit.show(low)));
    let high = headroom
        .high
        .map(|high| format!("at most {}", unit.show(high)));
    let ends: Vec<_> = [low, high].into_iter().flatten().collect();
    let factors = [times(headroom.times_low), times(headroom.times_high)];
    let factors: Vec<_> = factors.into_iter().flatten().collect();
    format!(
        "{} beside {today} today ({})",
        ends.join(", "),
        factors.join(" to ")
    )
}

pub(super) fn spent(answer: &Answer) -> String {
    format!(
        "{} trials, {} of {} bad requests",
        answer.trials,
        count(answer.bad_events),
        count(answer.bad_events_max)
    )
}

fn holds_for(of: &Record) -> String {
    let context = &of.context;
    let load = match &context.source {
        Some(source) => format!("{}, {source}", traffic(of)),
        None => format!(
            "{} of {} traffic to {}",
            traffic(of),
            context.traffic,
            context.url
        ),
    };
    let facts: Vec<_> = (context.facts.iter().flatten())
        .map(|(name, value)| match value {
            Value::String(value) => format!("{name} {value}"),
            other => format!("{name} {other}"),
        })
        .collect();
    let facts = match facts.as_slice() {
        [] => String::new(),
        facts => format!("; {}", facts.join(", ")),
    };
    format!("{load}{facts}; {} on {}", context.fault, context.target)
}

/// What the columns of [`table`] are.
pub const COLUMNS: [&str; 6] = [
    "dimension",
    "answer",
    "breaks at",
    "borne",
    "normal today",
    "bad requests",
];

/// The margin table: a row for each dimension, in the order of [`COLUMNS`].
#[must_use]
pub fn table(dimensions: &[Record]) -> Vec<[String; 6]> {
    let row = |of: &Record| {
        let unit = &of.context.unit;
        let nothing = || "—".to_owned();
        let name = of.context.name.clone();
        let normal = of.question.as_ref().and_then(|question| question.normal);
        let answer = of.answer.as_ref();
        [
            name.unwrap_or_else(|| of.context.argument.clone()),
            told(of).word.to_owned(),
            answer.map_or_else(nothing, |answer| between(&answer.break_point, unit)),
            answer
                .and_then(|answer| answer.held)
                .map_or_else(nothing, |held| unit.show(held)),
            normal.map_or_else(nothing, |normal| unit.show(normal.value)),
            answer.map_or_else(nothing, |answer| count(answer.bad_events)),
        ]
    };
    dimensions.iter().map(row).collect()
}
