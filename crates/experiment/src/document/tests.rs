use serde_json::json;

use super::*;
use crate::diagnostic::{Code, Diagnostics};
use crate::parse::Format;
use crate::source::Source;

const FULL: &str = include_str!("../../tests/full.yaml");

fn read(text: &str) -> Reading {
    Experiment::read(
        &Source::new("e.yaml", text),
        Format::Yaml,
        Strictness::Strict,
    )
}

fn mistakes(document: Value) -> Vec<String> {
    Experiment::read_value(document, Strictness::Strict)
        .diagnostics
        .lines()
}

fn with(key: &str, value: Value) -> Value {
    let mut document = json!({"title": "t", "description": "d", "method": []});
    document[key] = value;
    document
}

fn action(changes: &Value) -> Value {
    let provider = json!({"type": "process", "path": "true"});
    let mut action = json!({"type": "action", "name": "a", "provider": provider});
    for (key, value) in changes.as_object().unwrap() {
        action[key] = value.clone();
    }
    with("method", json!([action]))
}

#[test]
fn every_key_is_read() {
    let reading = read(FULL);
    assert!(
        reading.diagnostics.is_empty(),
        "{:?}",
        reading.diagnostics.lines()
    );
    let experiment = reading.experiment.unwrap();
    assert_eq!(
        experiment.blast_radius.unwrap().duration_max,
        Some(Duration::from_secs(10))
    );
    assert_eq!(
        experiment.kpis[0].objective.worst_window,
        Some((Duration::from_secs(1), 150))
    );
    assert_eq!(experiment.expect.transition, Duration::from_secs(2));
    assert_eq!(
        experiment.guardrails[0].mode,
        GuardrailMode::Every(Duration::from_secs(1))
    );
    assert_eq!(
        experiment.runtime.hypothesis,
        Some(HypothesisStrategy::Continuously)
    );
    let [lose, look, change] = &experiment.method[..] else {
        panic!()
    };
    let exposure = lose.exposure.as_ref().unwrap();
    assert_eq!(exposure.jsonpaths, ["$.web-2-a.requests"]);
    assert!(!exposure.provider.contains_key("jsonpath"));
    assert!(matches!(&lose.provider, Provider::Fault { name, .. } if name.ends_with("pause")));
    assert_eq!(
        look.retry.as_ref().unwrap().every,
        Duration::from_millis(500)
    );
    assert_eq!(look.register[0].name, "who");
    assert_eq!(
        change.repeat,
        Some(Repeat {
            times: 3,
            every: Duration::from_secs(1)
        })
    );
    assert_eq!(
        (change.on_failure, change.undo_class),
        (OnFailure::Fail, Some(UndoClass::Irreversible))
    );
    assert_eq!(change.rollback.as_ref().unwrap().name, "change back");
    assert_eq!(experiment.rollbacks[0].name, "change");
    assert_eq!(experiment.activities().len(), 9);
}

#[test]
fn a_reference_keeps_its_own_tolerance_and_background() {
    let experiment = read(FULL).experiment.unwrap();
    let referenced = &experiment.hypothesis.unwrap().probes[1];
    assert_eq!(referenced.name, "look");
    assert_eq!(referenced.tolerance, Some(Tolerance::Literal(json!(0))));
    assert!(
        !referenced.background,
        "the method's entry is, this one is not"
    );
    assert_eq!(
        referenced.raw["background"], true,
        "the journal shows the activity it names"
    );
}

#[test]
fn of_two_activities_with_one_name_the_last_is_referenced() {
    let named = |path: &str| json!({"type": "action", "name": "a", "provider": {"type": "process", "path": path}});
    let mut document = with("method", json!([named("one"), named("two")]));
    document["rollbacks"] = json!([{"ref": "a"}]);
    let experiment = Experiment::from_value(document, Strictness::Strict).unwrap();
    assert!(
        matches!(&experiment.rollbacks[0].provider, Provider::Process { path, .. } if path == "two")
    );
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let text = "titel: x\ndescription: d\nmethod:\n  - type: acton\n    name: a\n    provider:\n      type: proces\n      path: x\n  - ref: b\n";
    let source = Source::new("e.yaml", text);
    let rendered = Experiment::parse(&source, Format::Yaml)
        .unwrap_err()
        .render(&source);
    for expected in [
        "e.yaml:1:1: error: an experiment needs a `title` (at title)",
        "e.yaml:1:1: warning: nobody reads the key `titel` (at titel)\n    titel: x\n    ^^^^^\n  hint: did you mean `title`?",
        "e.yaml:4:11: error: unknown activity type `acton`: one of probe, action (at method[0].type)\n      - type: acton\n              ^^^^^\n  hint: did you mean `action`?",
        "e.yaml:7:13: error: unknown provider type `proces`",
        "e.yaml:9:10: error: no activity of the method or hypothesis is called `b`",
    ] {
        assert!(rendered.contains(expected), "{expected}\n---\n{rendered}");
    }
}

#[test]
fn surprises_of_chaos_toolkit_are_warnings() {
    for (changes, expected) in [
        (json!({"timeout": 5}), "`timeout` of an activity is ignored"),
        (json!({"tolerance": 1.5}), "this tolerance is not valid"),
        (
            json!({"provider": {"type": "process", "path": "x", "timeout": "${t}"}}),
            "will abort",
        ),
        (
            json!({"provider": {"type": "process", "path": "x", "env": {}}}),
            "has no `env`",
        ),
        (
            json!({"provider": {"type": "http", "url": "x", "expected_status": 200}}),
            "is ignored",
        ),
        (
            json!({"provider": {"type": "http", "url": "x", "headers": {"a": 1}}}),
            "will abort",
        ),
    ] {
        let reading = Experiment::read_value(action(&changes), Strictness::Strict);
        let lines = reading.diagnostics.lines();
        assert!(reading.experiment.is_some(), "{lines:?}");
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("warning") && line.contains(expected)),
            "{expected}: {lines:?}"
        );
    }
}

#[test]
fn our_keys_are_checked() {
    for (document, expected) in [
        (
            with("expect", json!({"during": "degraded"})),
            "did you mean `degrade`?",
        ),
        (
            with(
                "expect",
                json!({"during": "continue", "success-ratio-max": 0.1}),
            ),
            "belongs to `during: stop`",
        ),
        (with("recovery", json!({})), "`within` is needed"),
        (
            with("recovery", json!({"within": "5 parsecs"})),
            "no unit `parsecs`",
        ),
        (
            with("blast-radius", json!({"target-max": 1})),
            "no such limit",
        ),
        (
            with("blast-radius", json!({"percent-of-healthy": 101})),
            "0 to 100",
        ),
        (
            with(
                "kpis",
                json!([{"name": "k", "provider": {"type": "http"}, "objective": {}}]),
            ),
            "is `load`",
        ),
        (
            with(
                "kpis",
                json!([{"name": "k", "objective": {"success-ratio": 2}}]),
            ),
            "0 to 1",
        ),
        (
            with("guardrails", json!([{"probe": {}, "mode": "sometimes"}])),
            "unknown mode",
        ),
        (action(&json!({"retry": {"every": "1s"}})), "needs `within`"),
        (action(&json!({"repeat": 0})), "whole number from 1"),
        (
            action(&json!({"register": "a-b"})),
            "would not be substituted",
        ),
        (action(&json!({"register": {"a": "b"}})), "not valid"),
        (
            action(&json!({"on-failure": "stop"})),
            "one of continue, fail",
        ),
        (
            action(&json!({"provider": {"type": "fault", "name": "x", "target": {"pid": 1}}})),
            "needs a `duration`",
        ),
        (
            action(&json!({"provider": {"type": "load", "url": "http://x"}})),
            "needs a `rate`",
        ),
        (
            action(&json!({"rollback": {"ref": "nobody"}})),
            "is called `nobody`",
        ),
    ] {
        let lines = mistakes(document.clone());
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("error") && line.contains(expected)),
            "{expected} in {document}: {lines:?}"
        );
    }
}

#[test]
fn a_fault_without_a_blast_radius_is_told_apart() {
    let fault = json!({"type": "fault", "name": "x", "target": {"pid": 1}, "duration": "1s"});
    let reading = Experiment::read_value(action(&json!({"provider": fault})), Strictness::Strict);
    let codes: Vec<_> = reading
        .diagnostics
        .errors()
        .map(|error| error.code)
        .collect();
    assert_eq!(codes, [Code::BlastRadiusMissing]);
    assert!(reading.experiment.is_some(), "the demo may go on");
    assert!(reading.into_result().is_err());
}

#[test]
fn without_validation_broken_rules_are_warnings() {
    let document =
        json!({"method": [{"type": "action", "provider": {"type": "process", "path": "x"}}]});
    assert!(Experiment::from_value(document.clone(), Strictness::Strict).is_err());
    let experiment = Experiment::from_value(document, Strictness::Lenient).unwrap();
    assert_eq!(
        (
            experiment.title.as_str(),
            experiment.method[0].name.as_str()
        ),
        ("", "")
    );
    let hopeless = json!({"method": [{"type": "action"}]});
    assert!(Experiment::from_value(hopeless, Strictness::Lenient).is_err());
}

#[test]
fn stop_carries_the_share_that_may_still_be_answered() {
    let document = with(
        "expect",
        json!({"during": "stop", "success-ratio-max": 0.01}),
    );
    let experiment = Experiment::from_value(document, Strictness::Strict).unwrap();
    assert_eq!(
        experiment.expect.during,
        Expected::Stop {
            success_ratio_max: 0.01
        }
    );
}

#[test]
fn an_empty_diagnostics_list_renders_nothing() {
    assert_eq!(Diagnostics::default().render(&Source::new("x", "")), "");
}
