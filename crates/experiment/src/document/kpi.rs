//! KPIs: where a stream's numbers come from, and what well means for it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::activity::duration;
use super::ours::{count, require, share};
use super::reader::{Reader, not_one_of};
use super::{Kpi, Objective, PhaseObjectives};
use crate::call::{self, KpiSource};
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;
use crate::substitute::names;
use crate::units;

const CONFIDENCE_DEFAULT: f64 = 0.95;
const OBJECTIVE_KEYS: [&str; 4] = ["success-ratio", "latency", "worst-window", "bad-events-max"];

/// Top-level `kpis`.
pub(super) fn all(raw: &Map<String, Value>, reader: &mut Reader) -> Vec<Kpi> {
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
    kpis
}

fn kpi(value: &Value, path: &Path, reader: &mut Reader) -> Option<Kpi> {
    let map = reader.map(value, path)?;
    reader.known_keys(
        map,
        path,
        &["name", "provider", "objective", "phases", "confidence"],
    );
    let name = name(map, "a KPI needs a `name`", path, reader);
    let provider = provider(map, "a KPI", path, reader);
    let objective = objective(map, "a KPI", path, reader);
    let phases = phases(map, path, reader);
    let confidence = confidence(map, path, reader);
    if let (Some(provider), Some(objective)) = (&provider, &objective) {
        let path = path.key("objective");
        check_seen(provider, objective, &path, reader);
    }
    Some(Kpi {
        name: name?,
        provider: provider?,
        objective: objective?,
        phases,
        confidence,
    })
}

pub(super) fn name(
    map: &Map<String, Value>,
    missing: &str,
    path: &Path,
    reader: &mut Reader,
) -> Option<String> {
    let name = map
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty());
    if name.is_none() {
        reader.error(Code::Missing, &path.key("name"), missing);
    }
    name.map(str::to_owned)
}

/// The stream's source, of whatever kind.
pub(super) fn provider(
    map: &Map<String, Value>,
    whose: &str,
    path: &Path,
    reader: &mut Reader,
) -> Option<Map<String, Value>> {
    let here = path.key("provider");
    let Some(provider) = map.get("provider") else {
        let message = format!("{whose} needs a `provider`: where its numbers come from");
        reader.error(Code::Missing, &here, message);
        return None;
    };
    source(provider, &here, reader)
}

/// What says where numbers come from.
pub(super) fn source(
    value: &Value,
    here: &Path,
    reader: &mut Reader,
) -> Option<Map<String, Value>> {
    let provider = reader.map(value, here)?;
    let kind = provider.get("type").and_then(Value::as_str);
    let Some(kind) = kind.filter(|kind| call::KPI_TYPES.contains(kind)) else {
        let kind = kind.unwrap_or_default();
        let what = "KPI's provider type";
        let said = not_one_of(&here.key("type"), what, kind, &call::KPI_TYPES);
        reader.push(said);
        return None;
    };
    reader.known_keys(provider, here, &call::kpi_keys(kind));
    // Label sets in a query look nothing like variables, but `$` may stand in a regular expression.
    if provider.values().all(|value| names(value).is_empty())
        && let Err(error) = call::read_kpi(provider)
    {
        super::provider::report(&error, here, reader);
    }
    if kind == "load" && provider.contains_key("duration") {
        let message = "a KPI is watched as long as the drill lasts; this is ignored";
        reader.warning(Code::Surprise, &here.key("duration"), message);
    }
    Some(provider.clone())
}

/// That the source knows how long requests took.
pub(super) fn check_latencies(provider: &Map<String, Value>, path: &Path, reader: &mut Reader) {
    let kind = provider.get("type").and_then(Value::as_str);
    let has_none = match kind {
        Some("http") => true,
        Some("prometheus") => !provider.contains_key("latency"),
        _ => false,
    };
    if has_none {
        let said = Diagnostic::error(
            Code::Value,
            path,
            "nobody measures latencies here: the provider has counters of requests alone",
        );
        reader.push(said.hint(
            "use `load`, `proxy`, or `prometheus` with `latency`: the buckets of a histogram",
        ));
    }
}

/// That the source sees what the objective is about.
pub(super) fn check_seen(
    provider: &Map<String, Value>,
    objective: &Objective,
    path: &Path,
    reader: &mut Reader,
) {
    if objective.latency.is_some() {
        check_latencies(provider, &path.key("latency"), reader);
    }
    let Ok(KpiSource::Counters(call)) = call::read_kpi(provider) else {
        return;
    };
    let window = objective.worst_window;
    if window.is_some_and(|(length, _)| length < call.interval) {
        let message = format!(
            "readings {} apart cannot see what happened within less",
            units::format_duration(call.interval)
        );
        let here = path.key("worst-window").key("length");
        let said = Diagnostic::error(Code::Value, &here, message);
        reader.push(said.hint("make it as long as the `interval`, or the interval shorter"));
    }
}

pub(super) fn confidence(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> f64 {
    match map.get("confidence") {
        None | Some(Value::Null) => CONFIDENCE_DEFAULT,
        Some(_) => share(map, "confidence", path, reader)
            .filter(|confidence| *confidence > 0.5 && *confidence < 1.0)
            .unwrap_or_else(|| {
                let message = "`confidence` lies between 0.5 and 1, both excluded";
                reader.error(Code::Value, &path.key("confidence"), message);
                CONFIDENCE_DEFAULT
            }),
    }
}

pub(super) fn objective(
    map: &Map<String, Value>,
    whose: &str,
    path: &Path,
    reader: &mut Reader,
) -> Option<Objective> {
    let path = path.key("objective");
    let Some(value) = map.get("objective") else {
        let message = format!("{whose} needs an `objective`: what well means");
        reader.error(Code::Missing, &path, message);
        return None;
    };
    parts(value, &path, reader)
}

fn parts(value: &Value, path: &Path, reader: &mut Reader) -> Option<Objective> {
    let objective = reader.map(value, path)?;
    reader.known_keys(objective, path, &OBJECTIVE_KEYS);
    let read = Objective {
        success_ratio_min: share(objective, "success-ratio", path, reader),
        latency: latency(objective, path, reader),
        worst_window: worst_window(objective, path, reader),
        bad_max: count(objective, "bad-events-max", path, reader),
    };
    if objective.is_empty() {
        let message =
            "an objective needs `success-ratio`, `latency`, `worst-window` or `bad-events-max`";
        reader.error(Code::Missing, path, message);
    }
    Some(read)
}

fn phases(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> PhaseObjectives {
    const PHASES: [&str; 4] = ["baseline", "transition", "fault", "recovery"];
    let path = path.key("phases");
    let given = map.get("phases").filter(|phases| !phases.is_null());
    let Some(phases) = given.and_then(|phases| reader.map(phases, &path)) else {
        return PhaseObjectives::default();
    };
    for name in phases.keys().filter(|key| !PHASES.contains(&key.as_str())) {
        // What nobody reads would not be judged.
        reader.push(not_one_of(&path.key(name), "phase", name, &PHASES));
    }
    let mut of = |name: &str| {
        let given = phases.get(name)?;
        parts(given, &path.key(name), reader)
    };
    let read = PhaseObjectives {
        baseline: of("baseline").unwrap_or_default(),
        transition: of("transition").unwrap_or_default(),
        fault: of("fault").unwrap_or_default(),
        recovery: of("recovery").unwrap_or_default(),
    };
    if read.recovery.success_ratio_min.is_some() || read.recovery.latency.is_some() {
        reader.error(
            Code::Value,
            &path.key("recovery"),
            "a recovery is judged by the time it takes, `worst-window` and `bad-events-max`: nobody knows how long it lasts, so no confidence can be had in a ratio or quantile",
        );
    }
    read
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
