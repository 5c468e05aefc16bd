//! A drill's result in a terminal: the verdict, the numbers it rests on, what was undone.

use std::fmt::Write as _;

use anstyle::Style;
use firedrill_experiment::journal::{
    CanaryRecord, CanaryStanding, Drill, Effect, FaultRecord, Journal, KpiPhase, Outcome, Phase,
    Verdict,
};

use crate::output::{BAD, BOLD, CAUTION, DIM, GOOD};

/// The word in capitals, as everything that shows a verdict writes it.
pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "HELD",
        Verdict::Broken => "BROKEN",
        Verdict::NotRecovered => "NOT RECOVERED",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::UnhealthyBefore => "UNHEALTHY BEFORE",
        Verdict::Refused => "REFUSED",
        Verdict::Halted => "HALTED",
        Verdict::Failed => "FAILED",
    }
}

pub(crate) fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Held => GOOD,
        Verdict::Broken | Verdict::NotRecovered | Verdict::Failed => BAD,
        Verdict::Inconclusive | Verdict::UnhealthyBefore | Verdict::Refused | Verdict::Halted => {
            CAUTION
        }
    }
}

/// `HELD, effect observed`.
pub(crate) fn headline(drill: &Drill) -> String {
    let (verdict, style) = (word(drill.verdict), style(drill.verdict));
    let effect = match drill.effect {
        Some(Effect::Observed) => ", effect observed",
        Some(Effect::Unobserved) => ", effect unobserved",
        None => "",
    };
    format!("{style}{verdict}{style:#}{effect}")
}

/// Everything worth a look after a drill, a few lines to a screen.
pub(crate) fn describe(journal: &Journal) -> String {
    let mut text = String::new();
    let title = journal
        .experiment
        .get("title")
        .and_then(|title| title.as_str())
        .unwrap_or("untitled");
    let Some(drill) = &journal.firedrill else {
        return format!("{title}: {:?}\n", journal.status);
    };
    let _ = writeln!(
        text,
        "{}  {BOLD}{title}{BOLD:#} {DIM}({:.1} s){DIM:#}",
        headline(drill),
        journal.duration
    );
    for reason in shown_reasons(drill) {
        let _ = writeln!(text, "  {reason}");
    }
    phases(&mut text, drill);
    if let Some(canary) = &drill.canary {
        arms(&mut text, canary);
    }
    for fault in &drill.faults {
        fault_lines(&mut text, fault);
    }
    if let Some(recovery) = &drill.recovery {
        let _ = match recovery.took {
            Some(took) => writeln!(
                text,
                "  recovery    {took:.1} s after the fault's end (limit {:.1} s)",
                recovery.limit
            ),
            None => writeln!(
                text,
                "  recovery    {BAD}not{BAD:#} within {:.1} s",
                recovery.limit
            ),
        };
    }
    for note in &drill.notes {
        let _ = writeln!(text, "  {DIM}note: {note}{DIM:#}");
    }
    text
}

/// The faults alone, or why there were none.
pub(crate) fn faults(drill: &Drill) -> String {
    let mut text = String::new();
    drill
        .faults
        .iter()
        .for_each(|fault| fault_lines(&mut text, fault));
    if matches!(
        drill.verdict,
        Verdict::Refused | Verdict::Failed | Verdict::Halted
    ) {
        let _ = writeln!(text, "{}", headline(drill));
        for reason in &drill.reasons {
            let _ = writeln!(text, "  {reason}");
        }
    }
    text
}

/// A held drill's numbers are in the table below; only its headline is a sentence.
fn shown_reasons(drill: &Drill) -> impl Iterator<Item = &String> {
    let count = if drill.verdict == Verdict::Held { 1 } else { 4 };
    drill.reasons.iter().take(count)
}

/// What both arms got, and the effect of each KPI.
fn arms(text: &mut String, canary: &CanaryRecord) {
    let rows = [("before", &canary.baseline), ("with fault", &canary.arms)];
    for (when, arms) in rows {
        let _ = writeln!(
            text,
            "  {when:<11} control {} requests, {} bad; experiment {} requests, {} bad",
            arms.control.requests(),
            arms.control.bad,
            arms.experiment.requests(),
            arms.experiment.bad
        );
        if let (Some(control), Some(experiment)) = (arms.control.users, arms.experiment.users) {
            let _ = writeln!(
                text,
                "  {:<11} control {} users, {} met a bad answer; experiment {} users, {} did",
                "",
                control.all(),
                control.bad,
                experiment.all(),
                experiment.bad
            );
        }
    }
    if let Some(behind) = &canary.behind {
        let _ = writeln!(
            text,
            "  behind      route {}: control {} requests, experiment {}, no arm {}",
            behind.route, behind.control, behind.experiment, behind.none
        );
    }
    for kpi in &canary.kpis {
        let standing = match kpi.standing {
            CanaryStanding::Harmed => "harm is proven",
            CanaryStanding::Harmless => "no more than allowed",
            CanaryStanding::NotYet => "not clear",
        };
        let _ = writeln!(
            text,
            "  {:<11} {} {}, {} worse is allowed: {standing}",
            kpi.name,
            kpi.measured(),
            kpi.effect(canary.confidence),
            kpi.show(kpi.tolerance)
        );
    }
}

fn phases(text: &mut String, drill: &Drill) {
    if drill.kpis.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "  {DIM}{:<11} {:>6} {:>8} {:>8}  {:<26} {:>8} {:>8}  judged{DIM:#}",
        "phase", "time", "requests", "bad", "success (confidence)", "p50", "p99"
    );
    for record in &drill.phases {
        for kpi in &record.kpis {
            let _ = writeln!(
                text,
                "{}",
                phase_line(record.phase, record.end - record.start, kpi)
            );
        }
    }
}

fn phase_line(phase: Phase, seconds: f64, kpi: &KpiPhase) -> String {
    let success = kpi.success_ratio.map_or_else(String::new, |estimate| {
        format!(
            "{:.2} % ({:.2}–{:.2} at {:.0} %)",
            estimate.value * 100.0,
            estimate.low * 100.0,
            estimate.high * 100.0,
            estimate.confidence * 100.0
        )
    });
    let latency = |pick: fn(&firedrill_experiment::journal::LatencySummary) -> f64| {
        kpi.latency
            .as_ref()
            .map_or_else(String::new, |latency| millis(pick(latency)))
    };
    let (judged, style) = match kpi.outcome {
        Outcome::Met => ("met", GOOD),
        Outcome::Missed => ("missed", BAD),
        Outcome::Undecided => ("cannot tell", CAUTION),
    };
    let degraded = if kpi.degraded > 0 {
        format!(", {} degraded", kpi.degraded)
    } else {
        String::new()
    };
    format!(
        "  {:<11} {:>5.1}s {:>8} {:>8}  {:<26} {:>8} {:>8}  {style}{judged}{style:#}{degraded}",
        phase_name(phase),
        seconds,
        kpi.requests,
        kpi.bad,
        success,
        latency(|latency| latency.p50),
        latency(|latency| latency.p99),
    )
}

fn fault_lines(text: &mut String, fault: &FaultRecord) {
    let _ = writeln!(
        text,
        "  fault       {} → {}",
        fault.fault,
        fault.targets.join(", ")
    );
    let achieved = fault.achieved.as_deref().unwrap_or("nothing measured");
    let _ = write!(text, "  {DIM}achieved    {achieved}");
    if let Some(exposure) = fault.exposure {
        let _ = write!(text, "; {exposure} requests met the target");
    }
    let _ = writeln!(text, "{DIM:#}");
    if fault.reverted.is_some() {
        let reverted = fault.revert_ms.map_or_else(|| "?".into(), millis);
        let residue = if fault.residue.is_empty() {
            "none".into()
        } else {
            fault.residue.join("; ")
        };
        let _ = writeln!(
            text,
            "  {DIM}undo        {}: in place after {}, undone in {reverted}, residue: {residue}{DIM:#}",
            fault.mechanism,
            millis(fault.inject_ms)
        );
    }
}

pub(crate) fn millis(value: f64) -> String {
    if value >= 1000.0 {
        format!("{:.2} s", value / 1e3)
    } else if value >= 10.0 {
        format!("{value:.0} ms")
    } else {
        format!("{value:.1} ms")
    }
}

pub(crate) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Baseline => "baseline",
        Phase::Transition => "transition",
        Phase::Fault => "fault",
        Phase::Recovery => "recovery",
    }
}
