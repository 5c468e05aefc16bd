use serde_json::json;

use super::*;
use crate::diagnostic::{Code, Diagnostics};
use crate::parse::Format;
use crate::source::Source;
use crate::units::Unit;

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
                json!([{"name": "k", "provider": {"type": "python"}, "objective": {}}]),
            ),
            "one of load, proxy, prometheus, http",
        ),
        (
            with(
                "kpis",
                json!([{"name": "k", "objective": {"bad-events-max": 1},
                    "provider": {"type": "proxi", "url": "http://h:1", "proxy": "p"}}]),
            ),
            "did you mean `proxy`?",
        ),
        (
            with(
                "kpis",
                json!([{"name": "k", "objective": {"latency": {"quantile": 0.9, "max": 1}},
                    "provider": {"type": "http", "url": "http://h:1", "good": "$.a", "bad": "$.b"}}]),
            ),
            "nobody measures latencies here",
        ),
        (
            with(
                "kpis",
                json!([{"name": "k", "objective": {"worst-window": {"length": "500ms", "bad-max": 1}},
                    "provider": {"type": "http", "url": "http://h:1", "good": "$.a", "bad": "$.b"}}]),
            ),
            "readings 1s apart cannot see",
        ),
        (
            with(
                "kpis",
                json!([{"name": "k", "objective": {"success-ratio": 0.9}, "phases": {"during": {}},
                    "provider": {"type": "load", "url": "http://h:1", "rate": 1}}]),
            ),
            "one of baseline, transition, fault, recovery",
        ),
        (
            with(
                "kpis",
                json!([{"name": "k", "objective": {"success-ratio": 0.9},
                    "phases": {"recovery": {"success-ratio": 0.9}},
                    "provider": {"type": "load", "url": "http://h:1", "rate": 1}}]),
            ),
            "judged by the time it takes",
        ),
        (
            with("guardrails", json!([{"kpi": "nobody"}])),
            "unknown KPI `nobody`",
        ),
        (
            with("guardrails", json!([{"kpi": "k", "mode": "pre-check"}])),
            "watched at the stream's own rate",
        ),
        (
            with("guardrails", json!([{"provider": {"type": "proxy"}}])),
            "needs a `name`",
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

fn margin(changes: &Value) -> Value {
    let mut document = json!({
        "title": "t",
        "description": "d",
        "blast-radius": {"targets-max": 1},
        "kpis": [{
            "name": "k",
            "provider": {"type": "load", "url": "http://127.0.0.1/", "rate": 50},
            "objective": {"success-ratio": 0.99},
        }],
        "method": [{
            "type": "action",
            "name": "late",
            "provider": {"type": "fault", "name": "switching.latency", "target": {"label": {"app": "shop"}}, "duration": "9s"},
        }],
        "margin": {
            "vary": {"activity": "late", "argument": "delay"},
            "from": "20ms",
            "to": "2s",
            "at-least": "200ms",
            "budget": {"bad-events": 100},
        },
    });
    for (key, value) in changes.as_object().unwrap() {
        document["margin"][key] = value.clone();
    }
    document
}

#[test]
fn a_margin_has_what_most_people_would_ask() {
    let asked = |changes: Value| {
        let reading = Experiment::read_value(margin(&changes), Strictness::Strict);
        assert!(
            reading.diagnostics.is_empty(),
            "{:?}",
            reading.diagnostics.lines()
        );
        reading.experiment.unwrap().margins.remove(0)
    };
    let plain = asked(json!({}));
    assert_eq!((plain.lowest, plain.largest), (20.0, 2000.0));
    assert_eq!(
        (plain.unit.clone(), plain.scale),
        (Unit::Time, MarginScale::Log)
    );
    let target = MarginTarget::Magnitude(200.0);
    assert_eq!(plain.aim, MarginAim::AtLeast { target, risk: 0.1 });
    assert_eq!((plain.bad_events_per_trial_max, plain.kpi), (25, 0));
    let times = asked(json!({"at-least": "3x", "normal": "48ms"}));
    let target = MarginTarget::Times(3.0);
    assert_eq!(times.aim, MarginAim::AtLeast { target, risk: 0.1 });
    let from = NormalFrom::Known(48.0);
    assert_eq!(
        times.normal,
        Some(MarginNormal {
            from,
            is: NormalIs::AddedTo
        })
    );
    let shares = json!({"from": "0%", "to": "50%", "resolution": "1%", "at-least": null,
        "search": {"non-production": true, "jump-max": "10%"}});
    let shares = asked(shares);
    assert_eq!(
        (shares.scale, shares.resolution),
        (MarginScale::Linear, 1.0)
    );
    let (jump_max, hysteresis) = (10.0, false);
    assert_eq!(
        shares.aim,
        MarginAim::Search {
            jump_max,
            hysteresis
        }
    );
}

#[test]
fn several_dimensions_each_have_a_name() {
    let several = |names: [Option<&str>; 2]| {
        let mut document = margin(&json!({}));
        let one = document["margin"].take();
        let named = names.map(|name| {
            let mut one = one.clone();
            if let Some(name) = name {
                one["name"] = name.into();
            }
            one
        });
        document["margin"] = json!(named);
        Experiment::read_value(document, Strictness::Strict)
    };
    let both = several([Some("delay"), Some("loss")]);
    assert!(
        both.diagnostics.is_empty(),
        "{:?}",
        both.diagnostics.lines()
    );
    let names: Vec<_> = both
        .experiment
        .unwrap()
        .margins
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(names, [Some("delay".to_owned()), Some("loss".to_owned())]);
    let said = several([Some("delay"), None])
        .diagnostics
        .lines()
        .join("; ");
    assert!(
        said.contains("margin[1].name") && said.contains("needs a `name`"),
        "{said}"
    );
    let said = several([Some("delay"), Some("delay")])
        .diagnostics
        .lines()
        .join("; ");
    assert!(said.contains("two dimensions are called `delay`"), "{said}");
}

#[test]
fn the_context_of_a_margin_is_written_or_read() {
    let reading = |context: Value| {
        let document = margin(&json!({ "context": context }));
        Experiment::read_value(document, Strictness::Strict)
    };
    let from =
        json!({"provider": {"type": "http", "url": "http://127.0.0.1/v"}, "jsonpath": "$.v"});
    let good = reading(json!({"version": "1.4", "replicas": from}));
    assert!(
        good.diagnostics.is_empty(),
        "{:?}",
        good.diagnostics.lines()
    );
    let context = good.experiment.unwrap().margins.remove(0).context;
    assert_eq!(context[0].from, ContextFrom::Literal(json!("1.4")));
    assert!(
        matches!(&context[1].from, ContextFrom::Read { jsonpath: Some(path), .. } if path == "$.v")
    );
    for (context, told) in [
        (
            json!({"v": {"provider": {"type": "fault", "name": "x", "target": {"host": true}, "duration": "1s"}}}),
            "a fact is read",
        ),
        (json!({"v": {"url": "x"}}), "no such key: `url`"),
        (json!({"v": [1]}), "a fact is a value"),
    ] {
        let said = reading(context).diagnostics.lines().join("; ");
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn a_margin_that_cannot_be_asked_says_each_reason() {
    for (changes, told) in [
        (
            json!({"vary": {"activity": "x", "argument": "delay"}}),
            "no fault called `x`; there is `late`",
        ),
        (json!({"from": "3s"}), "`to` is larger than `from`"),
        (json!({"to": "50%"}), "counted as `from` is"),
        (json!({"from": "soon"}), "`from` is a magnitude"),
        (json!({"from": "0ms", "scale": "log"}), "begins above 0"),
        (json!({"at-least": "3s"}), "not beyond `to`"),
        (json!({"at-least": "3x"}), "needs `normal`"),
        (
            json!({"at-least": "1x", "normal": "48ms"}),
            "more than once",
        ),
        (
            json!({"at-least": null}),
            "with `at-least`, or with `search`",
        ),
        (json!({"search": {"non-production": true}}), "two questions"),
        (json!({"at-least": null, "search": {}}), "not production"),
        (json!({"kpi": "other"}), "`kpi` names one of `k`"),
        (json!({"resolution": "5ms"}), "a percentage"),
        (json!({"budget": {"bad-events": 0}}), "nothing is answered"),
        (json!({"budget": {}}), "`bad-events` is needed"),
        (
            json!({"dwell": {"min": "9s", "max": "3s"}}),
            "longest dwell",
        ),
        (json!({"larest": "9s"}), "no such key: `larest`"),
    ] {
        let lines = mistakes(margin(&changes)).join("\n");
        assert!(lines.contains(told), "{changes}: {lines}");
    }
}
