//! A drill's progress, one JSON object a line, for whoever follows the file.
//!
//! The lines are those of Chaos Toolkit's `--events-file`: `type` and `timestamp`, then what
//! belongs to the type. A thread of its own writes them, so that a slow reader of a pipe or a full
//! disk can lose lines but never hold up or end the drill.

mod progress;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use firedrill_experiment::journal::{Run, SteadyState};
use serde_json::{Map, Value, json};

/// An output longer than this, as JSON, is left to the journal.
pub const OUTPUT_BYTES_MAX: usize = 4096;

/// Lines that may wait to be written.
const QUEUE_LINES: usize = 10_000;

/// How long the last lines may take at the end.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// When a check of the hypothesis happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Before,
    During { iteration: u64 },
    After,
}

/// What is told.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    RunStarted {
        title: &'a str,
    },
    RunFinished {
        status: &'a str,
        deviated: bool,
    },
    RunInterrupted,
    RunSignalExit,
    /// The frequency, in seconds, of checks during the method.
    HypothesisStarted {
        check: Check,
        frequency: Option<f64>,
    },
    HypothesisCompleted {
        check: Check,
        state: &'a SteadyState,
    },
    MethodStarted,
    MethodCompleted,
    RollbacksStarted,
    RollbacksCompleted,
    ActivityStarted {
        activity: &'a Value,
    },
    ActivityCompleted {
        run: &'a Run,
    },
    /// Ours: types that Chaos Toolkit does not have.
    Firedrill {
        kind: &'a str,
        fields: Map<String, Value>,
    },
}

#[derive(Debug, thiserror::Error)]
#[error("the events file {} cannot be opened", path.display())]
pub struct EventsError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// An open events file. Cheap to clone; its lines are written in the order of the calls.
#[derive(Debug, Clone)]
pub struct EventsFile {
    lines: SyncSender<Message>,
    problem: Arc<Mutex<Problem>>,
}

enum Message {
    Line(String),
    Flush(SyncSender<()>),
}

#[derive(Debug, Default)]
struct Problem {
    words: Option<String>,
    told: bool,
}

impl EventsFile {
    /// Starts the file anew.
    ///
    /// # Errors
    /// It cannot be opened. Nothing later is an error.
    pub fn create(path: &Path) -> Result<Self, EventsError> {
        let failed = |source| EventsError {
            path: path.to_path_buf(),
            source,
        };
        let file = File::create(path).map_err(failed)?;
        let (lines, queue) = sync_channel(QUEUE_LINES);
        let problem = Arc::new(Mutex::new(Problem::default()));
        let (shared, name) = (Arc::clone(&problem), path.to_path_buf());
        std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || write(file, &queue, &name, &shared))
            .map_err(failed)?;
        Ok(Self { lines, problem })
    }

    /// Never waits and never fails; see [`EventsFile::problem`].
    pub fn emit(&self, event: &Event<'_>) {
        let line = line(event, jiff::Timestamp::now());
        match self.lines.try_send(Message::Line(line)) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => note(&self.problem, || {
                "the events file's reader is too slow: lines are lost".to_owned()
            }),
        }
    }

    /// What went wrong, in words, the first time this is asked after it happened.
    pub fn problem(&self) -> Option<String> {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if problem.told || problem.words.is_none() {
            return None;
        }
        problem.told = true;
        problem.words.clone()
    }

    /// Waits until what was emitted is written, for a second at most. Blocks.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.lines.try_send(Message::Flush(done)).is_ok() {
            // Late or never: the drill is over and does not wait for a stuck reader.
            let _late = written.recv_timeout(CLOSE_GRACE);
        }
    }
}

fn write(mut file: File, queue: &Receiver<Message>, path: &Path, problem: &Mutex<Problem>) {
    let mut broken = false;
    while let Ok(message) = queue.recv() {
        match message {
            Message::Line(line) if !broken => {
                // One write for the whole line: a reader never sees half of it.
                if let Err(error) = file.write_all(line.as_bytes()) {
                    broken = true;
                    note(problem, || {
                        format!(
                            "the events file {} cannot be written any more: {error}",
                            path.display()
                        )
                    });
                }
            }
            Message::Line(_) => {}
            Message::Flush(done) => {
                let _nobody_waits = done.send(());
            }
        }
    }
}

fn note(problem: &Mutex<Problem>, words: impl FnOnce() -> String) {
    problem
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .words
        .get_or_insert_with(words);
}

fn line(event: &Event<'_>, now: jiff::Timestamp) -> String {
    let (kind, fields) = describe(event);
    let mut object = Map::new();
    object.insert("type".to_owned(), json!(kind));
    object.insert(
        "timestamp".to_owned(),
        json!(now.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()),
    );
    object.extend(fields);
    let mut line = Value::Object(object).to_string();
    line.push('\n');
    line
}

fn describe<'a>(event: &Event<'a>) -> (&'a str, Map<String, Value>) {
    let (kind, fields) = match event {
        Event::RunStarted { title } => ("run-started", json!({"title": title})),
        Event::RunFinished { status, deviated } => (
            "run-finished",
            json!({"status": status, "deviated": deviated}),
        ),
        Event::RunInterrupted => ("run-interrupted", json!({})),
        Event::RunSignalExit => ("run-signal-exit", json!({})),
        Event::HypothesisStarted { check, frequency } => {
            ("hypothesis-started", started(*check, *frequency))
        }
        Event::HypothesisCompleted { check, state } => {
            ("hypothesis-completed", completed(*check, state))
        }
        Event::MethodStarted => ("method-started", json!({})),
        Event::MethodCompleted => ("method-completed", json!({})),
        Event::RollbacksStarted => ("rollbacks-started", json!({})),
        Event::RollbacksCompleted => ("rollbacks-completed", json!({})),
        Event::ActivityStarted { activity } => (
            "activity-started",
            json!({
                "name": activity.get("name"),
                "activity_type": activity.get("type"),
                "background": activity.get("background").and_then(Value::as_bool).unwrap_or(false),
            }),
        ),
        Event::ActivityCompleted { run } => ("activity-completed", activity_completed(run)),
        Event::Firedrill { kind, fields } => return (kind, fields.clone()),
    };
    match fields {
        Value::Object(fields) => (kind, fields),
        _ => (kind, Map::new()),
    }
}

fn phase(check: Check) -> &'static str {
    match check {
        Check::Before => "before",
        Check::During { .. } => "during",
        Check::After => "after",
    }
}

fn started(check: Check, frequency: Option<f64>) -> Value {
    let mut fields = json!({"phase": phase(check)});
    if let (Check::During { .. }, Some(frequency)) = (check, frequency) {
        fields["frequency"] = json!(frequency);
    }
    fields
}

fn completed(check: Check, state: &SteadyState) -> Value {
    let mut fields = json!({"phase": phase(check)});
    if let Check::During { iteration } = check {
        fields["iteration"] = json!(iteration);
    }
    fields["met"] = json!(state.steady_state_met);
    let probes = state.probes.iter().map(|run| {
        let mut probe = json!({
            "name": run.activity.get("name"),
            "status": run.status,
            "tolerance_met": run.tolerance_met,
        });
        put_output(&mut probe, &run.output);
        probe
    });
    fields["probes"] = probes.collect();
    fields
}

fn activity_completed(run: &Run) -> Value {
    let mut fields = json!({
        "name": run.activity.get("name"),
        "activity_type": run.activity.get("type"),
        "status": run.status,
        "duration": run.duration,
    });
    put_output(&mut fields, &run.output);
    if let Some(exception) = run.exception.as_ref().filter(|lines| !lines.is_empty()) {
        fields["error"] = json!(exception.concat().trim());
    }
    fields
}

fn put_output(fields: &mut Value, output: &Value) {
    let size = output.to_string().len();
    if size > OUTPUT_BYTES_MAX {
        fields["output_truncated"] = json!(true);
        fields["output_size"] = json!(size);
    } else {
        fields["output"] = output.clone();
    }
}

#[cfg(test)]
mod tests;
