//! Records of margins as pages: what a search found, and one that hostile names are in.

use std::time::Duration;

use firedrill_judge::margin::{
    Aim, Approach, Budget, Dwell, Entry, Margin, Normal, NormalIs, Question, Recovery, Scale, Step,
    TrialRecord, Verdict,
};
use firedrill_report::{HtmlOptions, margin};
use serde_json::{Value, json};

/// A search of a system that breaks at 200 ms, as its record has it.
fn searched(name: &str) -> Value {
    let question = Question {
        lowest: 10.0,
        largest: 1000.0,
        scale: Scale::Log,
        resolution: 0.1,
        bad_rate_max: 0.02,
        alpha: 0.05,
        aim: Aim::Search {
            jump_max: 2.0,
            hysteresis: false,
        },
        normal: Some(Normal {
            value: 48.0,
            is: NormalIs::AddedTo,
        }),
        dwell: Dwell {
            min: Duration::from_secs(1),
            max: Duration::from_secs(10),
        },
        budget: Budget {
            bad_events_max: 500,
            bad_events_per_trial_max: 50,
            trials_max: 60,
            unseen_max: 0,
            before_max: 0,
        },
        recovery_within: Duration::from_secs(10),
    };
    let mut search = Margin::new(question.clone()).unwrap();
    let mut trials = Vec::new();
    loop {
        let entry = match search.step() {
            Step::Stop(_) => break,
            Step::Recover { .. } => Entry::Recovery(Recovery {
                recovered: true,
                bad: 0,
            }),
            Step::Try(ask) => {
                let breaks = ask.magnitude > 200.0;
                let trial = TrialRecord {
                    magnitude: ask.magnitude,
                    approach: Approach::Below,
                    verdict: if breaks {
                        Verdict::Break
                    } else {
                        Verdict::Hold
                    },
                    bad: if breaks { 10 } else { 0 },
                    good: Some(if breaks { 10 } else { 300 }),
                    bad_before: 0,
                };
                let number = trials.len() + 1;
                trials.push(json!({"number": number, "trial": trial, "applied": number,
                    "reverted": number as f64 + 0.5, "mechanism": "m", "achieved": "<i>x</i>"}));
                Entry::Trial(trial)
            }
        };
        search.record(entry).unwrap();
    }
    json!({
        "margin": 1, "version": "0", "title": "Late <payments>", "began": "2026-11-23T18:00:00Z",
        "seed": 1,
        "context": {"name": name, "activity": "late", "fault": "f", "target": {"host": true},
            "argument": "delay", "unit": "time", "kpi": "k", "rate": 40.0, "traffic": "synthetic",
            "url": "http://x/", "node": "n",
            "facts": {"version": "1.4", "replicas": 6}},
        "question": question, "journal": search.journal(), "trials": trials,
        "answer": search.answer(), "plotted": search.plotted(), "stopped": null,
    })
}

#[test]
fn the_sentence_says_where_it_breaks_and_what_that_holds_for() {
    let record = searched("delay").to_string();
    assert!(margin::is_record(record.as_bytes()));
    let dimensions = margin::read(record.as_bytes()).unwrap();
    let told = margin::told(&dimensions[0]);
    assert_eq!((told.good, told.word), (Some(true), "found"));
    let parts = [
        "`delay` of `late` breaks at ",
        "(95 %: ",
        "48 ms is normal today",
        "at 40 requests/s, version 1.4, 6 replicas",
    ];
    for part in parts {
        assert!(told.sentence.contains(part), "{}", told.sentence);
    }
}

#[test]
fn several_dimensions_are_a_table_and_a_plot_each_and_nothing_escapes_its_place() {
    let records = json!({"margins": 1, "title": "t",
        "records": [searched("a<b"), searched("c|d")]});
    let dimensions = margin::read(records.to_string().as_bytes()).unwrap();
    let page = margin::html(&dimensions, &HtmlOptions::default());
    assert_eq!(page.matches("role=\"img\"").count(), 2);
    assert!(page.contains("a&lt;b") && page.contains("Late &lt;payments&gt;"));
    assert!(!page.contains("<i>x") && !page.contains("<payments>") && !page.contains("NaN"));
    let text = margin::markdown(&dimensions);
    assert!(text.contains("| c\\|d | found |"), "{text}");
    let rows = margin::json(&dimensions);
    assert_eq!(rows["rows"][0]["answer"], "found");
}

#[test]
fn a_search_that_was_stopped_before_it_asked_is_a_page_too() {
    let mut record = searched("delay");
    for key in ["question", "answer", "plotted"] {
        record[key] = Value::Null;
    }
    record["trials"] = json!([]);
    record["stopped"] = json!({"why": "unhealthy", "text": null});
    let dimensions = margin::read(record.to_string().as_bytes()).unwrap();
    let page = margin::html(&dimensions, &HtmlOptions::default());
    assert!(
        page.contains("the KPI was not well before anything was broken"),
        "{page}"
    );
    record["stopped"] = json!({"why": "halted"});
    let dimensions = margin::read(record.to_string().as_bytes()).unwrap();
    assert_eq!(
        margin::told(&dimensions[0]).sentence,
        "it was stopped from outside"
    );
    assert!(margin::read(b"{\"margin\": 1}").is_err());
}
