//! What a drill would do, before it does anything: targets, undo classes, time, traffic, digest.

mod kpi;
mod margin;

use firedrill_engine::Options;
use firedrill_experiment::call::{self, Call};
use firedrill_experiment::document::{Activity, ActivityKind, Experiment, Provider, UndoClass};
use firedrill_experiment::scope::Scope;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::aim::Aim;
use crate::in_force::{Taken, check_together};
use crate::spare::Spare;

pub use kpi::{PlannedGuardrail, PlannedKpi, PlannedPhase};
pub use margin::{PlannedMargin, margins};

/// A plan to read, and to approve by its digest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Preview {
    pub title: String,
    pub actions: Vec<PlannedAction>,
    pub kpis: Vec<PlannedKpi>,
    /// Thresholds on streams, each watched from the baseline to the recovery.
    pub guardrails: Vec<PlannedGuardrail>,
    /// What the document's margins take, where they were asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub margins: Vec<PlannedMargin>,
    /// Whose traffic no fault meets, as `host:port`.
    pub spared: Vec<String>,
    /// Seconds without the recovery, as far as the document tells.
    pub seconds: f64,
    /// Seconds that the recovery may take.
    pub recovery_seconds: f64,
    /// Synthetic requests that will be sent, about.
    pub requests: u64,
    /// Why the drill would be refused; empty: it may run.
    pub refusals: Vec<String>,
    /// SHA-256 over the document, the options and the named targets.
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedAction {
    pub activity: String,
    pub undo_class: UndoClass,
    /// The fault of ours, if it is one.
    pub fault: Option<String>,
    pub duration: Option<f64>,
    /// Who would be hit, now.
    pub targets: Vec<String>,
}

/// Looks at everything and touches nothing.
pub fn preview(
    experiment: &Experiment,
    scope: &Scope,
    options: &Options,
    seed: u64,
    spare: &Spare,
) -> Preview {
    let selected: Vec<&Activity> = experiment
        .method
        .iter()
        .filter(|activity| is_selected(activity, options))
        .collect();
    let mut refusals = Vec::new();
    let mut actions = Vec::new();
    let mut lasting: Vec<Taken> = Vec::new();
    for activity in selected
        .iter()
        .filter(|activity| activity.kind == ActivityKind::Action)
    {
        let (action, taken) = planned(activity, experiment, scope, seed, &lasting, &mut refusals);
        actions.push(action);
        // Nobody knows how long the steps after it take: it may last through all of them.
        lasting.extend(taken.filter(|_| activity.background));
    }
    let disturbed = fault_time(&actions);
    let kpis: Vec<_> = experiment
        .kpis
        .iter()
        .filter_map(|one| kpi::planned(one, experiment, scope, disturbed, &mut refusals))
        .collect();
    let guardrails = kpi::guardrails(experiment, scope, &mut refusals);
    let seconds = experiment.baseline.as_secs_f64()
        * f64::from(u8::from(!(kpis.is_empty() && guardrails.is_empty())))
        + selected
            .iter()
            .map(|activity| activity_time(activity, scope))
            .sum::<f64>();
    let recovery_seconds = experiment
        .recovery
        .map_or(0.0, |recovery| recovery.within.as_secs_f64());
    let rate: f64 = kpis.iter().filter_map(|kpi| kpi.sends).sum();
    let digest = digest(experiment, options, &actions);
    Preview {
        title: experiment.title.clone(),
        actions,
        kpis,
        guardrails,
        margins: Vec::new(),
        spared: spare.names.clone(),
        seconds,
        recovery_seconds,
        requests: (rate * seconds).round() as u64,
        refusals,
        digest,
    }
}

fn is_selected(activity: &Activity, options: &Options) -> bool {
    options.tags.is_empty() || activity.tags.iter().any(|tag| options.tags.contains(tag))
}

fn planned(
    activity: &Activity,
    experiment: &Experiment,
    scope: &Scope,
    seed: u64,
    lasting: &[Taken],
    refusals: &mut Vec<String>,
) -> (PlannedAction, Option<Taken>) {
    let mut action = PlannedAction {
        activity: activity.name.clone(),
        undo_class: activity.undo_class.unwrap_or(match activity.provider {
            Provider::Fault { .. } => UndoClass::Reversible,
            _ => UndoClass::Opaque,
        }),
        fault: None,
        duration: None,
        targets: Vec::new(),
    };
    let Provider::Fault { name, .. } = &activity.provider else {
        return (action, None);
    };
    action.fault = Some(name.clone());
    let mut refuse = |why: String| refusals.push(format!("`{}`: {why}", activity.name));
    let Some(blast) = &experiment.blast_radius else {
        refuse("a fault of ours needs a `blast-radius` in the document".into());
        return (action, None);
    };
    let call = match call::resolve(&activity.provider, scope) {
        Ok(Call::Fault(call)) => call,
        Ok(_) => return (action, None),
        Err(error) => {
            refuse(error.to_string());
            return (action, None);
        }
    };
    action.duration = Some(call.duration.as_secs_f64());
    let aim = match Aim::take(&call, blast, seed) {
        Ok(aim) => aim,
        Err(why) => {
            refuse(why);
            return (action, None);
        }
    };
    action.undo_class = aim.undo_class();
    action.targets = aim.names();
    let taken = aim.taken();
    let beside: Vec<&Taken> = lasting.iter().collect();
    if let Err(why) = check_together(blast, &taken.footprint, &beside) {
        refuse(why);
    }
    (action, Some(taken))
}

fn fault_time(actions: &[PlannedAction]) -> Option<f64> {
    actions
        .iter()
        .filter_map(|action| action.duration)
        .reduce(f64::max)
}

fn activity_time(activity: &Activity, scope: &Scope) -> f64 {
    let pause = |value: &Option<Value>| value.as_ref().and_then(Value::as_f64).unwrap_or(0.0);
    let own = match call::resolve(&activity.provider, scope) {
        Ok(Call::Fault(call)) => call.duration.as_secs_f64(),
        Ok(Call::Load(call)) => call.duration.map_or(0.0, |duration| duration.as_secs_f64()),
        _ => 0.0,
    };
    let times = f64::from(activity.repeat.map_or(1, |repeat| repeat.times));
    (own * f64::from(u8::from(!activity.background))
        + pause(&activity.pause_before)
        + pause(&activity.pause_after))
        * times
}

fn digest(experiment: &Experiment, options: &Options, actions: &[PlannedAction]) -> String {
    let plan = json!({
        "experiment": experiment.raw,
        "tags": options.tags,
        "dry": options.dry.map(|dry| format!("{dry:?}")),
        "hypothesis": format!("{:?}", options.hypothesis_strategy),
        "rollbacks": format!("{:?}", options.rollback_strategy),
        "targets": actions.iter().map(|action| &action.targets).collect::<Vec<_>>(),
    });
    let hash = Sha256::digest(plan.to_string().as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
