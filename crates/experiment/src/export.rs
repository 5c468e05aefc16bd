//! A document as Chaos Toolkit runs it, or the reasons why that would lose something.

use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::document::{Activity, Expected, Experiment, OnFailure, Provider};
use crate::path::Path;
use crate::units;

/// What Chaos Toolkit would leave out without a word.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ExportRefused {
    pub lost: Vec<Lost>,
}

/// One thing, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    pub path: Path,
    pub what: &'static str,
}

impl fmt::Display for ExportRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chaos Toolkit would ignore ")?;
        for (at, lost) in self.lost.iter().enumerate() {
            write!(
                f,
                "{}{} ({})",
                if at == 0 { "" } else { ", " },
                lost.what,
                lost.path
            )?;
        }
        Ok(())
    }
}

const TOP_LEVEL: [&str; 7] = [
    "kpis",
    "expect",
    "recovery",
    "phases",
    "blast-radius",
    "guardrails",
    "margin",
];
const PER_ACTIVITY: [&str; 8] = [
    "tags",
    "retry",
    "repeat",
    "register",
    "rollback",
    "on-failure",
    "undo-class",
    "exposure",
];

/// The document without our keys. Labels of ours (tags, undo classes, the baseline's length) are
/// dropped; whatever changes what is done, watched or judged is refused.
///
/// # Errors
/// Everything that would be lost.
pub fn to_chaostoolkit(experiment: &Experiment) -> Result<Value, ExportRefused> {
    let mut lost = of_document(experiment);
    for (path, activity) in experiment.activities() {
        lost.extend(of_activity(&path, activity));
    }
    if !lost.is_empty() {
        return Err(ExportRefused { lost });
    }
    let mut raw = experiment.raw.clone();
    raw.retain(|key, _| !TOP_LEVEL.contains(&key.as_str()));
    for list in ["method", "rollbacks"] {
        if let Some(list) = raw.get_mut(list) {
            clean_list(list);
        }
    }
    if let Some(Value::Object(hypothesis)) = raw.get_mut("steady-state-hypothesis")
        && let Some(list) = hypothesis.get_mut("probes")
    {
        clean_list(list);
    }
    Ok(Value::Object(raw))
}

fn of_document(experiment: &Experiment) -> Vec<Lost> {
    let root = Path::root();
    let expects = experiment.expect.during != Expected::Continue;
    [
        (!experiment.kpis.is_empty(), "kpis", "a KPI"),
        (
            !experiment.guardrails.is_empty() || !experiment.kpi_guardrails.is_empty(),
            "guardrails",
            "a guardrail",
        ),
        (
            experiment.blast_radius.is_some(),
            "blast-radius",
            "the blast radius",
        ),
        (
            experiment.recovery.is_some(),
            "recovery",
            "the limit on recovery",
        ),
        (expects, "expect", "the expectation"),
    ]
    .into_iter()
    .filter(|(is_lost, ..)| *is_lost)
    .map(|(_, key, what)| Lost {
        path: root.key(key),
        what,
    })
    .collect()
}

fn of_activity(path: &Path, activity: &Activity) -> Vec<Lost> {
    let provider = match activity.provider {
        Provider::Fault { .. } => Some("a fault"),
        Provider::Load { .. } => Some("a load"),
        Provider::Prometheus { .. } => Some("a prometheus query"),
        Provider::Process { .. } | Provider::Http { .. } | Provider::Python { .. } => None,
    };
    let mut lost: Vec<Lost> = provider
        .map(|what| Lost {
            path: path.key("provider"),
            what,
        })
        .into_iter()
        .collect();
    lost.extend(
        [
            (activity.retry.is_some(), "retry", "a retry"),
            (activity.repeat.is_some(), "repeat", "a repetition"),
            (
                !activity.register.is_empty(),
                "register",
                "a registered output",
            ),
            (
                activity.rollback.is_some(),
                "rollback",
                "the rollback of an action",
            ),
            (
                activity.on_failure == OnFailure::Fail,
                "on-failure",
                "that a failure ends the run",
            ),
        ]
        .into_iter()
        .filter(|(is_lost, ..)| *is_lost)
        .map(|(_, key, what)| Lost {
            path: path.key(key),
            what,
        }),
    );
    lost
}

fn clean_list(list: &mut Value) {
    let Value::Array(items) = list else {
        return;
    };
    for activity in items.iter_mut().filter_map(Value::as_object_mut) {
        activity.retain(|key, _| !PER_ACTIVITY.contains(&key.as_str()));
        if let Some(Value::Object(provider)) = activity.get_mut("provider") {
            timeout_in_seconds(provider);
        }
    }
}

/// `5s` is ours; Chaos Toolkit takes numbers.
fn timeout_in_seconds(provider: &mut Map<String, Value>) {
    let seconds = |value: &mut Value| {
        if let Value::String(text) = value
            && let Ok(duration) = units::parse_duration(text)
        {
            *value = Value::from(duration.as_secs_f64());
        }
    };
    match provider.get_mut("timeout") {
        Some(Value::Array(pair)) => pair.iter_mut().for_each(seconds),
        Some(one) => seconds(one),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::Strictness;

    fn export(change: impl FnOnce(&mut Value)) -> Result<Value, ExportRefused> {
        let mut document = json!({
            "title": "t", "description": "d", "phases": {"baseline": "1s"},
            "method": [{"type": "action", "name": "a", "tags": ["x"], "undo-class": "opaque",
                        "provider": {"type": "process", "path": "true", "timeout": "1500ms"}}]
        });
        change(&mut document);
        to_chaostoolkit(&Experiment::from_value(document, Strictness::Strict).unwrap())
    }

    #[test]
    fn labels_are_dropped_and_units_become_seconds() {
        let exported = export(|_| {}).unwrap();
        assert_eq!(
            exported,
            json!({
                "title": "t", "description": "d",
                "method": [{"type": "action", "name": "a",
                            "provider": {"type": "process", "path": "true", "timeout": 1.5}}]
            })
        );
    }

    #[test]
    fn whatever_guards_or_judges_is_refused_with_its_place() {
        let refused = export(|document| {
            document["blast-radius"] = json!({"targets-max": 1});
            document["recovery"] = json!({"within": "5s"});
            document["method"][0]["retry"] = json!({"within": "5s"});
            document["method"][0]["rollback"] =
                json!({"type": "action", "name": "r", "provider": {"type": "process", "path": "true"}});
        })
        .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Chaos Toolkit would ignore the blast radius (blast-radius), the limit on recovery \
             (recovery), a retry (method[0].retry), the rollback of an action (method[0].rollback)"
        );
    }

    #[test]
    fn a_fault_is_refused() {
        let refused = export(|document| {
            document["blast-radius"] = json!({"targets-max": 1});
            document["method"][0]["provider"] = json!({
                "type": "fault", "name": "infrastructure.process-kill", "target": {"pid": 5},
                "duration": "1s"
            });
        })
        .unwrap_err();
        assert!(
            refused.lost.iter().any(|lost| lost.what == "a fault"),
            "{refused}"
        );
    }
}
