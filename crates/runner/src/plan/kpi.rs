//! What each phase asks of a KPI, and whether there is traffic and time enough for an answer.

use firedrill_engine::asked::expected;
use firedrill_experiment::call::{self, KpiSource};
use firedrill_experiment::document::{Expected, Experiment, GuardedStream, Kpi};
use firedrill_experiment::journal::Phase;
use firedrill_experiment::scope::Scope;
use firedrill_judge::{Objective, requests_needed_for};
use serde::Serialize;

use crate::kpi::tells_after;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedKpi {
    pub kpi: String,
    /// Where its numbers come from, in words.
    pub source: String,
    /// Requests per second; absent where only the baseline will tell.
    pub rate: Option<f64>,
    /// Of these, what is sent by the drill itself.
    #[serde(skip)]
    pub(super) sends: Option<f64>,
    /// Seconds until an event is seen at the latest; absent of a load, whose windows say.
    pub reaction_seconds: Option<f64>,
    /// The most that a phase needs; absent where none would do.
    pub requests_needed: Option<u64>,
    pub phases: Vec<PlannedPhase>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedPhase {
    pub phase: Phase,
    /// What it has, as far as the document tells; in a recovery, at most.
    pub seconds: Option<f64>,
    /// What that comes to at the rate.
    pub requests: Option<u64>,
    /// The fewest, all of them good, with which its answer can be had; absent where none would do.
    pub requests_needed: Option<u64>,
    /// The time that these take at the rate, and the source to tell of them.
    pub seconds_needed: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedGuardrail {
    pub guardrail: String,
    pub source: String,
    pub reaction_seconds: Option<f64>,
    /// Of one that is broken from now on, the fewest requests that prove it.
    pub bad_requests_to_stop: Option<u64>,
}

pub(super) fn planned(
    kpi: &Kpi,
    experiment: &Experiment,
    scope: &Scope,
    disturbed: Option<f64>,
    refusals: &mut Vec<String>,
) -> Option<PlannedKpi> {
    let source = match call::resolve_kpi(&kpi.provider, scope) {
        Ok(source) => source,
        Err(error) => {
            refusals.push(format!("KPI `{}`: {error}", kpi.name));
            return None;
        }
    };
    let settled =
        disturbed.map(|time| (time - experiment.expect.transition.as_secs_f64()).max(0.0));
    let baseline = experiment.baseline.as_secs_f64();
    let transition = experiment.expect.transition;
    let times = [
        (Phase::Baseline, Some(baseline)),
        (
            Phase::Transition,
            (!transition.is_zero()).then_some(transition.as_secs_f64()),
        ),
        (Phase::Fault, settled),
        (
            Phase::Recovery,
            experiment
                .recovery
                .map(|recovery| recovery.within.as_secs_f64()),
        ),
    ];
    let phases: Vec<PlannedPhase> = times
        .into_iter()
        .map(|(phase, seconds)| of_phase(kpi, experiment, &source, phase, seconds))
        .collect();
    refusals.extend(phases.iter().filter_map(|phase| {
        let why = refusal(experiment, &source, phase)?;
        Some(format!("KPI `{}` cannot answer: {why}", kpi.name))
    }));
    let judged = phases.iter().filter(|phase| is_judged(phase));
    let needed: Option<Vec<u64>> = judged.map(|phase| phase.requests_needed).collect();
    Some(PlannedKpi {
        kpi: kpi.name.clone(),
        source: source.describe(),
        rate: source.rate(),
        sends: source
            .rate()
            .filter(|_| matches!(source, KpiSource::Load(_))),
        reaction_seconds: source.reaction().map(|time| time.as_secs_f64()),
        requests_needed: needed.and_then(|needed| needed.into_iter().max()),
        phases,
    })
}

/// Whether confidence is asked for in this phase. A transition and a recovery are counted.
fn is_judged(phase: &PlannedPhase) -> bool {
    matches!(phase.phase, Phase::Baseline | Phase::Fault)
}

fn of_phase(
    kpi: &Kpi,
    experiment: &Experiment,
    source: &KpiSource,
    phase: Phase,
    seconds: Option<f64>,
) -> PlannedPhase {
    let asked = match phase {
        // How long it lasts is its answer, not given.
        Phase::Recovery => Objective::default(),
        _ => expected(kpi, &experiment.expect, phase).0,
    };
    let needed = requests_needed_for(&asked, kpi.confidence);
    let rate = source.rate();
    PlannedPhase {
        phase,
        seconds,
        requests: rate
            .zip(seconds)
            .map(|(rate, seconds)| (rate * seconds).round() as u64),
        requests_needed: needed,
        seconds_needed: rate
            .zip(needed)
            .map(|(rate, needed)| (needed as f64 / rate).max(tells_after(source).as_secs_f64())),
    }
}

/// Why the phase would end without an answer, and what to change.
fn refusal(experiment: &Experiment, source: &KpiSource, phase: &PlannedPhase) -> Option<String> {
    let name = match phase.phase {
        Phase::Baseline => "baseline",
        Phase::Transition => return None,
        Phase::Fault => "fault",
        Phase::Recovery => "recovery",
    };
    let seconds = phase.seconds?;
    let shortest = tells_after(source).as_secs_f64();
    if seconds < shortest {
        return Some(format!(
            "its {name} phase lasts {seconds:.1} s, and counters that are read every so often tell of {shortest:.1} s and more; make the phase longer, or `interval` and `scrape` shorter"
        ));
    }
    if !is_judged(phase) {
        return None;
    }
    let Some(needed) = phase.requests_needed else {
        let instead = match experiment.expect.during {
            Expected::Stop { .. } if phase.phase == Phase::Fault => {
                "let `success-ratio-max` be more than 0: 0.01 takes about 300 requests"
            }
            _ => "ask for less than all, or for a count: `bad-events-max: 0`",
        };
        return Some(format!(
            "no amount of traffic proves what its {name} phase asks; {instead}"
        ));
    };
    let (rate, requests) = source.rate().map(|rate| (rate, rate * seconds))?;
    (requests < needed as f64).then(|| {
        format!(
            "its {name} phase sees about {requests:.0} requests, and {needed} clean ones are needed at the least; make it {:.1} s longer, or have more than {rate}/s",
            (needed as f64 - requests) / rate,
        )
    })
}

/// What will be watched, and how soon it stops the drill.
pub(super) fn guardrails(
    experiment: &Experiment,
    scope: &Scope,
    refusals: &mut Vec<String>,
) -> Vec<PlannedGuardrail> {
    let mut planned = Vec::new();
    for guardrail in &experiment.kpi_guardrails {
        let provider = match &guardrail.watched {
            GuardedStream::Own(provider) => provider,
            GuardedStream::Kpi(kpi) => match experiment.kpis.get(*kpi) {
                Some(kpi) => &kpi.provider,
                None => continue,
            },
        };
        match call::resolve_kpi(provider, scope) {
            Ok(source) => planned.push(PlannedGuardrail {
                guardrail: guardrail.name.clone(),
                source: source.describe(),
                reaction_seconds: source.reaction().map(|time| time.as_secs_f64()),
                bad_requests_to_stop: firedrill_engine::KpiGuard::bad_to_stop(guardrail),
            }),
            Err(error) => {
                refusals.push(format!("guardrail `{}`: {error}", guardrail.name));
            }
        }
    }
    planned
}
