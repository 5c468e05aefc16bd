//! The top-level keys of our own.

use std::time::Duration;

use serde_json::{Map, Value};

use super::activity::{Lowering, Role, choice, duration};
use super::experiment::BASELINE_DEFAULT;
use super::provider::check_load;
use super::reader::Reader;
use super::{
    BlastRadius, Expectation, Expected, Guardrail, GuardrailMode, Kpi, Objective, Recovery,
};
use crate::diagnostic::Code;
use crate::path::Path;
use crate::units;

pub(super) struct Ours {
    pub(super) kpis: Vec<Kpi>,
    pub(super) expect: Expectation,
    pub(super) recovery: Option<Recovery>,
    pub(super) baseline: Duration,
    pub(super) blast_radius: Option<BlastRadius>,
    pub(super) guardrails: Vec<Guardrail>,
}

pub(super) fn read(raw: &Map<String, Value>, lowering: &Lowering<'_>, reader: &mut Reader) -> Ours {
    let root = Path::root();
    let kpis: Vec<Kpi> = reader
        .list(raw, "kpis", &root)
        .iter()
        .enumerate()
        .filter_map(|(at, item)| kpi(item, &root.key("kpis").index(at), reader))
        .collect();
    for (at, kpi) in kpis.iter().enumerate() {
        if kpis[..at].iter().any(|other| other.name == kpi.name) {
            let place = root.key("kpis").index(at).key("name");
            reader.error(
                Code::Value,
                &place,
                format!("two KPIs are called `{}`", kpi.name),
            );
        }
    }
    let baseline = block(raw, "phases", &["baseline"], reader)
        .and_then(|(phases, path)| duration(phases, "baseline", &path, reader));
    let default = if kpis.is_empty() {
        Duration::ZERO
    } else {
        BASELINE_DEFAULT
    };
    let guardrails = reader
        .list(raw, "guardrails", &root)
        .iter()
        .enumerate()
        .filter_map(|(at, item)| {
            guardrail(item, &root.key("guardrails").index(at), lowering, reader)
        })
        .collect();
    Ours {
        expect: expect(raw, reader),
        recovery: recovery(raw, reader),
        baseline: baseline.unwrap_or(default),
        blast_radius: blast_radius(raw, reader),
        guardrails,
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

fn kpi(value: &Value, path: &Path, reader: &mut Reader) -> Option<Kpi> {
    let map = reader.map(value, path)?;
    reader.known_keys(map, path, &["name", "provider", "objective", "confidence"]);
    let name = map
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty());
    if name.is_none() {
        reader.error(Code::Missing, &path.key("name"), "a KPI needs a `name`");
    }
    let here = path.key("provider");
    let provider = match map.get("provider") {
        Some(provider) => reader.map(provider, &here),
        None => {
            reader.error(
                Code::Missing,
                &here,
                "a KPI needs a `provider`: where its numbers come from",
            );
            None
        }
    };
    if let Some(provider) = provider {
        if provider.get("type").is_some_and(|kind| kind == "load") {
            check_load(provider, &here, reader);
        } else {
            reader.error(Code::Value, &here.key("type"), "a KPI's provider is `load`");
        }
        if provider.contains_key("duration") {
            let message = "a KPI is watched as long as the drill lasts; this is ignored";
            reader.warning(Code::Surprise, &here.key("duration"), message);
        }
    }
    let objective = objective(map, path, reader);
    let confidence = match map.get("confidence") {
        None | Some(Value::Null) => 0.95,
        Some(_) => share(map, "confidence", path, reader)
            .filter(|confidence| *confidence > 0.5 && *confidence < 1.0)
            .unwrap_or_else(|| {
                let message = "`confidence` lies between 0.5 and 1, both excluded";
                reader.error(Code::Value, &path.key("confidence"), message);
                0.95
            }),
    };
    Some(Kpi {
        name: name?.to_owned(),
        provider: provider?.clone(),
        objective: objective?,
        confidence,
    })
}

fn objective(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Objective> {
    let path = path.key("objective");
    let Some(value) = map.get("objective") else {
        reader.error(
            Code::Missing,
            &path,
            "a KPI needs an `objective`: what well means",
        );
        return None;
    };
    let objective = reader.map(value, &path)?;
    reader.known_keys(
        objective,
        &path,
        &["success-ratio", "latency", "worst-window"],
    );
    let read = Objective {
        success_ratio_min: share(objective, "success-ratio", &path, reader),
        latency: latency(objective, &path, reader),
        worst_window: worst_window(objective, &path, reader),
    };
    if objective.is_empty() {
        let message = "an objective needs `success-ratio`, `latency` or `worst-window`";
        reader.error(Code::Missing, &path, message);
    }
    Some(read)
}

fn latency(
    objective: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Option<(f64, Duration)> {
    let path = path.key("latency");
    let latency = reader.map(objective.get("latency")?, &path)?;
    reader.known_keys(latency, &path, &["quantile", "max"]);
    require(latency, &["quantile", "max"], &path, reader);
    let quantile = share(latency, "quantile", &path, reader);
    let max = duration(latency, "max", &path, reader);
    Some((quantile?, max?))
}

fn worst_window(
    objective: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Option<(Duration, u64)> {
    let path = path.key("worst-window");
    let window = reader.map(objective.get("worst-window")?, &path)?;
    reader.known_keys(window, &path, &["length", "bad-max"]);
    require(window, &["length", "bad-max"], &path, reader);
    let length = duration(window, "length", &path, reader);
    if length == Some(Duration::ZERO) {
        reader.error(
            Code::Value,
            &path.key("length"),
            "a window of no length holds nothing",
        );
    }
    let bad_max = count(window, "bad-max", &path, reader);
    Some((length?, bad_max?))
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

fn guardrail(
    value: &Value,
    path: &Path,
    lowering: &Lowering<'_>,
    reader: &mut Reader,
) -> Option<Guardrail> {
    let map = reader.map(value, path)?;
    reader.known_keys(map, path, &["probe", "mode"]);
    require(map, &["probe", "mode"], path, reader);
    let probe = map
        .get("probe")
        .and_then(|probe| lowering.one(probe, &path.key("probe"), Role::Guardrail, reader));
    let here = path.key("mode");
    let mode = match map.get("mode") {
        Some(Value::Object(mode)) => {
            reader.known_keys(mode, &here, &["every"]);
            require(mode, &["every"], &here, reader);
            let every = duration(mode, "every", &here, reader);
            if every == Some(Duration::ZERO) {
                reader.error(Code::Value, &here.key("every"), "every 0 s is without end");
            }
            every.map(GuardrailMode::Every)
        }
        Some(Value::Number(seconds)) => units::duration(&Value::Number(seconds.clone()))
            .ok()
            .map(GuardrailMode::Every),
        Some(_) => {
            const NAMES: [(&str, GuardrailMode); 2] = [
                ("pre-check", GuardrailMode::PreCheck),
                ("background", GuardrailMode::Background),
            ];
            choice(map, "mode", &NAMES, path, reader)
        }
        None => None,
    };
    Some(Guardrail {
        probe: probe?,
        mode: mode?,
    })
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
