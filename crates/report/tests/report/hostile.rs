use firedrill_report::{HtmlOptions, ReadError, html, json, junit, markdown, read};
use proptest::prelude::*;
use serde_json::{Value, json as value};

use crate::sample;

/// Every format, from bytes.
fn all(bytes: &[u8]) -> Option<String> {
    let journal = read(bytes).ok()?;
    let journals = [journal];
    let page = html(&journals, &HtmlOptions::default());
    let all = [
        markdown(&journals),
        junit(&journals).unwrap(),
        json(&journals).to_string(),
    ];
    assert!(!page.is_empty() && all.iter().all(|text| !text.is_empty()));
    Some(page)
}

#[test]
fn what_is_no_journal_is_refused_with_the_reason() {
    assert!(matches!(read(b"{"), Err(ReadError::Syntax(_))));
    assert!(matches!(
        read(b"[1]"),
        Err(ReadError::NotAnObject { found: "a list" })
    ));
    assert!(matches!(read(b"{\"a\": 1}"), Err(ReadError::NotAJournal)));
}

#[test]
fn missing_null_and_misshapen_fields_are_survived() {
    for text in [
        r#"{"run": null}"#,
        r#"{"experiment": null, "status": null, "steady_states": null, "rollbacks": null}"#,
        r#"{"experiment": "x", "status": "paused", "start": 7, "duration": "long", "run": [1, null, {}]}"#,
        r#"{"experiment": {"title": 7}, "steady_states": {"before": {"probes": [{"activity": null}]}, "during": {}}, "run": {}}"#,
        r#"{"run": [{"activity": [], "output": {"a": [null]}, "start": "x", "duration": -1e308, "exception": "boom"}], "duration": 1e308}"#,
        r#"{"status": "completed", "start": "2026-01-01T00:00:00", "run": [{"activity": {"name": "a"}, "start": "9999-01-01T00:00:00", "end": "0001-01-01T00:00:00"}]}"#,
    ] {
        assert!(all(text.as_bytes()).is_some(), "{text}");
    }
}

#[test]
fn an_unreadable_part_of_ours_is_said() {
    let page = all(br#"{"status": "completed", "firedrill": {"verdict": "held"}}"#).unwrap();
    assert!(page.contains("part could not be read"), "{page}");
    assert!(!page.contains(">Held<"));
}

#[test]
fn nothing_of_a_journal_becomes_markup() {
    let evil = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'";
    let mut journal = serde_json::to_value(sample::broken()).unwrap();
    poison(&mut journal, evil);
    let page = all(journal.to_string().as_bytes()).unwrap();
    assert!(page.contains("&lt;script&gt;"));
    assert!(
        !page.contains("<script") && !page.contains("<img"),
        "{page}"
    );
}

/// Replaces the strings that are free text.
fn poison(value: &mut Value, with: &str) {
    const FREE: [&str; 18] = [
        "title",
        "name",
        "fault",
        "mechanism",
        "requested",
        "achieved",
        "activity",
        "objective",
        "source",
        "traffic",
        "expectation",
        "node",
        "platform",
        "id",
        "digest",
        "version",
        "stdout",
        "url",
    ];
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if value.is_string() && FREE.contains(&key.as_str()) {
                    *value = with.into();
                }
                if let Value::Array(items) = value
                    && ["reasons", "targets", "findings", "notes"].contains(&key.as_str())
                {
                    items.iter_mut().for_each(|item| *item = with.into());
                }
                poison(value, with);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, with)),
        _ => {}
    }
}

#[test]
fn a_huge_output_is_cut_with_a_note() {
    let journal = value!({"status": "completed", "run": [
        {"activity": {"name": "dump"}, "output": "x".repeat(10_000_000), "exception": ["y".repeat(100_000)]}]});
    let page = all(journal.to_string().as_bytes()).unwrap();
    assert!(page.len() < 60_000, "{}", page.len());
    assert!(page.contains("Cut here: 9,995,904 more bytes are in the journal."));
}

#[test]
fn a_drill_of_hours_gives_a_page_of_bounded_size() {
    let mut journal = sample::held();
    let drill = journal.firedrill.as_mut().unwrap();
    let point = drill.kpis[0].series[0];
    drill.kpis[0].series = (0..200_000)
        .map(|i| firedrill_experiment::journal::Point {
            at: f64::from(i) * 0.25,
            ..point
        })
        .collect();
    let page = html(&[journal], &HtmlOptions::default());
    assert!(page.len() < 250_000, "{}", page.len());
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>()
            .prop_map(|v| serde_json::Number::from_f64(v).map_or(Value::Null, Value::Number)),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z_-]{1,10}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Replaces the value at a random place.
fn mutate(value: &mut Value, mut path: Vec<usize>, with: Value) {
    let Some(step) = path.pop() else {
        *value = with;
        return;
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            let at = step % map.len();
            if let Some(inner) = map.values_mut().nth(at) {
                mutate(inner, path, with);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let at = step % items.len();
            mutate(&mut items[at], path, with);
        }
        other => *other = with,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_mutated_journal_brings_a_report_down(
        path in prop::collection::vec(any::<usize>(), 1..7), with in anything(),
    ) {
        let mut journal = serde_json::to_value(sample::broken()).unwrap();
        mutate(&mut journal, path, with);
        all(journal.to_string().as_bytes());
    }
}
