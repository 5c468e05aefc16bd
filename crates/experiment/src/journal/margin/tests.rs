use serde_json::{Value, json};

use super::*;

/// As `firedrill margin` wrote it when the load generator was the only source, before anything was
/// asked.
fn before_asking(stopped: &Value) -> Value {
    json!({
        "margin": 1, "version": "0.1.0", "title": "t", "began": "2026-11-23T18:00:00Z", "seed": 1,
        "context": {"activity": "late", "fault": "application.latency", "target": {"host": true},
            "argument": "delay", "unit": "time", "kpi": "k", "rate": 40.0, "traffic": "synthetic",
            "url": "http://127.0.0.1:1/", "node": "n"},
        "question": null, "journal": [], "trials": [], "answer": null, "plotted": null,
        "stopped": stopped,
    })
}

fn read(value: Value) -> Record {
    serde_json::from_value(value).unwrap()
}

#[test]
fn every_reason_that_was_ever_written_is_read() {
    for (why, text, said) in [
        ("halted", None, "it was stopped from outside"),
        (
            "unhealthy",
            None,
            "the KPI was not well before anything was broken",
        ),
        ("unhealthy", Some("the probe failed"), "the probe failed"),
        ("refused", Some("x"), "x"),
        ("no-effect", Some("x"), "x"),
        ("sensor", Some("x"), "x"),
        ("context-changed", Some("x"), "x"),
        ("guardrail", Some("x"), "x"),
        ("not-recovered", Some("x"), "x"),
        ("residue", Some("x"), "x"),
        ("failed", Some("x"), "x"),
    ] {
        let mut stopped = json!({"why": why});
        if let Some(text) = text {
            stopped["text"] = json!(text);
        }
        let record = read(before_asking(&stopped));
        assert_eq!(record.stopped.unwrap().to_string(), said, "{why}");
    }
}

#[test]
fn a_record_without_what_came_later_is_read_and_written_as_it_was() {
    let old = before_asking(&Value::Null);
    let record = read(old.clone());
    assert_eq!(record.context.rate, Some(40.0));
    assert_eq!(
        (record.context.source.as_ref(), record.answer.as_ref()),
        (None, None)
    );
    assert!(record.search().is_none() && !record.is_over());
    assert_eq!(serde_json::to_value(&record).unwrap(), old);
}

/// One of a whole search, as it was written before a budget had anything unseen in it.
#[test]
fn an_old_search_is_replayed_and_has_the_answer_that_it_had() {
    let text = include_str!("tests/late-payments.json");
    let old: Value = serde_json::from_str(text).unwrap();
    let record = read(old.clone());
    assert!(record.is_over());
    let question = record.question.as_ref().unwrap();
    assert_eq!(question.budget.unseen_max, 0);
    let answer = record.search().unwrap().answer();
    assert_eq!(
        Some(answer.end),
        record.answer.as_ref().map(|answer| answer.end)
    );
    assert_eq!(answer.bad_events, record.bad_events());
    assert_eq!(answer.held, record.answer.as_ref().unwrap().held);
    assert_eq!(serde_json::to_value(&record).unwrap(), old);
}
