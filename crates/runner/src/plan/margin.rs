//! What a margin takes: traffic, time, and what may be spent before anybody sees it.

use firedrill_experiment::call::KpiSource;
use firedrill_experiment::document::{Experiment, Margin};
use firedrill_experiment::scope::Scope;
use firedrill_judge::margin::{Aim, End, Foreseen, Question, Scale, Target, Unanswered, foresee};
use serde::Serialize;

use crate::kpi::tells_after;
use crate::margin::ask::Asked;

/// How long a KPI is watched to be well after each trial, in seconds, at the least.
const WELL_FOR: f64 = crate::margin::WELL_FOR.as_secs_f64();

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedMargin {
    /// Its name, where it has one; else the argument that is varied.
    pub margin: String,
    pub kpi: String,
    /// Where the KPI's numbers come from, in words.
    pub source: String,
    pub traffic: String,
    /// Requests per second; absent where only the baseline will tell.
    pub rate: Option<f64>,
    /// The fewest requests of a trial that is borne, and of one that is not, all of them bad.
    pub requests_to_hold: u64,
    pub requests_to_break: u64,
    /// Seconds of a trial that is borne, until its source tells of it, with the wait after it.
    pub trial_seconds: Option<f64>,
    /// Bad requests that a trial may spend before the first that is of its fault alone is told, and
    /// those that may be spent between one and its being seen.
    pub before: Option<u64>,
    pub unseen: Option<u64>,
    /// Trials that are borne, and that are not, if each is as clear as can be: of a certificate,
    /// where it is proven; of a search, where the middle of the range breaks.
    pub trials: Option<(u32, u32)>,
    /// That many trials, in seconds and requests.
    pub seconds: Option<f64>,
    pub requests: Option<u64>,
    /// What is worth a look, and refuses nothing.
    pub warnings: Vec<String>,
}

/// Every dimension of the document; and why one would be refused, in `refusals`.
pub fn margins(
    experiment: &Experiment,
    scope: &Scope,
    seed: u64,
    refusals: &mut Vec<String>,
) -> Vec<PlannedMargin> {
    let most = experiment
        .blast_radius
        .and_then(|radius| radius.bad_events_max);
    let mut planned = Vec::new();
    for margin in &experiment.margins {
        let name = margin.name.clone();
        let name = name.unwrap_or_else(|| margin.argument.clone());
        match Asked::of(experiment, margin, most, scope, seed) {
            Ok(asked) => planned.push(plan(name, margin, &asked)),
            Err(reasons) => {
                let of_it = reasons
                    .into_iter()
                    .map(|why| format!("margin `{name}`: {why}"));
                refusals.extend(of_it);
            }
        }
    }
    planned
}

fn plan(margin: String, of: &Margin, asked: &Asked) -> PlannedMargin {
    let (question, kpi) = (&asked.question, &asked.kpi);
    let rate = kpi.source.rate();
    let to_hold = question.requests_to_hold();
    let tells = tells_after(&kpi.source).as_secs_f64();
    let trial_seconds = rate.map(|rate| {
        let watched = (to_hold as f64 / rate).max(of.dwell.0.as_secs_f64());
        // The fault in place and seen; then gone, and seen to be.
        watched + kpi.settles().as_secs_f64() + tells + WELL_FOR.max(tells)
    });
    // What a trial that breaks costs, though nobody is blind for as long as is allowed.
    let each = rate.map_or(0, |rate| (rate * tells).ceil() as u64);
    let foreseen = foreseen(question, each);
    let mut warnings = Vec::new();
    if let (KpiSource::Counters(_), None) = (&kpi.source, rate) {
        warnings.push(
            "how much traffic there is, only the baseline tells: the search is refused then if it is not enough, or more than the budget can hold; `rate` says it before".to_owned(),
        );
    }
    warnings.extend(foreseen.and_then(|foreseen| too_little(question, foreseen, each)));
    let trials = foreseen.map(|foreseen| (foreseen.held, foreseen.broke));
    let all = trials.map(|(held, broke)| f64::from(held + broke));
    let seconds = trial_seconds
        .zip(all)
        .map(|(each, all)| asked.baseline.as_secs_f64() + each * all);
    PlannedMargin {
        margin,
        kpi: kpi.name.clone(),
        source: kpi.source.describe(),
        traffic: kpi.source.traffic().to_owned(),
        rate,
        requests_to_hold: to_hold,
        requests_to_break: question.requests_to_break(),
        trial_seconds,
        before: rate.map(|rate| kpi.before(rate)),
        unseen: rate.map(|rate| kpi.unseen(rate)),
        trials,
        seconds,
        requests: seconds
            .zip(rate)
            .map(|(seconds, rate)| (seconds * rate).round() as u64),
        warnings,
    }
}

/// Nothing where the target is a multiple of what is measured first.
fn foreseen(question: &Question, each: u64) -> Option<Foreseen> {
    let breaks_at = match question.aim {
        Aim::Certify {
            target: Target::Times(_),
            ..
        } if question.normal.is_none() => return None,
        Aim::Certify { .. } => None,
        Aim::Search { .. } => Some(match question.scale {
            Scale::Linear => f64::midpoint(question.lowest, question.largest),
            Scale::Log => (question.lowest * question.largest).sqrt(),
        }),
    };
    foresee(question, breaks_at, each).ok()
}

fn too_little(question: &Question, foreseen: Foreseen, each: u64) -> Option<String> {
    let budget = &question.budget;
    match foreseen.end {
        End::NotAnswered(Unanswered::BadEventsSpent) => Some(format!(
            "a trial that breaks may cost {} bad requests, {each} of them before its source tells, so a budget of {} is spent after {} of them; a larger one, or a shorter `interval`, goes on",
            question.requests_to_break() + each,
            budget.bad_events_max,
            foreseen.broke,
        )),
        End::NotAnswered(Unanswered::TrialsSpent) => Some(format!(
            "its {} trials are made before there is an answer; allow more, or a wider `resolution`",
            budget.trials_max
        )),
        _ => None,
    }
}
