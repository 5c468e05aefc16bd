use serde_json::json;

use super::*;
use crate::document::Activity;

fn scope() -> Scope {
    let object = |value: Value| value.as_object().cloned().unwrap_or_default();
    Scope {
        configuration: object(json!({"n": 5, "host": "h", "none": null, "h": {"A": "b"}})),
        secrets: object(json!({"g": {"token": "hush"}, "k": {"token": "other", "z": 1}})),
        registered: Map::new(),
    }
}

fn call(provider: &Value) -> Result<Call, ResolveError> {
    let activity = json!({"type": "action", "name": "a", "provider": provider});
    resolve(&Activity::from_value(&activity).unwrap().provider, &scope())
}

fn argv(arguments: &Value) -> Command {
    match call(&json!({"type": "process", "path": "echo", "arguments": arguments})).unwrap() {
        Call::Process(process) => process.command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn process_arguments_become_what_subprocess_gets() {
    let words = |words: &[&str]| Command::Argv(words.iter().map(|&word| word.into()).collect());
    assert_eq!(
        argv(&json!("a | b ${n}")),
        Command::Shell("echo a | b 5".into())
    );
    assert_eq!(
        argv(&json!([
            "x",
            null,
            "",
            0,
            false,
            1.0,
            ["q"],
            "${none}",
            "${n}"
        ])),
        words(&["echo", "x", "0", "False", "1.0", "['q']", "5"])
    );
    assert_eq!(
        argv(&json!({"-a": "${host}", "-b": null, "-c": ""})),
        words(&["echo", "-a", "h", "-b", "-c"])
    );
    assert_eq!(argv(&json!([])), words(&["echo"]));
}

#[test]
fn arguments_that_python_cannot_iterate_abort_the_run() {
    for arguments in [json!("${n}"), json!(7), json!(true)] {
        let provider = json!({"type": "process", "path": "echo", "arguments": arguments});
        assert_eq!(
            call(&provider).unwrap_err().consequence,
            Consequence::AbortsRun,
            "{arguments}"
        );
    }
}

#[test]
fn a_process_path_and_timeout_are_taken_as_written() {
    let provider = json!({"type": "process", "path": "${host}", "timeout": "${n}"});
    assert_eq!(
        call(&provider).unwrap_err().consequence,
        Consequence::AbortsRun
    );
    let provider = json!({"type": "process", "path": "${host}", "timeout": 1.5});
    let Call::Process(process) = call(&provider).unwrap() else {
        panic!()
    };
    assert_eq!(process.command, Command::Argv(vec!["${host}".into()]));
    assert_eq!(process.timeout, Some(Duration::from_millis(1500)));
}

#[test]
fn http_fields_are_filled_in() {
    let provider = json!({
        "type": "http", "url": "http://${host}/", "method": "post", "timeout": ["${n}", null],
        "headers": {"X": "${token}", "Y": null}, "arguments": {"q": "${n}"}, "verify_tls": false
    });
    let Call::Http(http) = call(&provider).unwrap() else {
        panic!()
    };
    assert_eq!(
        (http.url.as_str(), http.method.as_str()),
        ("http://h/", "POST")
    );
    assert_eq!(http.connect_timeout, Some(Duration::from_secs(5)));
    assert_eq!(http.read_timeout, None);
    assert_eq!(Value::Object(http.headers), json!({"X": "hush"}));
    assert_eq!(http.arguments, Some(json!({"q": 5})));
    assert!(!http.verify_tls);
}

#[test]
fn http_fields_that_requests_refuses_abort_the_run() {
    for (key, value) in [
        ("headers", json!({"X": 5})),
        ("timeout", json!("5")),
        ("timeout", json!(0)),
        ("timeout", json!([1, 2, 3])),
        ("timeout", json!(true)),
        ("url", json!("${n}")),
        ("method", json!(5)),
    ] {
        let mut provider = json!({"type": "http", "url": "http://x"});
        provider[key] = value.clone();
        assert_eq!(
            call(&provider).unwrap_err().consequence,
            Consequence::AbortsRun,
            "{key} {value}"
        );
    }
}

#[test]
fn python_gets_the_secret_groups_it_names_later_over_earlier() {
    let provider = json!({
        "type": "python", "module": "m", "func": "f", "arguments": {"a": "${n}"},
        "secrets": ["g", "k", "missing"]
    });
    let Call::Python(python) = call(&provider).unwrap() else {
        panic!()
    };
    assert_eq!(
        Value::Object(python.secrets.unwrap()),
        json!({"token": "other", "z": 1})
    );
    assert_eq!(Value::Object(python.arguments), json!({"a": 5}));
    assert_eq!(python.configuration, scope().configuration);
}

#[test]
fn our_providers_read_units() {
    let provider = json!({
        "type": "fault", "name": "infrastructure.process-pause", "target": {"label": {"zone": "${n}"}},
        "duration": "6s", "arguments": {}
    });
    let Call::Fault(fault) = call(&provider).unwrap() else {
        panic!()
    };
    assert_eq!(fault.target, json!({"label": {"zone": 5}}));
    assert_eq!(fault.duration, Duration::from_secs(6));
    let provider = json!({
        "type": "load", "url": "http://${host}/", "rate": 250, "arrival": "poisson",
        "connections": 8, "timeout": "1s", "degraded-header": "x-degraded"
    });
    let Call::Load(load) = call(&provider).unwrap() else {
        panic!()
    };
    assert_eq!(
        (load.url.as_str(), load.rate, load.connections),
        ("http://h/", 250.0, 8)
    );
    assert!(load.poisson && load.duration.is_none());
    let provider = json!({
        "type": "prometheus", "url": "http://p", "query": "up",
        "range": {"last": "5m", "step": 15}
    });
    let Call::Prometheus(prometheus) = call(&provider).unwrap() else {
        panic!()
    };
    assert_eq!(prometheus.range.unwrap().last, Duration::from_secs(300));
}
