use super::*;
use firedrill_experiment::journal::RunStatus;

fn run(output: Value) -> Run {
    Run {
        activity: json!({"name": "a", "type": "probe"}),
        output,
        start: None,
        status: Some(RunStatus::Succeeded),
        end: None,
        duration: Some(0.5),
        exception: None,
        tolerance_met: Some(true),
        extra: Map::new(),
    }
}

fn told(event: &Event<'_>) -> Value {
    let line = line(event, jiff::Timestamp::from_microsecond(1_000_001).unwrap());
    assert_eq!(line.matches('\n').count(), 1);
    serde_json::from_str(&line).unwrap()
}

#[test]
fn lines_are_those_of_chaos_toolkit() {
    assert_eq!(
        told(&Event::RunStarted { title: "a\nb" }),
        json!({"type": "run-started", "timestamp": "1970-01-01T00:00:01.000001+00:00", "title": "a\nb"})
    );
    let state = SteadyState {
        steady_state_met: Some(false),
        probes: vec![run(json!(1))],
        extra: Map::new(),
    };
    let completed = told(&Event::HypothesisCompleted {
        check: Check::During { iteration: 3 },
        state: &state,
    });
    assert_eq!(
        (
            &completed["phase"],
            &completed["iteration"],
            &completed["met"]
        ),
        (&json!("during"), &json!(3), &json!(false))
    );
    assert_eq!(
        completed["probes"],
        json!([{"name": "a", "status": "succeeded", "tolerance_met": true, "output": 1}])
    );
}

#[test]
fn a_long_output_is_left_to_the_journal() {
    let long = told(&Event::ActivityCompleted {
        run: &run(json!("x".repeat(OUTPUT_BYTES_MAX))),
    });
    assert_eq!(long["output_truncated"], true);
    assert!(long.get("output").is_none());
    let failed = Run {
        exception: Some(vec!["a\n".into(), "b\n".into()]),
        ..run(Value::Null)
    };
    assert_eq!(
        told(&Event::ActivityCompleted { run: &failed })["error"],
        "a\nb"
    );
}

#[test]
fn lines_are_in_the_file_in_order() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let events = EventsFile::create(file.path()).unwrap();
    events.emit(&Event::MethodStarted);
    events.clone().emit(&Event::MethodCompleted);
    events.flush();
    let text = std::fs::read_to_string(file.path()).unwrap();
    let kinds: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds, ["method-started", "method-completed"]);
    assert_eq!(events.problem(), None);
}

#[test]
fn a_full_disk_is_told_once_and_ends_nothing() {
    let events = EventsFile::create(Path::new("/dev/full")).unwrap();
    events.emit(&Event::MethodStarted);
    events.emit(&Event::MethodCompleted);
    events.flush();
    assert!(
        events
            .problem()
            .unwrap()
            .contains("cannot be written any more")
    );
    assert_eq!(events.problem(), None);
}

#[test]
fn a_path_that_cannot_be_opened_is_an_error() {
    let error = EventsFile::create(Path::new("/firedrill/no/events")).unwrap_err();
    assert!(error.to_string().contains("/firedrill/no/events"));
}
