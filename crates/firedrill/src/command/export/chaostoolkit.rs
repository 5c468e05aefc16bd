//! What of a document Chaos Toolkit can be given, and what it must not be given.

use firedrill_experiment::Experiment;
use firedrill_experiment::document::{Activity, Expected, OnFailure, Provider};
use serde_json::{Map, Value};

/// Keys of ours that only Firedrill reads.
const DOCUMENT_KEYS: [&str; 6] = [
    "blast-radius",
    "expect",
    "guardrails",
    "kpis",
    "phases",
    "recovery",
];
const ACTIVITY_KEYS: [&str; 8] = [
    "exposure",
    "on-failure",
    "register",
    "repeat",
    "retry",
    "rollback",
    "tags",
    "undo-class",
];

/// What the document relies on and Chaos Toolkit would silently run without.
pub(super) fn losses(experiment: &Experiment) -> Vec<String> {
    let mut losses = Vec::new();
    if !experiment.guardrails.is_empty() {
        losses.push("its guardrails would not stop it".to_owned());
    }
    if !experiment.kpis.is_empty() {
        losses.push("its KPIs would not be judged".to_owned());
    }
    if experiment.expect.during != Expected::Continue {
        losses.push("its expectation is not that everything carries on".to_owned());
    }
    for (place, activity) in experiment.activities() {
        losses.extend(
            activity_losses(activity)
                .into_iter()
                .map(|loss| format!("`{}` (at {place}) {loss}", activity.name)),
        );
    }
    losses
}

fn activity_losses(activity: &Activity) -> Vec<&'static str> {
    let provider = match activity.provider {
        Provider::Fault { .. } => Some("is a fault, which it does not have"),
        Provider::Load { .. } => Some("sends load, which it cannot"),
        Provider::Prometheus { .. } => {
            Some("asks Prometheus, which it cannot without an extension")
        }
        Provider::Process { .. } | Provider::Http { .. } | Provider::Python { .. } => None,
    };
    let repeats = activity.repeat.is_some_and(|repeat| repeat.times > 1);
    let facts = [
        provider,
        activity.retry.is_some().then_some("is retried"),
        repeats.then_some("is repeated"),
        (!activity.register.is_empty()).then_some("passes its output on"),
        activity
            .rollback
            .is_some()
            .then_some("has a rollback of its own"),
        (activity.on_failure == OnFailure::Fail).then_some("fails the run when it fails"),
    ];
    facts.into_iter().flatten().collect()
}

/// The document without our keys, and the keys that were left out.
pub(super) fn export(experiment: &Experiment) -> (Value, Vec<String>) {
    let mut document = experiment.raw.clone();
    let mut dropped = Vec::new();
    drop_keys(&mut document, &DOCUMENT_KEYS, "", &mut dropped);
    for list in ["method", "rollbacks"] {
        drop_in_list(document.get_mut(list), list, &mut dropped);
    }
    if let Some(Value::Object(hypothesis)) = document.get_mut("steady-state-hypothesis") {
        drop_in_list(hypothesis.get_mut("probes"), "probes", &mut dropped);
    }
    (Value::Object(document), dropped)
}

fn drop_in_list(list: Option<&mut Value>, name: &str, dropped: &mut Vec<String>) {
    let items = list.and_then(Value::as_array_mut).into_iter().flatten();
    for (at, item) in items.enumerate() {
        if let Value::Object(activity) = item {
            drop_keys(activity, &ACTIVITY_KEYS, &format!("{name}[{at}]."), dropped);
        }
    }
}

fn drop_keys(map: &mut Map<String, Value>, keys: &[&str], place: &str, dropped: &mut Vec<String>) {
    for key in keys {
        if map.shift_remove(*key).is_some() {
            dropped.push(format!("{place}{key}"));
        }
    }
}
