//! HTML: the sentence, the table, and each dimension with its plot and trials.

use maud::{Markup, html as markup};

use firedrill_experiment::journal::margin::{Record, TrialReport};

use super::plot::plot;
use super::text::verdict as word;
use super::words::{COLUMNS, between, figures, heading, spent, table, told};
use crate::html::verdict::{capitalised, mark};
use crate::html::{HtmlOptions, page};
use crate::{times, words};

/// One self-contained page; several dimensions begin with their table.
#[must_use]
pub fn html(dimensions: &[Record], options: &HtmlOptions) -> String {
    let title = options.title.clone().unwrap_or_else(|| match dimensions {
        [one] => heading(one),
        several => several
            .first()
            .map_or_else(|| "Margins".to_owned(), |first| first.title.clone()),
    });
    let body = markup! {
        @if dimensions.len() != 1 { (margins(&title, dimensions)) }
        @for (at, of) in dimensions.iter().enumerate() { (dimension(at, of)) }
    };
    page(&title, &body)
}

/// The margin table.
fn margins(title: &str, dimensions: &[Record]) -> Markup {
    let rows = table(dimensions);
    markup! {
        header.aggregate {
            p.eyebrow { span.brand { "Firedrill" } span { "margins of " (dimensions.len()) " dimensions" } }
            h1 { (title) }
            div.wide { table {
                thead { tr { @for column in COLUMNS { th { (capitalised(column)) } } } }
                tbody {
                    @for (at, (of, row)) in dimensions.iter().zip(&rows).enumerate() {
                        @let told = told(of);
                        tr {
                            td { a href=(format!("#margin-{}", at + 1)) { (row[0]) } }
                            td class=(format!("nowrap {}", told.tone().class())) {
                                span.inline-verdict { (mark(told.tone())) (capitalised(told.word)) }
                            }
                            @for cell in &row[2..] { td { (cell) } }
                        }
                    }
                }
            } }
        }
    }
}

fn dimension(at: usize, of: &Record) -> Markup {
    let told = told(of);
    let took = of.trials.last().map(|last| last.reverted);
    markup! {
        article id=(format!("margin-{}", at + 1)) {
            header class=(format!("verdict {}", told.tone().class())) {
                p.eyebrow {
                    span.brand { "Firedrill" }
                    span { (times::readable(&of.began)) }
                    @if let Some(took) = took { span { (words::seconds(took)) } }
                    span { (of.context.node) }
                }
                h1 { (heading(of)) }
                p.word { (mark(told.tone())) (capitalised(told.word)) }
                p.headline { (told.sentence) }
            }
            (key_figures(of))
            @if let Some(plot) = plot(of) {
                section { h2 { "Where it breaks" } (plot) }
            }
            @if !of.trials.is_empty() { (trials(of)) }
            (made(of))
        }
    }
}

fn key_figures(of: &Record) -> Markup {
    let Some(answer) = &of.answer else {
        return markup! {};
    };
    let unit = &of.context.unit;
    let normal = of.question.as_ref().and_then(|question| question.normal);
    let times = answer
        .headroom
        .as_ref()
        .and_then(|headroom| headroom.times_low);
    markup! {
        dl.figures {
            @if let Some(value) = answer.break_point.value {
                (figure("Breaks at", &unit.show(value), &between(&answer.break_point, unit)))
            }
            @if let Some(held) = answer.held {
                (figure("Borne", &unit.show(held), "the most that was tried and held"))
            }
            @if let Some(normal) = normal {
                @let sub = times.map(|times| format!("at least {times:.1} times as much is borne"));
                (figure("Normal today", &unit.show(normal.value), &sub.unwrap_or_default()))
            }
            (figure("Bad requests spent", &words::count(answer.bad_events), &spent(answer)))
        }
    }
}

fn figure(name: &str, value: &str, sub: &str) -> Markup {
    markup! { div { dt { (name) } dd.value { (value) } dd.sub { (sub) } } }
}

fn trials(of: &Record) -> Markup {
    markup! {
        section {
            h2 { "Trials" }
            div.wide { table {
                thead { tr {
                    th.n { "Trial" } th.n { (capitalised(&of.context.argument)) } th { "Answer" }
                    th.n { "Bad" } th.n { "Requests" } th.n { "In place" } th { "Achieved" }
                } }
                tbody { @for trial in &of.trials { (row(of, trial)) } }
            } }
        }
    }
}

fn row(of: &Record, trial: &TrialReport) -> Markup {
    use firedrill_judge::margin::Verdict;
    let record = &trial.trial;
    let class = match record.verdict {
        Verdict::Hold => "tag good",
        Verdict::Break => "tag bad",
        Verdict::NotYet => "tag doubt",
    };
    markup! {
        tr {
            td.n { (trial.number) }
            td.n { (of.context.unit.show(record.magnitude)) }
            td { span class=(class) { (word(trial)) } }
            td.n { (words::count(record.bad)) }
            td.n { (words::count(record.bad + record.good.unwrap_or(0))) }
            td.n { (words::seconds(trial.reverted - trial.applied)) }
            td.soft { @if let Some(achieved) = &trial.achieved { (achieved) } }
        }
    }
}

/// What it holds for, and how it can be repeated.
fn made(of: &Record) -> Markup {
    let mut facts: Vec<(String, String)> = figures(of)
        .into_iter()
        .map(|(name, value)| (capitalised(name), value))
        .collect();
    for (name, value) in [
        ("KPI", of.context.kpi.clone()),
        ("Seed", of.seed.to_string()),
        ("Firedrill", of.version.clone()),
        (
            "Page",
            format!("firedrill report {}", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        facts.push((name.to_owned(), value));
    }
    markup! {
        footer {
            h2 { "What it holds for, and how it was made" }
            dl.facts { @for (name, value) in &facts { div { dt { (name) } dd { (value) } } } }
        }
    }
}
