//! Several drills at a glance.

use std::collections::BTreeMap;

use firedrill_experiment::journal::Journal;
use maud::{Markup, html};

use super::verdict::{capitalised, mark};
use crate::summary::{Summary, Tone};
use crate::{times, words};

pub(super) fn aggregate(title: &str, journals: &[Journal], summaries: &[Summary]) -> Markup {
    let mut counts: BTreeMap<(u8, &str), (Tone, usize)> = BTreeMap::new();
    for s in summaries {
        counts
            .entry((s.tone as u8, &s.verdict))
            .or_insert((s.tone, 0))
            .1 += 1;
    }
    html! {
        header.aggregate {
            p.eyebrow { span.brand { "Firedrill" } span { "report of " (journals.len()) " drills" } }
            h1 { (title) }
            div.bar aria-hidden="true" {
                @for (tone, n) in counts.values() {
                    span class=(tone.class()) style=(format!("flex-grow:{n}")) {}
                }
            }
            ul.tally {
                @for ((_, verdict), (tone, n)) in &counts {
                    li class=(tone.class()) { strong { (n) } " " (verdict) }
                }
            }
            @if journals.is_empty() { p.lead { "No journal was given." } }
            @else { (table(journals, summaries)) }
        }
    }
}

fn table(journals: &[Journal], summaries: &[Summary]) -> Markup {
    html! {
        div.wide { table {
            thead { tr { th { "Verdict" } th { "Drill" } th { "Why" } th.n { "Recovery" } th.n { "Took" } th { "Started" } } }
            tbody {
                @for (i, (journal, s)) in journals.iter().zip(summaries).enumerate() {
                    @let recovery = journal.firedrill.as_ref().and_then(|d| d.recovery);
                    tr {
                        td class=(format!("nowrap {}", s.tone.class())) { span.inline-verdict { (mark(s.tone)) (capitalised(&s.verdict)) } }
                        td { a href=(format!("#drill-{}", i + 1)) { (s.title) } }
                        td.soft { (s.headline) }
                        td.n {
                            @match recovery {
                                Some(r) => {
                                    (r.took.map_or_else(|| "never".to_owned(), words::seconds))
                                    div.soft { "of " (words::seconds(r.limit)) }
                                }
                                None => "—",
                            }
                        }
                        td.n { (words::seconds(journal.duration)) }
                        td.soft.nowrap { (times::readable(&journal.start)) }
                    }
                }
            }
        } }
    }
}
