//! For a pull request, a ticket or a chat.

use std::fmt::Write;

use firedrill_experiment::journal::{Drill, Journal, KpiPhase, PhaseRecord, Run};

use crate::summary::{self, Summary};
use crate::{times, words};

/// GitHub's Markdown. Several journals start with a table of all of them.
#[must_use]
pub fn markdown(journals: &[Journal]) -> String {
    let summaries: Vec<Summary> = journals.iter().map(summary::summary).collect();
    let mut out = String::new();
    if journals.len() != 1 {
        let _ = writeln!(out, "# {} drills\n", journals.len());
        if !journals.is_empty() {
            aggregate(&mut out, journals, &summaries);
        }
    }
    for (journal, summary) in journals.iter().zip(&summaries) {
        one(&mut out, journal, summary);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn aggregate(out: &mut String, journals: &[Journal], summaries: &[Summary]) {
    let rows = journals.iter().zip(summaries).map(|(journal, s)| {
        let took = words::seconds(journal.duration);
        [
            format!("**{}**", cell(&s.verdict)),
            cell(&s.title),
            cell(&s.headline),
            took,
        ]
    });
    table(out, &["Verdict", "Drill", "Why", "Took"], rows);
}

fn one(out: &mut String, journal: &Journal, summary: &Summary) {
    let _ = writeln!(out, "# {}\n", cell(&summary.title));
    let _ = writeln!(
        out,
        "**{}** — {}\n",
        cell(&summary.verdict),
        cell(&summary.headline)
    );
    for reason in &summary.reasons {
        let _ = writeln!(out, "- {}", cell(reason));
    }
    if !summary.reasons.is_empty() {
        out.push('\n');
    }
    if let Some(drill) = &journal.firedrill {
        evidence(out, drill);
    }
    hypothesis(out, journal);
    runs(out, "Activities", journal, &journal.run);
    runs(out, "Rollbacks", journal, &journal.rollbacks);
    made(out, journal);
}

fn evidence(out: &mut String, drill: &Drill) {
    recovery(out, drill);
    faults(out, drill);
    kpis(out, drill);
    notes(out, drill);
}

fn recovery(out: &mut String, drill: &Drill) {
    let Some(recovery) = drill.recovery else {
        return;
    };
    let took = recovery
        .took
        .map_or_else(|| "never".to_owned(), words::seconds);
    let _ = writeln!(
        out,
        "Recovery: {took}, limit {}.\n",
        words::seconds(recovery.limit)
    );
}

fn faults(out: &mut String, drill: &Drill) {
    if drill.faults.is_empty() {
        return;
    }
    out.push_str("## Faults: requested and achieved\n\n");
    let rows = drill.faults.iter().map(|f| {
        [
            cell(&f.fault),
            cell(&f.targets.join(", ")),
            cell(&f.requested),
            cell(f.achieved.as_deref().unwrap_or("not measured")),
            words::effect(f.effect).to_owned(),
            f.exposure.map_or_else(|| "—".to_owned(), words::count),
            words::undo_class(f.undo_class).to_owned(),
            if f.residue.is_empty() {
                "nothing".to_owned()
            } else {
                cell(&f.residue.join("; "))
            },
        ]
    });
    let head = [
        "Fault",
        "Targets",
        "Requested",
        "Achieved",
        "Effect",
        "Requests that met it",
        "Undo",
        "Left behind",
    ];
    table(out, &head, rows);
}

fn kpis(out: &mut String, drill: &Drill) {
    for kpi in &drill.kpis {
        let _ = writeln!(
            out,
            "## KPI {}, by phase\n\n{}\n",
            cell(&kpi.name),
            cell(&kpi.objective)
        );
        let head = [
            "Phase",
            "Objective",
            "Requests",
            "Degraded",
            "Bad",
            "Success ratio",
            "p50",
            "p99",
            "Worst window",
        ];
        let rows = drill.phases.iter().flat_map(|p| {
            p.kpis
                .iter()
                .filter(|k| k.kpi == kpi.name)
                .map(move |k| kpi_row(p, k))
        });
        table(out, &head, rows);
    }
}

fn notes(out: &mut String, drill: &Drill) {
    if drill.notes.is_empty() {
        return;
    }
    out.push_str("## Notes\n\n");
    for note in &drill.notes {
        let _ = writeln!(out, "- {}", cell(note));
    }
    out.push('\n');
}

fn kpi_row(phase: &PhaseRecord, k: &KpiPhase) -> [String; 9] {
    let dash = || "—".to_owned();
    let ratio = k.success_ratio.map(|e| {
        let (value, low) = (words::percent(e.value), words::percent_down(e.low));
        format!("{value} (≥ {low} at {})", words::percent(e.confidence))
    });
    let worst = k.worst_window.map(|w| {
        let (bad, requests) = (words::count(w.bad), words::count(w.requests));
        format!("{bad} of {requests} in {}", words::seconds(w.length))
    });
    [
        words::phase(phase.phase).to_owned(),
        words::outcome(k.outcome).to_owned(),
        words::count(k.requests),
        words::count(k.degraded),
        words::count(k.bad),
        ratio.unwrap_or_else(dash),
        k.latency.map_or_else(dash, |l| words::millis(l.p50)),
        k.latency.map_or_else(dash, |l| words::millis(l.p99)),
        worst.unwrap_or_else(dash),
    ]
}

fn hypothesis(out: &mut String, journal: &Journal) {
    let states = &journal.steady_states;
    let before = states.before.iter().map(|s| ("before", s));
    let after = states.after.iter().map(|s| ("after", s));
    let during = states.during.iter().map(|s| ("during", s));
    let all: Vec<_> = before.chain(during).chain(after).collect();
    if all.iter().all(|(_, s)| s.probes.is_empty()) {
        return;
    }
    out.push_str("## Steady-state hypothesis\n\n");
    let rows = all.iter().flat_map(|(when, s)| {
        s.probes.iter().map(|probe| {
            let tolerance = probe.activity.get("tolerance").map(words::inline);
            let met = match probe.tolerance_met {
                Some(true) => "met",
                Some(false) => "**not met**",
                None => "unknown",
            };
            let tolerance = tolerance.map_or_else(|| "—".to_owned(), |t| code(&t));
            [
                (*when).to_owned(),
                cell(summary::name(probe)),
                tolerance,
                met.to_owned(),
            ]
        })
    });
    table(out, &["When", "Probe", "Tolerance", "Met"], rows);
}

fn runs(out: &mut String, title: &str, journal: &Journal, runs: &[Run]) {
    if runs.is_empty() {
        return;
    }
    let _ = writeln!(out, "## {title}\n");
    let rows = runs.iter().map(|run| {
        let at = run
            .start
            .as_deref()
            .and_then(|t| times::seconds_between(&journal.start, t));
        [
            cell(summary::name(run)),
            words::run_status(run.status).to_owned(),
            at.map_or_else(|| "—".to_owned(), words::seconds),
            run.duration.map_or_else(|| "—".to_owned(), words::seconds),
        ]
    });
    table(out, &["Activity", "Status", "At", "Took"], rows);
}

fn made(out: &mut String, journal: &Journal) {
    let started = times::readable(&journal.start);
    let status = words::status(journal.status);
    let deviated = if journal.deviated {
        "deviated"
    } else {
        "not deviated"
    };
    let _ = write!(
        out,
        "Started {}, took {}, {status}, {deviated}.",
        cell(&started),
        words::seconds(journal.duration)
    );
    if let Some(drill) = &journal.firedrill {
        let (version, seed) = (cell(&drill.version), drill.seed);
        let _ = write!(
            out,
            " Firedrill {version}, seed {seed}, plan {}.",
            code(&drill.digest)
        );
    }
    out.push_str("\n\n");
}

fn table<const N: usize>(
    out: &mut String,
    head: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let _ = writeln!(out, "| {} |", head.join(" | "));
    let _ = writeln!(out, "|{}", " --- |".repeat(N));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
}

/// Text that stays text: on one line, without markup of its own.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in words::shortened(text, 500).chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

fn code(text: &str) -> String {
    let plain: String = words::shortened(text, 120)
        .chars()
        .map(|c| if c == '`' || c.is_control() { ' ' } else { c })
        .collect();
    format!("`{}`", plain.replace('|', "\\|"))
}
