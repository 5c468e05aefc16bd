//! The arm of live traffic that a search may break: whoever is not in it never meets the fault.

use serde_json::{Map, Value};

use super::super::canary::{divided_by, share_of_arm};
use super::super::reader::Reader;
use super::super::{Activity, Kpi, Provider};
use super::refuse_unknown;
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;

/// How the routes of the fault and of the KPI are divided while a search lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct MarginArm {
    /// Of the traffic. The control, which a search does not look at, is as large.
    pub share: f64,
    /// `connection`, `client`, `header:NAME` or `cookie:NAME`.
    pub by: String,
    /// The same at the route of the KPI, where that is in front of the fault's.
    pub front_by: String,
}

pub(super) fn read(
    search: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Option<MarginArm> {
    let path = path.key("arm");
    let value = search.get("arm").filter(|value| !value.is_null())?;
    let arm = reader.map(value, &path)?;
    refuse_unknown(arm, &path, &["share", "by", "front-by"], reader);
    let share = share_of_arm(arm, &path, reader);
    let by = divided_by(arm, "by", "connection", &path, reader);
    let front_by = divided_by(arm, "front-by", &by, &path, reader);
    Some(MarginArm {
        share: share?,
        by,
        front_by,
    })
}

/// That the fault falls on the experiment arm alone, and that it is what the KPI counts, stands in
/// the document: neither can be meant for everybody by mistake.
pub(super) fn check(
    activity: &str,
    method: &[Activity],
    kpi: &Kpi,
    path: &Path,
    reader: &mut Reader,
) {
    let path = path.key("arm");
    let is_of_arm = |one: &Activity| match &one.provider {
        Provider::Fault {
            name, arguments, ..
        } => {
            let arm = arguments.get("arm").and_then(Value::as_str);
            name.starts_with("application.") && arm == Some("experiment")
        }
        _ => false,
    };
    if !method
        .iter()
        .any(|one| one.name == activity && is_of_arm(one))
    {
        let message = format!("`{activity}` is not for the experiment arm of a route");
        let mistake = Diagnostic::error(Code::Value, &path, message);
        reader.push(mistake.hint(
            "what is varied on one arm is application.latency, http-error or reset, with `arm: experiment` among its arguments",
        ));
    }
    let of = |key| kpi.provider.get(key).and_then(Value::as_str);
    if (of("type"), of("arm")) != (Some("proxy"), Some("experiment")) {
        let message = format!(
            "KPI `{}` does not count the experiment arm of a route, which alone is broken",
            kpi.name
        );
        let mistake = Diagnostic::error(Code::Value, &path, message);
        reader.push(mistake.hint(
            "its provider is {type: proxy, url: …, proxy: ROUTE, arm: experiment}, of the same proxy",
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::document::{Experiment, Strictness};

    use super::*;

    fn read(search: &Value) -> Result<Option<MarginArm>, String> {
        let document = json!({
            "title": "t", "description": "d",
            "kpis": [{"name": "answers", "objective": {"success-ratio": 0.9}, "provider": {
                "type": "proxy", "url": "http://127.0.0.1:8474", "proxy": "web", "arm": "experiment"}}],
            "blast-radius": {"targets-max": 1, "duration-max": "60s"},
            "margin": {
                "vary": {"activity": "late", "argument": "delay"}, "from": "20ms", "to": "640ms",
                "budget": {"bad-events": 1000}, "search": search,
            },
            "method": [{"type": "action", "name": "late", "provider": {
                "type": "fault", "name": "application.latency", "target": {"host": true},
                "duration": "10s", "arguments": {"route": "web", "delay": "20ms", "arm": "experiment"},
            }}],
        });
        Experiment::from_value(document, Strictness::Strict)
            .map(|mut experiment| experiment.margins.remove(0).arm)
            .map_err(|mistakes| mistakes.lines().join("; "))
    }

    #[test]
    fn an_arm_is_read_with_what_was_left_out() {
        let arm = |by: &str, front_by: &str| MarginArm {
            share: 0.02,
            by: by.into(),
            front_by: front_by.into(),
        };
        let given = |arm: Value| read(&json!({"arm": arm})).unwrap();
        let alone = given(json!({"share": 0.02}));
        assert_eq!(alone, Some(arm("connection", "connection")));
        let both = given(json!({"share": 0.02, "by": "header:u", "front-by": "cookie:s"}));
        assert_eq!(both, Some(arm("header:u", "cookie:s")));
        assert_eq!(read(&json!({"non-production": true})).unwrap(), None);
    }

    #[test]
    fn an_arm_that_is_none_is_refused() {
        for (arm, says) in [
            (json!({}), "`share` is needed"),
            (json!({"share": 0.6}), "at most 0.5"),
            (json!({"share": 0.1, "by": "cookie:"}), "`by` is connection"),
            (
                json!({"share": 0.1, "front-by": "user"}),
                "`front-by` is connection",
            ),
            (json!({"share": 0.1, "route": "web"}), "no such key"),
        ] {
            let error = read(&json!({"arm": arm})).unwrap_err();
            assert!(error.contains(says), "{arm}: {error}");
        }
    }
}
