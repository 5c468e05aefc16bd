//! Our reading against Chaos Toolkit's own, recorded by `recorded/record.py`.
//!
//! A difference is allowed only where it is listed here with its reason.

use firedrill_experiment::call::{Call, Command, resolve};
use firedrill_experiment::document::{Experiment, Provider, Strictness};
use firedrill_experiment::jsonpath::JsonPath;
use firedrill_experiment::parse::parse_value;
use firedrill_experiment::substitute::substitute_text;
use firedrill_experiment::tolerance::{check, compile};
use firedrill_experiment::{Format, Scope, Source};
use serde_json::{Map, Value, json};

fn recorded(text: &str) -> (Value, Vec<Value>) {
    let mut rows: Vec<Value> = serde_json::from_str(text).expect("a recording is JSON");
    (rows.remove(0), rows)
}

fn scope(header: &Value) -> Scope {
    let map = |key: &str| header[key].as_object().cloned().unwrap_or_default();
    Scope {
        configuration: map("configuration"),
        secrets: map("secrets"),
        registered: Map::new(),
    }
}

fn report(differences: &[String]) {
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn jsonpaths_find_what_jsonpath2_finds() {
    let (header, rows) = recorded(include_str!("recorded/jsonpath.json"));
    let mut differences = Vec::new();
    for row in rows {
        let path = row["path"].as_str().unwrap();
        let found = JsonPath::parse(path).map(|path| path.select(&header["document"]).unwrap());
        let same = match (&found, row.get("value")) {
            // Python's True is printed as such: exact types, not only equality.
            (Ok(found), Some(expected)) => json!(found) == *expected,
            (Err(_), None) => true,
            _ => false,
        };
        // There it parses and raises when it is used; here it does not parse.
        if !same && path != "$.list[::0]" {
            differences.push(format!("{path:?}: {found:?}, recorded {row}"));
        }
    }
    report(&differences);
}

#[test]
fn templates_are_filled_as_chaoslib_fills_them() {
    let (header, rows) = recorded(include_str!("recorded/substitution.json"));
    let scope = scope(&header);
    let mut differences = Vec::new();
    for row in rows {
        let found = substitute_text(row["template"].as_str().unwrap(), &scope);
        if row.get("value") != Some(&found) {
            differences.push(format!("{found}, recorded {row}"));
        }
    }
    report(&differences);
}

fn hypothesis_with(tolerance: &Value) -> Value {
    json!({
        "title": "t", "description": "d", "method": [],
        "steady-state-hypothesis": {"title": "h", "probes": [{
            "type": "probe", "name": "p", "tolerance": tolerance,
            "provider": {"type": "process", "path": "true"}
        }]}
    })
}

#[test]
fn tolerances_judge_as_chaoslib_judges() {
    let (header, rows) = recorded(include_str!("recorded/tolerance.json"));
    let scope = scope(&header);
    let values = header["values"].as_array().unwrap();
    let mut differences = Vec::new();
    for row in rows {
        let tolerance = &row["tolerance"];
        let read = Experiment::from_value(hypothesis_with(tolerance), Strictness::Strict);
        let valid = row["valid"].get("value").is_some();
        if read.is_ok() != valid {
            differences.push(format!(
                "{tolerance}: {:?}, recorded {}",
                read.err(),
                row["valid"]
            ));
            continue;
        }
        let (Ok(read), Some(answers)) = (read, row["answers"].as_array()) else {
            continue;
        };
        let tolerance_read = read.hypothesis.unwrap().probes[0]
            .tolerance
            .clone()
            .unwrap();
        for (value, answer) in values.iter().zip(answers) {
            let found = check(&tolerance_read, value, &scope);
            if found.as_ref().ok() != answer.as_bool().as_ref() {
                differences.push(format!(
                    "{tolerance} of {value}: {found:?}, recorded {answer}"
                ));
            }
        }
    }
    report(&differences);
}

#[test]
fn yaml_reads_as_pyyaml_reads_it() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("recorded/yaml.json")).unwrap();
    let mut differences = Vec::new();
    for row in rows {
        let text = row["text"].as_str().unwrap();
        let found = parse_value(&Source::new("x.yaml", text), Format::Yaml);
        let same = match (&found, row.get("value")) {
            (Ok(found), Some(expected)) => found == expected,
            (Err(_), None) => true,
            _ => false,
        };
        if !same && !YAML_DIFFERENCES.iter().any(|(known, _)| *known == text) {
            differences.push(format!("{text:?}: {found:?}, recorded {row}"));
        }
    }
    report(&differences);
}

/// Texts read otherwise than PyYAML, and why.
const YAML_DIFFERENCES: [(&str, &str); 4] = [
    (
        "a: 2001-12-14\t21:59:43.5 Z",
        "PyYAML refuses tabs that YAML allows",
    ),
    ("\ta: 1", "PyYAML refuses tabs that YAML allows"),
    (
        "a: \u{2028}x",
        "PyYAML takes this character for the end of a line",
    ),
    (
        "a: !!omap [x: 1]",
        "its values are tuples in Python: refused",
    ),
];

#[test]
fn patterns_match_what_python_s_re_matches() {
    let (header, rows) = recorded(include_str!("recorded/regex.json"));
    let texts = header["texts"].as_array().unwrap();
    let mut differences = Vec::new();
    for row in rows {
        let pattern = row["pattern"].as_str().unwrap();
        let found = compile(pattern).map(|regex| {
            let matched = texts
                .iter()
                .map(|text| regex.is_match(text.as_str().unwrap()).unwrap());
            matched.collect::<Value>()
        });
        if found.as_ref().ok() != row.get("value")
            && !REGEX_DIFFERENCES.iter().any(|(known, _)| *known == pattern)
        {
            differences.push(format!("{pattern:?}: {found:?}, recorded {row}"));
        }
    }
    report(&differences);
}

/// Patterns read otherwise than Python's `re`, and why.
const REGEX_DIFFERENCES: [(&str, &str); 1] =
    [(r"\B", "before Python 3.14 it does not match the empty text")];

#[test]
fn documents_are_valid_where_chaoslib_says_so() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("recorded/documents.json")).unwrap();
    let mut differences = Vec::new();
    for row in rows {
        let document = row["document"].clone();
        let found = Experiment::from_value(document.clone(), Strictness::Strict);
        let explained = DOCUMENT_DIFFERENCES.iter().any(|(known, _)| {
            let known: Value = serde_json::from_str(known).unwrap();
            known
                .as_object()
                .unwrap()
                .iter()
                .all(|(key, value)| document.get(key) == Some(value))
        });
        if Some(found.is_ok()) != row["valid"].as_bool() && !explained {
            let told = found.err().map(|diagnostics| diagnostics.lines());
            differences.push(format!("{document}: {told:?}, recorded {}", row["raises"]));
        }
    }
    report(&differences);
}

/// Part of a document judged otherwise than by Chaos Toolkit's validation, and why.
const DOCUMENT_DIFFERENCES: [(&str, &str); 1] = [(
    r#"{"steady-state-hypothesis": {"title": "h", "probes": [{"ref": "zz", "tolerance": 0}]}}"#,
    "valid there, and a traceback when it runs",
)];

#[test]
fn processes_get_the_words_that_subprocess_gets() {
    let (header, rows) = recorded(include_str!("recorded/process.json"));
    let mut differences = Vec::new();
    for row in rows {
        let provider = Provider::Process {
            path: "prog".to_owned(),
            arguments: Some(row["arguments"].clone()),
            timeout: None,
        };
        let scope = if row["scope"] == true {
            scope(&header)
        } else {
            Scope::default()
        };
        let found = resolve(&provider, &scope).map(|call| match call {
            Call::Process(process) => match process.command {
                Command::Shell(text) => Value::String(text),
                Command::Argv(words) => json!(words),
            },
            other => panic!("{other:?}"),
        });
        if found.as_ref().ok() != row.get("value") {
            differences.push(format!("{found:?}, recorded {row}"));
        }
    }
    report(&differences);
}
