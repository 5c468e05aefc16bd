//! How the drill and this page came about, so that both can be repeated.

use firedrill_experiment::journal::Journal;
use maud::{Markup, html};

use crate::{times, words};

pub(super) fn made(journal: &Journal) -> Markup {
    let mut facts: Vec<(&str, String)> = Vec::new();
    if let Some(drill) = &journal.firedrill {
        facts.push(("Firedrill", drill.version.clone()));
        facts.push(("Drill", drill.id.clone()));
        facts.push(("Seed", drill.seed.to_string()));
        facts.push(("Plan digest", drill.digest.clone()));
    }
    facts.push((
        "Journal format",
        format!("chaostoolkit-lib {}", journal.chaoslib_version),
    ));
    facts.push(("Status", words::status(journal.status).to_owned()));
    facts.push((
        "Deviated",
        if journal.deviated { "yes" } else { "no" }.to_owned(),
    ));
    facts.push(("Started", times::readable(&journal.start)));
    facts.push(("Ended", times::readable(&journal.end)));
    facts.push(("Host", journal.node.clone()));
    facts.push(("Platform", journal.platform.clone()));
    facts.push((
        "Page",
        format!("firedrill report {}", env!("CARGO_PKG_VERSION")),
    ));
    html! {
        footer {
            h2 { "How this was made" }
            dl.facts {
                @for (name, value) in facts.iter().filter(|(_, value)| !value.trim().is_empty()) {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}
