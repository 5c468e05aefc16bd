//! The top-level keys of our own.

use std::time::Duration;

use serde_json::{Map, Value};

use super::activity::{Lowering, choice, duration};
use super::experiment::BASELINE_DEFAULT;
use super::reader::Reader;
use super::{
    BlastRadius, Expectation, Expected, Guardrail, Kpi, KpiGuardrail, Recovery, guardrail, kpi,
};
use crate::diagnostic::Code;
use crate::path::Path;

pub(super) struct Ours {
    pub(super) kpis: Vec<Kpi>,
    pub(super) expect: Expectation,
    pub(super) recovery: Option<Recovery>,
    pub(super) baseline: Duration,
    pub(super) blast_radius: Option<BlastRadius>,
    pub(super) guardrails: Vec<Guardrail>,
    pub(super) kpi_guardrails: Vec<KpiGuardrail>,
}

pub(super) fn read(raw: &Map<String, Value>, lowering: &Lowering<'_>, reader: &mut Reader) -> Ours {
    let kpis = kpi::all(raw, reader);
    let baseline = block(raw, "phases", &["baseline"], reader)
        .and_then(|(phases, path)| duration(phases, "baseline", &path, reader));
    let (guardrails, kpi_guardrails) = guardrail::all(raw, &kpis, lowering, reader);
    let default = match kpis.is_empty() && kpi_guardrails.is_empty() {
        true => Duration::ZERO,
        false => BASELINE_DEFAULT,
    };
    Ours {
        expect: expect(raw, reader),
        recovery: recovery(raw, reader),
        baseline: baseline.unwrap_or(default),
        blast_radius: blast_radius(raw, reader),
        guardrails,
        kpi_guardrails,
        kpis,
    }
}

pub(super) fn block<'a>(
    raw: &'a Map<String, Value>,
    key: &str,
    known: &[&str],
    reader: &mut Reader,
) -> Option<(&'a Map<String, Value>, Path)> {
    let path = Path::root().key(key);
    let map = reader.map(raw.get(key).filter(|value| !value.is_null())?, &path)?;
    reader.known_keys(map, &path, known);
    Some((map, path))
}

fn expect(raw: &Map<String, Value>, reader: &mut Reader) -> Expectation {
    const KEYS: [&str; 3] = ["during", "success-ratio-max", "transition"];
    const NAMES: [(&str, Expected); 3] = [
        ("continue", Expected::Continue),
        ("degrade", Expected::Degrade),
        (
            "stop",
            Expected::Stop {
                success_ratio_max: 0.0,
            },
        ),
    ];
    let default = Expectation {
        during: Expected::Continue,
        transition: Duration::ZERO,
    };
    let Some((map, path)) = block(raw, "expect", &KEYS, reader) else {
        return default;
    };
    let mut during = choice(map, "during", &NAMES, &path, reader).unwrap_or(Expected::Continue);
    let ratio = share(map, "success-ratio-max", &path, reader);
    match &mut during {
        Expected::Stop { success_ratio_max } => *success_ratio_max = ratio.unwrap_or(0.0),
        Expected::Continue | Expected::Degrade if ratio.is_some() => {
            let message = "`success-ratio-max` belongs to `during: stop`";
            reader.error(Code::Value, &path.key("success-ratio-max"), message);
        }
        Expected::Continue | Expected::Degrade => {}
    }
    let transition = duration(map, "transition", &path, reader).unwrap_or_default();
    Expectation { during, transition }
}

fn recovery(raw: &Map<String, Value>, reader: &mut Reader) -> Option<Recovery> {
    let (map, path) = block(raw, "recovery", &["within"], reader)?;
    require(map, &["within"], &path, reader);
    duration(map, "within", &path, reader).map(|within| Recovery { within })
}

fn blast_radius(raw: &Map<String, Value>, reader: &mut Reader) -> Option<BlastRadius> {
    const KEYS: [&str; 7] = [
        "targets-max",
        "percent-of-healthy",
        "healthy-remaining-min",
        "duration-max",
        "traffic-percent-max",
        "bad-events-max",
        "exclusive-host",
    ];
    let (map, path) = block(raw, "blast-radius", &KEYS, reader)?;
    // A limit nobody reads is a limit that does not hold, so a slip here is an error.
    for key in map.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let message = format!("no such limit: `{key}`; there are {}", KEYS.join(", "));
        reader.error(Code::Value, &path.key(key), message);
    }
    if map.is_empty() {
        reader.error(
            Code::Missing,
            &path,
            "a blast radius without a limit limits nothing",
        );
    }
    Some(BlastRadius {
        targets_max: count(map, "targets-max", &path, reader),
        percent_of_healthy: percent(map, "percent-of-healthy", &path, reader),
        healthy_remaining_min: count(map, "healthy-remaining-min", &path, reader),
        traffic_percent_max: percent(map, "traffic-percent-max", &path, reader),
        bad_events_max: count(map, "bad-events-max", &path, reader),
        duration_max: duration(map, "duration-max", &path, reader),
        exclusive_host: flag(map, "exclusive-host", &path, reader),
    })
}

/// A limit that nobody reads is a limit that does not hold, so a slip here is an error.
pub(super) fn refuse_unknown(
    map: &Map<String, Value>,
    path: &Path,
    known: &[&str],
    reader: &mut Reader,
) {
    for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
        let message = format!("no such key: `{key}`; there are {}", known.join(", "));
        reader.error(Code::Value, &path.key(key), message);
    }
}

pub(super) fn require(map: &Map<String, Value>, keys: &[&str], path: &Path, reader: &mut Reader) {
    for key in keys
        .iter()
        .filter(|key| map.get(**key).is_none_or(Value::is_null))
    {
        reader.error(
            Code::Missing,
            &path.key(key),
            format!("`{key}` is needed here"),
        );
    }
}

/// A number from 0 to 1.
pub(super) fn share(
    map: &Map<String, Value>,
    key: &str,
    path: &Path,
    reader: &mut Reader,
) -> Option<f64> {
    number(map, key, 1.0, "a number from 0 to 1", path, reader)
}

fn percent(map: &Map<String, Value>, key: &str, path: &Path, reader: &mut Reader) -> Option<f64> {
    number(map, key, 100.0, "a percentage from 0 to 100", path, reader)
}

fn number(
    map: &Map<String, Value>,
    key: &str,
    max: f64,
    what: &str,
    path: &Path,
    reader: &mut Reader,
) -> Option<f64> {
    let value = map.get(key).filter(|value| !value.is_null())?;
    let number = value.as_f64().filter(|number| (0.0..=max).contains(number));
    if number.is_none() {
        reader.error(Code::Value, &path.key(key), format!("`{key}` is {what}"));
    }
    number
}

/// False where it is absent.
pub(super) fn flag(map: &Map<String, Value>, key: &str, path: &Path, reader: &mut Reader) -> bool {
    match map.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => *flag,
        Some(_) => {
            let message = format!("`{key}` is true or false");
            reader.error(Code::Value, &path.key(key), message);
            false
        }
    }
}

pub(super) fn count(
    map: &Map<String, Value>,
    key: &str,
    path: &Path,
    reader: &mut Reader,
) -> Option<u64> {
    let value = map.get(key).filter(|value| !value.is_null())?;
    let count = value.as_u64();
    if count.is_none() {
        reader.error(
            Code::Value,
            &path.key(key),
            format!("`{key}` is a whole number from 0"),
        );
    }
    count
}
