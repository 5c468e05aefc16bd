//! One self-contained page: no script, no network, light and dark, fit for print.

mod activities;
mod aggregate;
mod canary;
mod evidence;
mod made;
pub(crate) mod verdict;

use firedrill_experiment::journal::Journal;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use crate::chart;
use crate::summary::{Summary, summary};

const STYLE: &str = include_str!("html/style.css");

#[derive(Debug, Clone, Default)]
pub struct HtmlOptions {
    /// Of the page; a single drill's own title unless told.
    pub title: Option<String>,
}

/// Several journals are summed up first, then shown one after the other.
#[must_use]
pub fn html(journals: &[Journal], options: &HtmlOptions) -> String {
    let summaries: Vec<Summary> = journals.iter().map(summary).collect();
    let title = options
        .title
        .clone()
        .unwrap_or_else(|| match summaries.as_slice() {
            [one] => one.title.clone(),
            several => format!("{} drills", several.len()),
        });
    let body = markup! {
        @if journals.len() != 1 {
            (aggregate::aggregate(&title, journals, &summaries))
        }
        @for (i, (journal, summary)) in journals.iter().zip(&summaries).enumerate() {
            // A page's own title replaces a single drill's.
            @let name = if journals.len() == 1 { &title } else { &summary.title };
            (drill(i, name, journal, summary))
        }
    };
    page(&title, &body)
}

/// What every page of ours is around its body.
pub(crate) fn page(title: &str, body: &Markup) -> String {
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}

fn drill(index: usize, title: &str, journal: &Journal, summary: &Summary) -> Markup {
    let drill = journal.firedrill.as_ref();
    markup! {
        article id=(format!("drill-{}", index + 1)) {
            (verdict::verdict(title, journal, summary))
            @if let Some(drill) = drill {
                (evidence::figures(drill))
                (canary::canary(drill))
                (evidence::faults(drill))
            }
            section {
                h2 { "Over time" }
                div.wide { (chart::over_time(journal)) }
                (key(journal))
            }
            @if let Some(drill) = drill {
                (evidence::kpis(drill))
                (evidence::notes(drill))
            }
            (activities::hypothesis(journal))
            (activities::runs(journal))
            @if let Some(drill) = drill {
                (activities::undo(drill))
            }
            (made::made(journal))
        }
    }
}

/// What the marks in the figure mean, as far as they occur.
fn key(journal: &Journal) -> Markup {
    let drill = journal.firedrill.as_ref();
    let faults = drill.is_some_and(|d| !d.faults.is_empty());
    let recovery = drill.and_then(|d| d.recovery);
    markup! {
        @if faults || recovery.is_some() {
            p.legend {
                @if faults { span { i.swatch.shade {} "fault in place" } }
                @if recovery.is_some_and(|r| r.took.is_some()) { span { i.swatch.rule-well {} "well again" } }
                @if recovery.is_some() { span { i.swatch.rule-limit {} "recovery limit" } }
            }
        }
    }
}
