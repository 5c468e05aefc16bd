//! A journal from bytes.

use firedrill_experiment::journal::{
    Interruption, Journal, Run, Status, SteadyState, SteadyStates,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Why bytes are no journal at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("not JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("a journal is a JSON object; this is {found}")]
    NotAnObject { found: &'static str },
    #[error("no journal: neither `experiment` nor `run` nor `status` is in it")]
    NotAJournal,
}

/// Reads a journal, whoever wrote it.
///
/// What is missing or of the wrong type takes the most cautious value: a status nobody can
/// read is `aborted`, an activity without a readable status has none. Where the `firedrill`
/// part cannot be read, the journal is treated as another tool's and the reason is put under
/// the extra field `firedrill-unreadable`, which reports show.
///
/// # Errors
/// When the bytes are not JSON, not an object, or hold none of a journal's main fields.
pub fn read(bytes: &[u8]) -> Result<Journal, ReadError> {
    let value: Value = serde_json::from_slice(bytes)?;
    let Value::Object(fields) = value else {
        return Err(ReadError::NotAnObject {
            found: kind(&value),
        });
    };
    if !["experiment", "run", "status"]
        .iter()
        .any(|key| fields.contains_key(*key))
    {
        return Err(ReadError::NotAJournal);
    }
    match serde_json::from_value(Value::Object(fields.clone())) {
        Ok(journal) => Ok(journal),
        Err(_) => Ok(salvage(fields)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn salvage(mut fields: Map<String, Value>) -> Journal {
    let status = take(&mut fields, "status").unwrap_or(Status::Aborted);
    let deviated = take(&mut fields, "deviated").unwrap_or(false);
    let firedrill = match fields.shift_remove("firedrill") {
        None | Some(Value::Null) => None,
        Some(value) => match serde_json::from_value(value) {
            Ok(drill) => Some(drill),
            Err(error) => {
                fields.insert("firedrill-unreadable".into(), error.to_string().into());
                None
            }
        },
    };
    Journal {
        chaoslib_version: text(&mut fields, "chaoslib-version"),
        platform: text(&mut fields, "platform"),
        node: text(&mut fields, "node"),
        experiment: fields.shift_remove("experiment").unwrap_or_default(),
        start: text(&mut fields, "start"),
        status,
        deviated,
        steady_states: steady_states(fields.shift_remove("steady_states")),
        run: runs(fields.shift_remove("run")),
        rollbacks: runs(fields.shift_remove("rollbacks")),
        end: text(&mut fields, "end"),
        duration: take(&mut fields, "duration").unwrap_or(0.0),
        interruption: fields.shift_remove("interruption").and_then(interruption),
        safeguards: fields.shift_remove("safeguards"),
        extra: fields,
        firedrill,
    }
}

fn take<T: DeserializeOwned>(fields: &mut Map<String, Value>, key: &str) -> Option<T> {
    serde_json::from_value(fields.shift_remove(key)?).ok()
}

fn text(fields: &mut Map<String, Value>, key: &str) -> String {
    take(fields, key).unwrap_or_default()
}

fn steady_states(value: Option<Value>) -> SteadyStates {
    let Some(Value::Object(mut fields)) = value else {
        return SteadyStates::default();
    };
    let during = match fields.shift_remove("during") {
        Some(Value::Array(states)) => states.into_iter().filter_map(steady_state).collect(),
        _ => Vec::new(),
    };
    SteadyStates {
        before: fields.shift_remove("before").and_then(steady_state),
        after: fields.shift_remove("after").and_then(steady_state),
        during,
    }
}

fn steady_state(value: Value) -> Option<SteadyState> {
    let Value::Object(mut fields) = value else {
        return None;
    };
    Some(SteadyState {
        steady_state_met: take(&mut fields, "steady_state_met"),
        probes: runs(fields.shift_remove("probes")),
        extra: fields,
    })
}

fn runs(value: Option<Value>) -> Vec<Run> {
    let Some(Value::Array(entries)) = value else {
        return Vec::new();
    };
    entries.into_iter().filter_map(run).collect()
}

fn run(value: Value) -> Option<Run> {
    let Value::Object(mut fields) = value else {
        return None;
    };
    Some(Run {
        activity: fields.shift_remove("activity").unwrap_or_default(),
        output: fields.shift_remove("output").unwrap_or_default(),
        start: take(&mut fields, "start"),
        status: take(&mut fields, "status"),
        end: take(&mut fields, "end"),
        duration: take(&mut fields, "duration"),
        exception: take(&mut fields, "exception"),
        tolerance_met: take(&mut fields, "tolerance_met"),
        extra: fields,
    })
}

fn interruption(value: Value) -> Option<Interruption> {
    let Value::Object(mut fields) = value else {
        return None;
    };
    let name = take(&mut fields, "name");
    Some(Interruption {
        kind: text(&mut fields, "kind"),
        name,
        reason: text(&mut fields, "reason"),
    })
}
