//! What ran: hypothesis checks, activities, rollbacks, and how each action is undone.

use firedrill_experiment::journal::{Drill, Journal, Run, RunStatus, SteadyState};
use maud::{Markup, html};

use crate::{summary, times, words};

pub(super) fn hypothesis(journal: &Journal) -> Markup {
    let states = &journal.steady_states;
    let during = states
        .during
        .iter()
        .enumerate()
        .map(|(i, s)| (format!("during, {}", i + 1), s));
    let mut all: Vec<(String, &SteadyState)> = Vec::new();
    all.extend(states.before.iter().map(|s| ("before".to_owned(), s)));
    // A long watch repeats itself: the checks that failed are what matters.
    let many = states.during.len() > 12;
    all.extend(
        during
            .filter(|(_, s)| !many || s.steady_state_met != Some(true))
            .take(50),
    );
    all.extend(states.after.iter().map(|s| ("after".to_owned(), s)));
    let shown = all.iter().any(|(_, s)| !s.probes.is_empty());
    html! {
        @if shown {
            section {
                h2 { "Steady-state hypothesis" }
                @if let Some(title) = journal.experiment["steady-state-hypothesis"]["title"].as_str() {
                    p.lead { (title) }
                }
                div.wide { table.probes {
                    thead { tr { th { "When" } th { "Probe" } th { "Tolerance" } th { "Value" } th { "Met" } th.n { "Took" } } }
                    tbody {
                        @for (when, state) in &all {
                            @for probe in &state.probes { (probe_row(when, probe)) }
                        }
                    }
                } }
                @if many {
                    p.foot { (states.during.len()) " checks ran during the method; those that were met are left out." }
                }
            }
        }
    }
}

fn probe_row(when: &str, probe: &Run) -> Markup {
    let tolerance = probe.activity.get("tolerance").map(words::inline);
    html! {
        tr {
            td { (when) }
            td { (summary::name(probe)) div.soft { (words::shortened(&summary::provider(probe), 80)) } }
            td { code { (tolerance.map_or_else(|| "—".to_owned(), |t| words::shortened(&t, 120))) } }
            td { (output(probe)) (exception(probe)) }
            td {
                @match probe.tolerance_met {
                    Some(true) => span.tag.good { "met" },
                    Some(false) => span.tag.bad { "not met" },
                    None => span.tag.doubt { "unknown" },
                }
            }
            td.n { (probe.duration.map_or_else(|| "—".to_owned(), words::seconds)) }
        }
    }
}

pub(super) fn runs(journal: &Journal) -> Markup {
    html! {
        (table("Activities", journal, &journal.run))
        (table("Rollbacks", journal, &journal.rollbacks))
    }
}

fn table(title: &str, journal: &Journal, runs: &[Run]) -> Markup {
    html! {
        @if !runs.is_empty() {
            section {
                h2 { (title) }
                div.wide { table.runs {
                    thead { tr { th { "Activity" } th { "Status" } th.n { "At" } th.n { "Took" } th { "Output" } } }
                    tbody { @for run in runs { (row(journal, run)) } }
                } }
            }
        }
    }
}

fn row(journal: &Journal, run: &Run) -> Markup {
    let at = run
        .start
        .as_deref()
        .and_then(|t| times::seconds_between(&journal.start, t));
    let class = match run.status {
        Some(RunStatus::Succeeded) => "tag good",
        Some(RunStatus::Failed) => "tag bad",
        Some(RunStatus::Aborted) | None => "tag doubt",
    };
    html! {
        tr {
            td {
                (summary::name(run)) " " span.soft { (summary::kind(run)) }
                div.soft { (words::shortened(&summary::provider(run), 100)) }
            }
            td { span class=(class) { (words::run_status(run.status)) } }
            td.n { (at.map_or_else(|| "—".to_owned(), words::seconds)) }
            td.n { (run.duration.map_or_else(|| "—".to_owned(), words::seconds)) }
            td {
                (output(run))
                (exception(run))
            }
        }
    }
}

fn exception(run: &Run) -> Markup {
    html! {
        @if let Some(lines) = &run.exception {
            @let (text, dropped) = words::cut(lines.concat());
            details { summary { "exception" } pre { (text) } (cut_note(dropped)) }
        }
    }
}

/// Short outputs as they are, longer ones behind a fold.
fn output(run: &Run) -> Markup {
    let line = words::line(&run.output);
    html! {
        @match line {
            _ if run.output.is_null() => span.soft { "—" },
            Some(line) => code { (line) },
            None => {
                @let (text, dropped) = words::output(&run.output);
                details {
                    summary { code { (words::opening(&text)) } }
                    pre { (text) }
                    (cut_note(dropped))
                }
            }
        }
    }
}

fn cut_note(dropped: usize) -> Markup {
    html! {
        @if dropped > 0 { p.foot { "Cut here: " (words::count(dropped as u64)) " more bytes are in the journal." } }
    }
}

pub(super) fn undo(drill: &Drill) -> Markup {
    html! {
        @if !drill.actions.is_empty() {
            section {
                h2 { "How each action is undone" }
                div.wide { table {
                    thead { tr { th { "Action" } th { "Undo class" } th { "Meaning" } } }
                    tbody {
                        @for action in &drill.actions {
                            tr {
                                td { (action.activity) }
                                td { (words::undo_class(action.undo_class)) }
                                td.soft { (words::undo_meaning(action.undo_class)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}
