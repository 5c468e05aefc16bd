use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use crate::place::Place;

const GOOD: &str = r#"{
  "title": "Ping",
  "description": "Is it there?",
  "steady-state-hypothesis": {
    "title": "It answers",
    "probes": [{
      "type": "probe", "name": "answers", "tolerance": 200,
      "provider": {"type": "http", "url": "http://127.0.0.1:1/"}
    }]
  },
  "method": [{
    "type": "action", "name": "touch", "tags": ["files"],
    "provider": {"type": "process", "path": "true"}
  }]
}
"#;

const BAD: &str = r#"titel: Many mistakes
description: 1
steady-state-hypothesis:
  title: It answers
  probes:
    - type: probe
      name: answers
      tolerance: 200
      provider: {type: htpp, url: "http://127.0.0.1:1/"}
method:
  - type: action
    provider: {type: process, path: "true", argumnts: []}
  - ref: nothing-is-called-this
  - type: action
    name: pause
    provider:
      type: fault
      name: infrastructure.process-pause
      target: {name: web}
      duration: 10 parsecs
"#;

#[test]
fn a_valid_document_says_so() {
    let place = Place::new();
    place.file("good.json", GOOD);
    assert_snapshot!(place.see(&["validate", "good.json"]));
}

#[test]
fn every_mistake_is_found_at_once_with_its_place_and_a_hint() {
    let place = Place::new();
    place.file("bad.yaml", BAD);
    assert_snapshot!(place.see(&["validate", "bad.yaml"]));
}

#[test]
fn a_document_that_cannot_be_read_does_not_hide_the_next_one() {
    let place = Place::new();
    place.file("good.json", GOOD);
    place.file("broken.json", "{\n  \"title\": \"x\",\n  oops\n}");
    place.file("x.toml", "");
    assert_snapshot!(place.see(&[
        "validate",
        "missing.json",
        "broken.json",
        "x.toml",
        "good.json"
    ]));
}

#[test]
fn mistakes_are_data_for_programs() {
    let place = Place::new();
    place.file("bad.yaml", BAD);
    let output = place.run(&["validate", "bad.yaml", "--output", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["valid"], false);
    let items = found["documents"][0]["diagnostics"].as_array().unwrap();
    assert!(items.len() > 5);
    for item in items {
        assert!(item["line"].as_u64().is_some_and(|line| line > 0), "{item}");
        assert!(
            item["code"].is_string() && item["message"].is_string(),
            "{item}"
        );
    }
}

#[test]
fn warnings_count_only_when_asked() {
    let place = Place::new();
    place.file(
        "extra.json",
        &GOOD.replacen(r#""path": "true""#, r#""path": "true", "argumnts": []"#, 1),
    );
    assert_eq!(
        place.run(&["validate", "extra.json"]).status.code(),
        Some(0)
    );
    assert_eq!(
        place
            .run(&["validate", "extra.json", "--strict"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn the_schema_is_json_schema_and_accepts_what_validate_accepts_at_the_top() {
    let place = Place::new();
    let output = place.run(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    let good: Value = serde_json::from_str(GOOD).unwrap();
    for key in good.as_object().unwrap().keys() {
        assert!(properties.contains_key(key), "{key}");
    }
    let names: Vec<&String> = properties.keys().collect();
    assert_snapshot!(format!("{names:#?}"));
}

#[test]
fn a_plain_document_is_exported_without_our_keys() {
    let place = Place::new();
    place.file("good.json", GOOD);
    assert_snapshot!(place.see(&["export", "good.json", "--chaostoolkit"]));
}

#[test]
fn an_export_that_would_lose_what_the_drill_relies_on_is_refused() {
    let place = Place::new();
    let guarded = GOOD.replacen(
        "\"method\"",
        r#""guardrails": [{"mode": "pre-check", "probe": {
            "type": "probe", "name": "quiet", "tolerance": 0,
            "provider": {"type": "process", "path": "true"}}}],
          "method""#,
        1,
    );
    place.file("guarded.json", &guarded);
    assert_snapshot!(place.see(&["export", "guarded.json", "--chaostoolkit"]));
}

#[test]
fn init_writes_a_document_that_validates() {
    let place = Place::new();
    let words = [
        "init",
        "--url",
        "http://127.0.0.1:8080/",
        "--process",
        "name=web",
        "-o",
        "web.yaml",
    ];
    assert_snapshot!("init_written", place.see(&words));
    assert_snapshot!(
        "init_validates",
        place.see(&["validate", "web.yaml", "--strict"])
    );
}

#[test]
fn init_finds_the_process_behind_an_address() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let output = place.run(&["init", "--url", &url, "--output", "json"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let target = said["target"].as_str().unwrap();
    let own_name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let own = [
        format!("name={}", own_name.trim()),
        format!("pid={}", std::process::id()),
    ];
    assert!(own.iter().any(|own| own == target), "{target}");
}

#[test]
fn the_catalogue_is_short_and_each_fault_is_explained() {
    let place = Place::new();
    // Which of them this host cannot do is the host's business.
    let listed = place.see(&["faults"]);
    let lines = listed.lines().filter(|line| !line.contains("not here  "));
    assert_snapshot!("faults", lines.collect::<Vec<_>>().join("\n"));
    assert_snapshot!(
        "faults_process_pause",
        place.see(&["faults", "process-pause"])
    );
    let output = place.run(&["faults", "--output", "json"]);
    let catalogue: Value = serde_json::from_slice(&output.stdout).unwrap();
    for fault in catalogue["faults"].as_array().unwrap() {
        assert!(
            fault["recovery-path"]
                .as_str()
                .is_some_and(|path| !path.is_empty()),
            "{fault}"
        );
    }
}

#[test]
fn every_ready_drill_is_valid_and_its_faults_understand_their_arguments() {
    let shelves = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
    let place = Place::new();
    let drills = ["chaos", "margins", "canaries"]
        .map(|shelf| std::fs::read_dir(shelves.join(shelf)).unwrap());
    for entry in drills.into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind == "md") {
            continue;
        }
        let path = path.to_str().unwrap();
        let valid = place.run(&["validate", path]);
        assert_eq!(valid.status.code(), Some(0), "{path}: {valid:?}");
        // Its targets need not be here; what it asks for has to be understood.
        let plan = place.run(&["plan", path]);
        let said = String::from_utf8_lossy(&plan.stdout) + String::from_utf8_lossy(&plan.stderr);
        for mistake in [
            "has no parameter",
            "but must be",
            "there is no fault",
            "cannot hit",
        ] {
            assert!(!said.contains(mistake), "{path}: {said}");
        }
    }
}
