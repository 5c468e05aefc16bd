//! What is known of a canary, as records and as sentences.

use std::time::Duration;

use firedrill_experiment::call::KpiSource;
use firedrill_experiment::document::{CanaryAsk, CanaryKpi};
use firedrill_experiment::journal::{
    ArmsRecord, CanaryKpiRecord, CanaryRecord, CanaryStanding, Compared, DividedRecord,
    SourcesRecord,
};
use firedrill_judge::canary::{Canary, Judged, Standing};

use super::ask::{Arms, Asked};
use super::{EVERY, apart, sense};

/// Before anything was counted.
pub(super) fn blank(asked: &Asked) -> CanaryRecord {
    CanaryRecord {
        divided: match &asked.arms {
            Arms::Route(of) => DividedRecord::Split {
                proxy: format!("http://{}", of.api),
                route: of.route.clone(),
                share: of.share,
                by: of.by.clone(),
            },
            Arms::Apart(sources) => {
                let [control, experiment] = sources.each_ref().map(KpiSource::describe);
                DividedRecord::Apart {
                    sources: SourcesRecord {
                        control,
                        experiment,
                    },
                }
            }
        },
        behind: None,
        epoch: match &asked.arms {
            Arms::Route(of) => of.epoch.map(|epoch| epoch.as_secs_f64()),
            Arms::Apart(_) => None,
        },
        traffic: asked.traffic().into(),
        confidence: asked.confidence,
        baseline: ArmsRecord::default(),
        arms: ArmsRecord::default(),
        kpis: Vec::new(),
        lasted: 0.0,
        reaction_ms: (EVERY + reaction(&asked.arms)).as_secs_f64() * 1e3,
        series: Vec::new(),
    }
}

/// Until a request is among what is judged at the next look.
fn reaction(arms: &Arms) -> Duration {
    match arms {
        // What is told of users is told when their epoch is over.
        Arms::Route(of) => sense::PATIENCE + of.epoch.unwrap_or_default(),
        Arms::Apart(sources) => {
            let each = sources.iter().map(apart::reaction);
            each.max().unwrap_or_default()
        }
    }
}

pub(super) fn kpis(asked: &Asked, canary: &Canary) -> Vec<CanaryKpiRecord> {
    let judged = canary.judged();
    asked
        .kpis
        .iter()
        .zip(judged)
        .map(|(kpi, judged)| record(kpi, &judged))
        .collect()
}

fn record(kpi: &CanaryKpi, judged: &Judged) -> CanaryKpiRecord {
    let known = |end: f64| end.is_finite().then_some(end);
    let (measure, tolerance) = match kpi.asks {
        CanaryAsk::SuccessRatio { tolerance } => (Compared::SuccessRatio, tolerance),
        CanaryAsk::UserRatio { tolerance } => (Compared::UserRatio, tolerance),
        CanaryAsk::Latency {
            quantile,
            tolerance,
        } => (Compared::Latency(quantile), tolerance.as_secs_f64()),
    };
    CanaryKpiRecord {
        name: kpi.name.clone(),
        measure,
        tolerance,
        control: judged.control,
        experiment: judged.experiment,
        low: known(judged.difference.low()),
        high: known(judged.difference.high()),
        standing: match judged.standing {
            Standing::Harmed => CanaryStanding::Harmed,
            Standing::Harmless => CanaryStanding::Harmless,
            Standing::NotYet => CanaryStanding::NotYet,
        },
    }
}

/// The first proof of harm, if there is one.
pub(super) fn harm(
    asked: &Asked,
    canary: &Canary,
    record: &CanaryRecord,
    lasted: Duration,
) -> Option<String> {
    let harmed = record
        .kpis
        .iter()
        .find(|kpi| kpi.standing == CanaryStanding::Harmed);
    let after = after(canary);
    let stopped = format!("stopped at {:.1} s", lasted.as_secs_f64());
    if let Some(kpi) = harmed {
        let effect = effect(kpi, asked);
        return Some(format!("{effect} {after}; {stopped}"));
    }
    let [control, experiment] = canary.counted();
    let whose = match canary.is_of_users() {
        true => "users",
        false => "requests",
    };
    canary.answers_are_missing().then(|| {
        format!(
            "{whose} of the experiment get no answers: {experiment} did, and {control} of the control; {stopped}"
        )
    })
}

pub(super) fn harmless(
    asked: &Asked,
    canary: &Canary,
    record: &CanaryRecord,
    lasted: Duration,
) -> String {
    format!(
        "no KPI is worse by more than its tolerance: {} {}, in {:.1} s",
        all(asked, record),
        after(canary),
        lasted.as_secs_f64()
    )
}

pub(super) fn unclear(
    asked: &Asked,
    canary: &Canary,
    record: &CanaryRecord,
    lasted: Duration,
) -> String {
    format!(
        "neither harm nor its absence was proven in {:.1} s: {} {}",
        lasted.as_secs_f64(),
        all(asked, record),
        after(canary)
    )
}

fn all(asked: &Asked, record: &CanaryRecord) -> String {
    let each: Vec<String> = record.kpis.iter().map(|kpi| effect(kpi, asked)).collect();
    each.join(", ")
}

/// `success ratio of checkouts −0.021 (95 %: −0.034 to −0.009), at most 0.005 worse is allowed`.
fn effect(kpi: &CanaryKpiRecord, asked: &Asked) -> String {
    let whose = match kpi.measure {
        Compared::UserRatio => "in",
        Compared::SuccessRatio | Compared::Latency(_) => "of",
    };
    format!(
        "{} {whose} {} {}",
        kpi.measured(),
        kpi.name,
        kpi.effect(asked.confidence)
    )
}

/// `after 1,204 requests in the control arm and 1,187 in the experiment`; where users are asked
/// about, `after 120 users in the control arm and 118 in the experiment`.
fn after(canary: &Canary) -> String {
    let what = one(canary);
    let [control, experiment] = canary.counted().map(firedrill_judge::words::count);
    if control == experiment {
        return format!("after {control} {what}s per arm");
    }
    format!("after {control} {what}s in the control arm and {experiment} in the experiment")
}

/// One of what is counted.
pub(super) fn one(canary: &Canary) -> &'static str {
    match canary.is_of_users() {
        true => "user",
        false => "request",
    }
}
