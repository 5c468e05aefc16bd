//! The answer, first and large.

use firedrill_experiment::journal::Journal;
use maud::{Markup, html};

use crate::summary::{Summary, Tone};
use crate::{times, words};

pub(super) fn verdict(title: &str, journal: &Journal, summary: &Summary) -> Markup {
    html! {
        header class=(format!("verdict {}", summary.tone.class())) {
            p.eyebrow {
                span.brand { "Firedrill" }
                @if !journal.start.is_empty() { span { (times::readable(&journal.start)) } }
                span { (words::seconds(journal.duration)) }
                @if !journal.node.is_empty() { span { (journal.node) } }
            }
            h1 { (title) }
            p.word { (mark(summary.tone)) (capitalised(&summary.verdict)) }
            p.headline { (summary.headline) }
            @if !summary.reasons.is_empty() {
                ul.reasons { @for reason in &summary.reasons { li { (reason) } } }
            }
        }
    }
}

/// A sign beside the colour, for those who do not see it.
pub(crate) fn mark(tone: Tone) -> Markup {
    let path = match tone {
        Tone::Good => "M5 12.5 10 17.5 19 7",
        Tone::Bad => "M6.5 6.5 17.5 17.5M17.5 6.5 6.5 17.5",
        Tone::Doubt => "M8.5 9a3.5 3.5 0 1 1 5.2 3.1c-1.2.7-1.7 1.3-1.7 2.6M12 18.2v.2",
        Tone::Idle => "M6 12h12",
        Tone::Plain => "M7 9.5h10M7 14.5h6",
    };
    html! {
        svg.mark viewBox="0 0 24 24" aria-hidden="true" {
            circle cx="12" cy="12" r="12" {}
            path d=(path) {}
        }
    }
}

pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
