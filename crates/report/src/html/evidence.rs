//! What the verdict rests on: key figures, faults as requested and as achieved, KPIs by phase.

use firedrill_experiment::journal::{
    Drill, Effect, FaultRecord, KpiPhase, KpiRecord, LatencySummary, Outcome, Phase, PhaseRecord,
};
use maud::{Markup, html};

use crate::{chart, words};

pub(super) fn figures(drill: &Drill) -> Markup {
    let find = |phase| drill.phases.iter().find(|p| p.phase == phase);
    let kpi = |phase| find(phase).and_then(|p: &PhaseRecord| p.kpis.first());
    let during = kpi(Phase::Fault).or_else(|| kpi(Phase::Transition));
    let before = kpi(Phase::Baseline);
    let bad: u64 = drill
        .kpis
        .iter()
        .flat_map(|k| &k.series)
        .map(|p| p.bad)
        .fold(0, u64::saturating_add);
    html! {
        dl.figures {
            @if let Some(e) = during.and_then(|k| k.success_ratio) {
                (figure("Success ratio under fault", &words::percent(e.value),
                    &format!("at least {} at {}", words::percent_down(e.low), words::percent(e.confidence))))
            }
            @if let Some(l) = during.and_then(|k| k.latency) {
                @let was = before.and_then(|k| k.latency).map(|b| format!("{} before", words::millis(b.p99)));
                (figure("p99 under fault", &words::millis(l.p99), &was.unwrap_or_default()))
            }
            @if !drill.kpis.is_empty() {
                @let worst = drill.phases.iter().flat_map(|p| &p.kpis).filter_map(|k| k.worst_window).max_by_key(|w| w.bad);
                @let sub = worst.map(|w| format!("{} in the worst {}", words::count(w.bad), words::seconds(w.length)));
                (figure("Bad requests", &words::count(bad), &sub.unwrap_or_default()))
            }
            @if let Some(r) = drill.recovery {
                @let took = r.took.map_or_else(|| "never".to_owned(), words::seconds);
                (figure("Recovery", &took, &format!("limit {}", words::seconds(r.limit))))
            }
            @if let Some(effect) = drill.effect {
                @let sub = match effect {
                    Effect::Observed => "the fault was measured",
                    Effect::Unobserved => "no measurement of the fault",
                };
                (figure("Effect", words::effect(effect), sub))
            }
            @if !drill.expectation.is_empty() {
                (figure("Expected to", &drill.expectation, "while the fault lasts"))
            }
        }
    }
}

fn figure(name: &str, value: &str, sub: &str) -> Markup {
    html! { div { dt { (name) } dd.value { (value) } dd.sub { (sub) } } }
}

pub(super) fn faults(drill: &Drill) -> Markup {
    html! {
        @if !drill.faults.is_empty() {
            section {
                h2 { "Faults: requested and achieved" }
                div.wide { table {
                    thead { tr {
                        th { "Fault" } th { "Requested" } th { "Achieved" } th { "Effect" }
                        th.n { "Requests that met it" } th.n { "In place" } th { "Undo" } th { "Left behind" }
                    } }
                    tbody { @for fault in &drill.faults { (fault_row(fault)) } }
                } }
            }
        }
    }
}

fn fault_row(fault: &FaultRecord) -> Markup {
    let place = match fault.reverted {
        Some(reverted) => words::seconds(reverted - fault.applied),
        None => "not reverted".to_owned(),
    };
    html! {
        tr {
            td {
                strong { (fault.fault) }
                @for target in &fault.targets { div.soft { (target) } }
                div.soft { "by " (fault.mechanism) }
            }
            td { (fault.requested) }
            td {
                @match &fault.achieved {
                    Some(achieved) => (achieved),
                    None => span.soft { "not measured" },
                }
            }
            td { (effect_tag(fault.effect)) }
            td.n { (fault.exposure.map_or_else(|| "—".to_owned(), words::count)) }
            td.n {
                (place)
                div.soft { "in " (words::millis(fault.inject_ms)) }
                @if let Some(ms) = fault.revert_ms { div.soft { "out " (words::millis(ms)) } }
            }
            td { (words::undo_class(fault.undo_class)) div.soft { (words::undo_meaning(fault.undo_class)) } }
            td {
                @if fault.residue.is_empty() { span.soft { "nothing" } }
                @for residue in &fault.residue { div.bad-text { (residue) } }
            }
        }
    }
}

fn effect_tag(effect: Effect) -> Markup {
    let class = match effect {
        Effect::Observed => "tag good",
        Effect::Unobserved => "tag doubt",
    };
    html! { span class=(class) { (words::effect(effect)) } }
}

pub(super) fn kpis(drill: &Drill) -> Markup {
    html! { @for kpi in &drill.kpis { (kpi_section(drill, kpi)) } }
}

fn kpi_section(drill: &Drill, kpi: &KpiRecord) -> Markup {
    let rows: Vec<(&PhaseRecord, &KpiPhase)> = drill
        .phases
        .iter()
        .flat_map(|p| {
            p.kpis
                .iter()
                .filter(|k| k.kpi == kpi.name)
                .map(move |k| (p, k))
        })
        .collect();
    let lowest = rows
        .iter()
        .filter_map(|(_, k)| k.success_ratio)
        .map(|e| e.low)
        .fold(1.0, f64::min);
    let floor = [0.999, 0.99, 0.95, 0.9, 0.8, 0.5]
        .into_iter()
        .find(|f| *f <= lowest)
        .unwrap_or(0.0);
    let confidence = rows
        .iter()
        .find_map(|(_, k)| k.success_ratio)
        .map(|e| e.confidence);
    html! {
        section {
            h2 { "KPI " (kpi.name) ", by phase" }
            p.lead { (kpi.objective) }
            div.wide { table.kpi {
                thead { tr {
                    th { "Phase" } th { "Objective" } th.n { "Requests" } th.n { "Degraded" } th.n { "Bad" }
                    th.n { "Success ratio" }
                    th { span.scale { span { (words::percent(floor)) } span { "100 %" } } }
                    th.n { "p50" } th.n { "p90" } th.n { "p99" } th.n { "max" } th.n { "Worst window" }
                } }
                tbody { @for (phase, k) in &rows { (kpi_row(phase, k, floor)) } }
            } }
            @if let Some(c) = confidence {
                p.foot {
                    "Whiskers reach from the lower to the upper bound; each bound holds with " (words::percent(c)) " confidence."
                }
            }
            @let said = rows.iter().filter(|(_, k)| !k.findings.is_empty()).collect::<Vec<_>>();
            div.pair {
                @if let Some(chart) = chart::latency(kpi) {
                    div { h3 { "Latency distribution" } (chart) }
                }
                @if !said.is_empty() {
                    div {
                        h3 { "Findings" }
                        dl.findings {
                            @for (phase, k) in said {
                                dt { (words::phase(phase.phase)) }
                                @for finding in &k.findings { dd { (finding) } }
                            }
                        }
                    }
                }
            }
            p.foot {
                "Traffic: " (kpi.traffic) ", from " (kpi.source) ". "
                "The judge sees an event after " (words::millis(kpi.reaction_ms)) " at the latest. "
                @if kpi.late_share > 0.0 { (words::percent(kpi.late_share)) " of the requests were sent later than scheduled." }
                @else { "No request was sent later than scheduled." }
            }
        }
    }
}

fn kpi_row(phase: &PhaseRecord, k: &KpiPhase, floor: f64) -> Markup {
    html! {
        tr {
            td {
                i class=(format!("swatch {}", words::phase(phase.phase))) {}
                (words::phase(phase.phase)) " "
                span.soft { (words::seconds(phase.end - phase.start)) }
            }
            td { (outcome_tag(k.outcome)) }
            td.n { (words::count(k.requests)) }
            td.n { (words::count(k.degraded)) }
            td.n { (words::count(k.bad)) }
            @match &k.success_ratio {
                Some(e) => {
                    td.n { (words::percent(e.value)) div.soft { "≥ " (words::percent_down(e.low)) } }
                    td { (chart::interval(e, floor)) }
                }
                None => { td.n { "—" } td {} }
            }
            (latencies(k.latency.as_ref()))
            td.n {
                @match k.worst_window {
                    Some(w) => { (words::count(w.bad)) " of " (words::count(w.requests)) div.soft { "in " (words::seconds(w.length)) " at " (words::seconds(w.start)) } }
                    None => "—",
                }
            }
        }
    }
}

fn latencies(latency: Option<&LatencySummary>) -> Markup {
    let shown = latency.map(|l| [l.p50, l.p90, l.p99, l.max].map(words::millis));
    let cells = shown.unwrap_or_else(|| ["—"; 4].map(str::to_owned));
    html! { @for cell in cells { td.n { (cell) } } }
}

fn outcome_tag(outcome: Outcome) -> Markup {
    let class = match outcome {
        Outcome::Met => "tag good",
        Outcome::Missed => "tag bad",
        Outcome::Undecided => "tag doubt",
    };
    html! { span class=(class) { (words::outcome(outcome)) } }
}

pub(super) fn notes(drill: &Drill) -> Markup {
    html! {
        @if !drill.notes.is_empty() {
            section { h2 { "Notes" } ul { @for note in &drill.notes { li { (note) } } } }
        }
    }
}
