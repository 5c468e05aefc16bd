//! A value out of its bounds, of a wrong kind, or for a parameter that is not there: a clear error,
//! and nothing begins.

use firedrill_faults::{Entry, Fault, FaultError, Parameter, ParameterKind, catalogue};
use serde_json::{Map, Value, json};

use crate::example;

/// Below the least, above the most, and what is excluded between.
fn out_of_bounds(parameter: &Parameter) -> Vec<Value> {
    let words = parameter.bounds.unwrap_or("");
    match words {
        "above 0, at most 100" | "a number above 0, at most 100" => {
            vec![json!(0), json!(-1), json!(100.001), json!(1e300)]
        }
        "0 to below 100" => vec![json!(-0.001), json!(100), json!(101)],
        "0.1 to 99.9; without the other parameters" => vec![json!(0.09), json!(99.91), json!(-5)],
        "1 to 1000000" => vec![json!(0), json!(1_000_001), json!(-1), json!(1.5)],
        "1 to 64" => vec![json!(0), json!(65), json!(-1), json!(1.5)],
        "a number from -100000 to 100000, not 0" => vec![json!(0), json!(-100_001), json!(100_001)],
        "a whole number from 0" => vec![json!(-1), json!(0.5)],
        "a whole number from 1" => vec![json!(0), json!(-1), json!(1.5)],
        "a whole number of seconds, at most 3600" => vec![json!(3601), json!(-1), json!(0.5)],
        "a whole number, -256 to 256" => vec![json!(-257), json!(257), json!(0.5)],
        "a whole number from 1 to 4096, or \"all\"" => {
            vec![json!(0), json!(4097), json!("some"), json!(1.5)]
        }
        "a list of processor numbers, 0 to 1023" => {
            vec![json!([1024]), json!([-1]), json!([]), json!([0.5])]
        }
        "above 0, at most 10m" => vec![json!(0), json!(-1), json!("601s")],
        "above 0, at most 1m" | "above 0, at most 1m; rounded up to whole seconds" => {
            vec![json!(0), json!(-1), json!("61s")]
        }
        "a time from 20ms to 1h, with `offset`" => vec![json!("19ms"), json!("3601s"), json!(-1)],
        "a time such as 1s, from 200ms to 1h" => vec![json!("199ms"), json!("3601s"), json!(-1)],
        "a time such as 5s or -250ms, not 0, at most 10 years" => {
            vec![json!(0), json!("0s"), json!("3661d"), json!(-4e8)]
        }
        "above 0" | "above 0; nfqueue only, which auto then takes" => {
            vec![json!(0), json!(-1), json!("0B")]
        }
        "a multiple of 4KiB, at most 16MiB" => vec![json!(0), json!("6KiB"), json!("17MiB")],
        "a multiple of block-size" => vec![json!(0), json!("65KiB"), json!(-1)],
        "a port, a range such as \"8000-8099\", or a list of them"
        | "a port, a range such as \"8000-8099\", or a list of them; at most 10000" => {
            let mut all = vec![
                json!(0),
                json!(65_536),
                json!(-1),
                json!("9-8"),
                json!("1-65536"),
            ];
            all.push(json!([]));
            if words.ends_with("10000") {
                all.push(json!("1-10001"));
            }
            all
        }
        "1 to 16 addresses, as a list or alone" => {
            let many: Vec<String> = (1..=17).map(|host| format!("192.0.2.{host}")).collect();
            vec![
                json!(many),
                json!([]),
                json!("192.0.2.256"),
                json!("192.0.2.0/24"),
            ]
        }
        "an address, a prefix such as 10.0.0.0/8, or a list of them" => {
            vec![
                json!("10.0.0.0/33"),
                json!("10.0.0.256"),
                json!("fd00::/129"),
                json!([]),
            ]
        }
        "an address of the target, or a list of them" => {
            vec![json!("10.0.0.0/8"), json!("10.0.0.256"), json!([])]
        }
        "an object with `p`, `r` and optionally `loss-in-bad`, `loss-in-good`, each in percent" => {
            vec![
                json!({"p": 1}),
                json!({"p": 0, "r": 1}),
                json!({"p": 1, "r": 0}),
                json!({"p": 101, "r": 1}),
                json!({"p": 1, "r": 1, "loss-in-bad": 101}),
                json!({"p": 1, "r": 1, "loss-in-good": -1}),
                json!({"p": 1, "r": 1, "q": 1}),
            ]
        }
        "2 to 64 groups: a list of lists, or an object of lists by name, of addresses, prefixes and host names; a lone address is a group" =>
        {
            let many: Vec<String> = (0..65).map(|host| format!("192.0.2.{host}")).collect();
            vec![
                json!(many),
                json!(["192.0.2.1"]),
                json!([]),
                json!(["192.0.2.1", []]),
            ]
        }
        "a name, *.NAME for all below it, * for all, or a list of them" => {
            vec![
                json!(""),
                json!([]),
                json!("a..b"),
                json!("a.*.b"),
                json!("x".repeat(64)),
            ]
        }
        "absolute, writable" => vec![json!("relative/path"), json!("")],
        "the name of an interface that is up" => {
            vec![json!(""), json!("sixteen-letters-"), json!("a/b")]
        }
        "the name of a unit with its ending, such as nginx.service" => {
            vec![json!(""), json!("nginx"), json!("a b.service")]
        }
        "absolute, a socket of root or of this user with `level admin`" => {
            vec![json!("relative/path"), json!("")]
        }
        "a name, in which * is any part of it, or a list of them" => {
            vec![
                json!(""),
                json!("a;b"),
                json!("a b"),
                json!("a/b"),
                json!([]),
            ]
        }
        "the name of a backend" => vec![json!(""), json!("a;b"), json!("a\nb"), json!("a*")],
        "like http://127.0.0.1:8474: the HTTP interface of a fault proxy" => {
            vec![
                json!(""),
                json!("127.0.0.1:8474"),
                json!("https://a"),
                json!("http://a:0"),
            ]
        }
        "the name of a route of the proxy" => {
            vec![json!(""), json!("a\nb"), json!("x".repeat(256))]
        }
        "begins with / or *; * is any part of it" => vec![json!(""), json!("pay")],
        "a time from 1ms to 10m" => vec![json!(0), json!("0.9ms"), json!("601s"), json!(-1)],
        "a whole number from 400 to 599" => vec![json!(399), json!(600), json!(-1), json!(500.5)],
        "system, or the absolute path of a manager's private socket" => {
            vec![json!(""), json!("relative/path")]
        }
        "not with `supervised`; no secrets: it is kept in the undo log" => {
            vec![
                json!([]),
                json!([""]),
                json!({"argv": []}),
                json!({"argv": ["x"], "user": "y"}),
            ]
        }
        _ => match (parameter.kind, parameter.name) {
            (ParameterKind::Choice, _) => vec![json!(""), json!("no-such-word")],
            (ParameterKind::Boolean, _) => vec![json!("true"), json!(1)],
            (ParameterKind::Size, "reserve") => vec![json!(-1), json!("1XB")],
            (ParameterKind::Text, "interface") => {
                vec![
                    json!(""),
                    json!("sixteen-letters-"),
                    json!("a/b"),
                    json!("a b"),
                ]
            }
            (ParameterKind::List, "host") => vec![json!(""), json!("a b"), json!("a/b"), json!([])],
            _ => panic!("no value outside these bounds is known: {words:?}"),
        },
    }
}

/// Values of other kinds.
fn of_wrong_kinds(parameter: &Parameter) -> Vec<Value> {
    let object = json!({"no": "such"});
    match parameter.kind {
        ParameterKind::Choice if parameter.name == "restart" => vec![json!(7), object],
        ParameterKind::Choice => vec![json!(7), json!(true), json!(["x"]), object],
        ParameterKind::Boolean => vec![json!("yes"), json!(0), json!([true]), object],
        ParameterKind::Number => vec![json!("many"), json!(true), json!([1]), object],
        ParameterKind::Duration => vec![json!("soon"), json!(true), json!(["1s"]), object],
        ParameterKind::Size => vec![json!("large"), json!(true), json!([1]), object],
        ParameterKind::Text => vec![json!(true), json!(["x"]), object],
        ParameterKind::Object => vec![json!("x"), json!(7), json!([1]), object],
        ParameterKind::List => vec![json!(true), json!([true]), json!([null])],
        ParameterKind::Command => vec![json!("sh"), json!(7), json!([7]), object],
    }
}

/// Arguments that are right, but for this one.
fn with(entry: &Entry, parameter: &str, value: &Value) -> Map<String, Value> {
    let mut arguments = example::arguments(entry);
    for (one, other) in [
        ("bytes", "percent"),
        ("count", "percent"),
        ("throttle", "percent"),
        ("gilbert-elliott", "percent"),
        ("network", "zone"),
    ] {
        // Only one of both may be given.
        if parameter == one {
            arguments.remove(other);
        }
        if parameter == other {
            arguments.remove(one);
        }
    }
    arguments.insert(parameter.into(), value.clone());
    arguments
}

/// What is wrong with what is said of a wrong value.
fn complaint(entry: &Entry, parameter: &Parameter, value: &Value) -> Result<(), String> {
    let error = match Fault::parse(entry.name, &with(entry, parameter.name, value)) {
        Err(error) => error,
        Ok(_) => return Err("it is taken".into()),
    };
    let all = error.each();
    let about = all
        .iter()
        .find(|one| matches!(one, FaultError::Value { name, .. } if name == parameter.name));
    let one = about.ok_or_else(|| format!("it is not named: {error}"))?;
    let told = one.to_string();
    let mut wanted = vec![entry.name.to_owned(), value.to_string()];
    wanted.extend(numbers(parameter.bounds.unwrap_or("")));
    for word in wanted {
        if !told.contains(&word) {
            return Err(format!("{word} is not told: {told}"));
        }
    }
    let hint = one
        .hint()
        .is_some_and(|hint| hint.contains("firedrill faults NAME"));
    hint.then_some(()).ok_or_else(|| "there is no hint".into())
}

#[test]
fn the_examples_of_the_catalogue_are_right() {
    for entry in catalogue() {
        let fault = Fault::parse(entry.name, &example::arguments(&entry));
        assert!(fault.is_ok(), "{}: {fault:?}", entry.name);
    }
}

#[test]
fn every_value_out_of_bounds_is_refused_with_the_parameter_its_bounds_and_a_hint() {
    let mut count = 0;
    let mut complaints = Vec::new();
    for entry in catalogue() {
        for parameter in &entry.parameters {
            let mut wrong = out_of_bounds(parameter);
            wrong.extend(of_wrong_kinds(parameter));
            for value in wrong {
                if let Err(why) = complaint(&entry, parameter, &value) {
                    let what = format!("{} {} {value}", entry.name, parameter.name);
                    complaints.push(format!("{what}: {why}"));
                }
                count += 1;
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    eprintln!("{count} wrong values were refused");
}

/// The figures in the words of a bound.
fn numbers(words: &str) -> Vec<String> {
    let is_part = |letter: char| letter.is_ascii_digit() || letter == '.';
    let parts = words.split(|letter| !is_part(letter));
    let figures = parts.map(|part| part.trim_matches('.').to_owned());
    figures.filter(|figure| !figure.is_empty()).collect()
}

#[test]
fn an_unknown_parameter_is_refused_and_the_one_that_was_meant_is_named() {
    for entry in catalogue() {
        let refusal =
            |name: &str| Fault::parse(entry.name, &with(&entry, name, &json!(1))).unwrap_err();
        let error = refusal("no-such-parameter").to_string();
        assert!(
            error.contains(entry.name) && error.contains("no-such-parameter"),
            "{error}"
        );
        for parameter in entry.parameters.iter().filter(|one| one.name.len() > 4) {
            let mistyped = format!("{}s", parameter.name);
            let error = refusal(&mistyped);
            let meant = format!("did you mean {:?}?", parameter.name);
            assert!(error.to_string().contains(&meant), "{error}");
            assert!(error.each().iter().all(|one| one.hint().is_some()));
        }
    }
}

#[test]
fn what_is_required_is_asked_for_by_name() {
    for entry in catalogue() {
        for parameter in entry.parameters.iter().filter(|one| one.required) {
            let mut arguments = example::arguments(&entry);
            arguments.remove(parameter.name);
            let error = Fault::parse(entry.name, &arguments)
                .unwrap_err()
                .to_string();
            let needs = format!("{} needs {}", entry.name, parameter.name);
            assert!(error.contains(&needs), "{error}");
        }
    }
}
