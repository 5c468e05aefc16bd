//! The question, as the judge takes it, from a document and what fills it in.

use std::time::Duration;

use firedrill_experiment::call::FaultCall;
use firedrill_experiment::document::{
    Experiment, Margin, MarginAim, MarginScale, MarginTarget, NormalFrom, NormalIs as Is,
};
use firedrill_experiment::scope::Scope;
use firedrill_experiment::units::Unit;
use firedrill_judge::margin::{
    Aim as Of, Budget, Dwell, Margin as Search, Normal, NormalIs, Question, Scale, Target,
};
use firedrill_undo::{Primitive, RouteChange};

use super::arm;
use super::facts::{Fact, facts};
use super::source::Watched;
use crate::aim::{Aim, change_of_route, named_fault};

/// How long the system may take to be well again, unless the document says.
const RECOVERY_DEFAULT: Duration = Duration::from_secs(30);
/// Beyond the longest dwell, so that a trial ends because of what was seen.
const BEYOND_DWELL: Duration = Duration::from_secs(5);

/// A margin that can be searched.
#[derive(Debug, Clone)]
pub struct Asked {
    pub question: Question,
    /// What is normal is measured: this quantile of the KPI's latency.
    pub normal_latency: Option<(f64, NormalIs)>,
    pub activity: String,
    pub argument: String,
    pub facts: Vec<Fact>,
    pub unit: Unit,
    /// The fault; each trial writes its magnitude into it.
    pub fault: FaultCall,
    pub kpi: Watched,
    pub baseline: Duration,
    pub seed: u64,
    /// What makes the arm that alone is broken; nothing where all of the target is.
    pub(super) splits: Vec<Primitive>,
}

impl Asked {
    /// One of the document's dimensions, which may spend `bad_events_max` of what the blast radius
    /// allows.
    ///
    /// # Errors
    /// Every reason why this cannot be asked.
    pub fn of(
        experiment: &Experiment,
        margin: &Margin,
        bad_events_max: Option<u64>,
        scope: &Scope,
        seed: u64,
    ) -> Result<Self, Vec<String>> {
        let mut reasons = unplayable(experiment, margin);
        let kpi = Watched::of(experiment, margin, scope, &mut reasons);
        let late = kpi.as_ref().map(Watched::tells_late_by).unwrap_or_default();
        let fault = fault(experiment, margin, (scope, seed), late, &mut reasons);
        let mut question = question(experiment, margin, bad_events_max);
        if bad_events_max == Some(0) {
            reasons.push(
                "the blast radius' `bad-events-max` is spent: nothing is left for this dimension"
                    .into(),
            );
        }
        // Where the document does not say how much traffic there is, the search itself sees it.
        if let Some((kpi, rate)) = kpi.as_ref().and_then(|kpi| Some((kpi, kpi.source.rate()?)))
            && bad_events_max != Some(0)
        {
            reasons.extend(kpi.too_slow(&question, rate));
            reasons.extend(kpi.too_blind(&question, rate));
            kpi.keep_back(&mut question, rate);
        }
        let splits = match (&margin.arm, &fault, &kpi) {
            (Some(arm), Some((_, change)), Some(kpi)) => {
                arm::splits(arm, change.as_ref(), &kpi.source)
            }
            _ => Ok(Vec::new()),
        };
        let splits = splits.unwrap_or_else(|why| {
            reasons.push(why);
            Vec::new()
        });
        let (Some((fault, _)), Some(kpi), true) = (fault, kpi, reasons.is_empty()) else {
            return Err(reasons);
        };
        let facts = facts(&margin.context, scope);
        let measured = margin.normal.and_then(|normal| match normal.from {
            NormalFrom::Latency(quantile) => Some((quantile, normal_is(normal.is))),
            NormalFrom::Known(_) => None,
        });
        // Where a multiple of what is not measured yet is asked for, the search itself says.
        let waits = measured.is_some()
            && matches!(
                question.aim,
                Of::Certify {
                    target: Target::Times(_),
                    ..
                }
            );
        if !waits && let Err(wrong) = Search::new(question.clone()) {
            return Err(vec![wrong.to_string()]);
        }
        Ok(Self {
            question,
            normal_latency: measured,
            activity: margin.activity.clone(),
            argument: margin.argument.clone(),
            facts,
            unit: margin.unit.clone(),
            fault,
            kpi,
            baseline: experiment.baseline,
            seed,
            splits,
        })
    }

    /// The fault at this magnitude.
    #[must_use]
    pub fn fault_at(&self, magnitude: f64) -> FaultCall {
        at(&self.fault, &self.argument, &self.unit, magnitude)
    }
}

fn at(fault: &FaultCall, argument: &str, unit: &Unit, magnitude: f64) -> FaultCall {
    let mut fault = fault.clone();
    let value = unit.write(magnitude);
    fault.arguments.insert(argument.to_owned(), value);
    fault
}

/// What the activity says of itself, and a search cannot do with it.
fn unplayable(experiment: &Experiment, margin: &Margin) -> Vec<String> {
    let varied = experiment
        .method
        .iter()
        .find(|one| one.name == margin.activity);
    let Some(varied) = varied else {
        return Vec::new();
    };
    [
        (varied.repeat.is_some(), "`repeat`"),
        (varied.retry.is_some(), "`retry`"),
    ]
    .into_iter()
    .filter(|(is_there, _)| *is_there)
    .map(|(_, what)| {
        format!(
            "`{}` has {what}, which a search that decides itself how often its fault is made would not heed; leave it out",
            varied.name
        )
    })
    .collect()
}

/// The fault, and what it changes of a route, if it is one's.
fn fault(
    experiment: &Experiment,
    margin: &Margin,
    (scope, seed): (&Scope, u64),
    late: Duration,
    reasons: &mut Vec<String>,
) -> Option<(FaultCall, Option<RouteChange>)> {
    let mut call = named_fault(experiment, &margin.activity, scope, reasons)?;
    let needed = margin.dwell.1 + late;
    let longest = needed + BEYOND_DWELL;
    let most = experiment
        .blast_radius
        .and_then(|radius| radius.duration_max);
    call.duration = most.map_or(longest, |most| most.min(longest));
    // Whom it hits, and that it may, from the first magnitude to the last: told before anything is
    // watched, and not when a search has come that far.
    let radius = experiment.blast_radius.unwrap_or_default();
    let mut change = None;
    for magnitude in [margin.lowest, margin.largest] {
        let end = at(&call, &margin.argument, &margin.unit, magnitude);
        let aim = Aim::take(&end, &radius, seed);
        let compiled = aim.and_then(|mut aim| aim.compile().map_err(|error| crate::chain(&error)));
        match compiled {
            Ok(primitives) => change = change_of_route(primitives),
            Err(why) => {
                let shown = margin.unit.show(magnitude);
                let why = format!("`{}` at {shown}: {why}", margin.activity);
                reasons.push(why);
            }
        }
    }
    if call.duration < needed {
        let of_late = match late.is_zero() {
            true => String::new(),
            false => format!(" ({late:?} of it until its KPI can tell)"),
        };
        reasons.push(format!(
            "a trial lasts up to {needed:?}{of_late}, and the blast radius allows a fault {:?}: make `dwell.max` shorter, or `duration-max` longer",
            call.duration
        ));
    }
    Some((call, change))
}

fn question(experiment: &Experiment, margin: &Margin, bad_events_max: Option<u64>) -> Question {
    let objective = experiment.kpis.get(margin.kpi).map(|kpi| kpi.objective);
    let share = objective.and_then(|objective| {
        let quantile = objective.latency.map(|(quantile, _)| quantile);
        objective.success_ratio_min.or(quantile)
    });
    let most = bad_events_max.unwrap_or(u64::MAX).max(1);
    let known = margin.normal.and_then(|normal| match normal.from {
        NormalFrom::Known(value) => Some(Normal {
            value,
            is: normal_is(normal.is),
        }),
        NormalFrom::Latency(_) => None,
    });
    Question {
        lowest: margin.lowest,
        largest: margin.largest,
        scale: match margin.scale {
            MarginScale::Linear => Scale::Linear,
            MarginScale::Log => Scale::Log,
        },
        resolution: margin.resolution,
        bad_rate_max: 1.0 - share.unwrap_or(1.0),
        alpha: 1.0 - margin.confidence,
        aim: match margin.aim {
            MarginAim::AtLeast { target, risk } => Of::Certify {
                target: match target {
                    MarginTarget::Magnitude(magnitude) => Target::Magnitude(magnitude),
                    MarginTarget::Times(times) => Target::Times(times),
                },
                risk_max: risk,
            },
            MarginAim::Search {
                jump_max,
                hysteresis,
            } => Of::Search {
                jump_max,
                hysteresis,
            },
        },
        normal: known,
        dwell: Dwell {
            min: margin.dwell.0,
            max: margin.dwell.1,
        },
        budget: Budget {
            bad_events_max: margin.bad_events_max.min(most),
            bad_events_per_trial_max: margin.bad_events_per_trial_max.min(most),
            trials_max: margin.trials_max,
            unseen_max: 0,
            before_max: 0,
        },
        recovery_within: experiment
            .recovery
            .map_or(RECOVERY_DEFAULT, |recovery| recovery.within),
    }
}

fn normal_is(is: Is) -> NormalIs {
    match is {
        Is::AddedTo => NormalIs::AddedTo,
        Is::Replaced => NormalIs::Replaced,
    }
}
