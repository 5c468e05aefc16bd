//! Guardrails: what stops a drill.

use std::time::Duration;

use serde_json::{Map, Value};

use super::activity::{Lowering, Role, choice, duration};
use super::ours::require;
use super::reader::{Reader, not_one_of};
use super::{GuardedStream, Guardrail, GuardrailMode, Kpi, KpiGuardrail, kpi};
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;
use crate::units;

/// Top-level `guardrails`: probes, and thresholds on streams.
pub(super) fn all(
    raw: &Map<String, Value>,
    kpis: &[Kpi],
    lowering: &Lowering<'_>,
    reader: &mut Reader,
) -> (Vec<Guardrail>, Vec<KpiGuardrail>) {
    let root = Path::root();
    let (mut probes, mut streams) = (Vec::new(), Vec::<KpiGuardrail>::new());
    for (at, item) in reader.list(raw, "guardrails", &root).iter().enumerate() {
        let path = root.key("guardrails").index(at);
        let watches = |key: &str| item.get(key).is_some_and(|value| !value.is_null());
        if !watches("kpi") && !watches("provider") {
            probes.extend(of_probe(item, at, lowering, reader));
            continue;
        }
        let Some(read) = of_stream(item, kpis, &path, reader) else {
            continue;
        };
        let is_taken = streams.iter().any(|other| other.name == read.name);
        if is_taken {
            let message = format!("two guardrails are called `{}`", read.name);
            let said = Diagnostic::error(Code::Value, &path, message);
            reader.push(said.hint("give one of them another `name`"));
        }
        streams.push(read);
    }
    (probes, streams)
}

fn of_stream(
    value: &Value,
    kpis: &[Kpi],
    path: &Path,
    reader: &mut Reader,
) -> Option<KpiGuardrail> {
    let map = reader.map(value, path)?;
    let keys = ["name", "kpi", "provider", "objective", "confidence"];
    reader.known_keys(map, path, &keys);
    for key in ["probe", "mode"] {
        if map.contains_key(key) {
            let message = format!(
                "a guardrail on a KPI has no `{key}`: it is watched at the stream's own rate through the whole drill"
            );
            reader.error(Code::Value, &path.key(key), message);
        }
    }
    let confidence = kpi::confidence(map, path, reader);
    if let Some(named) = map.get("kpi").filter(|named| !named.is_null()) {
        return of_kpi(map, named, confidence, kpis, path, reader);
    }
    let name = kpi::name(
        map,
        "a guardrail with a provider of its own needs a `name`",
        path,
        reader,
    );
    let provider = kpi::provider(map, "a guardrail", path, reader);
    let objective = kpi::objective(map, "a guardrail", path, reader);
    if let (Some(provider), Some(objective)) = (&provider, &objective) {
        kpi::check_seen(provider, objective, &path.key("objective"), reader);
    }
    Some(KpiGuardrail {
        name: name?,
        watched: GuardedStream::Own(provider?),
        objective: objective?,
        confidence,
    })
}

fn of_kpi(
    map: &Map<String, Value>,
    named: &Value,
    confidence: f64,
    kpis: &[Kpi],
    path: &Path,
    reader: &mut Reader,
) -> Option<KpiGuardrail> {
    let here = path.key("kpi");
    if map.contains_key("provider") {
        let message =
            "a guardrail watches a KPI of this document, or has a provider of its own: not both";
        reader.error(Code::Value, &path.key("provider"), message);
    }
    let named = named.as_str().unwrap_or_default();
    let Some(at) = kpis.iter().position(|kpi| kpi.name == named) else {
        let names: Vec<&str> = kpis.iter().map(|kpi| kpi.name.as_str()).collect();
        reader.push(not_one_of(&here, "KPI", named, &names));
        return None;
    };
    let objective = match map.contains_key("objective") {
        true => kpi::objective(map, "a guardrail", path, reader)?,
        false => kpis[at].objective,
    };
    kpi::check_seen(
        &kpis[at].provider,
        &objective,
        &path.key("objective"),
        reader,
    );
    let own = map.get("name").and_then(Value::as_str);
    Some(KpiGuardrail {
        name: own
            .filter(|name| !name.is_empty())
            .unwrap_or(named)
            .to_owned(),
        watched: GuardedStream::Kpi(at),
        objective,
        confidence,
    })
}

fn of_probe(
    value: &Value,
    at: usize,
    lowering: &Lowering<'_>,
    reader: &mut Reader,
) -> Option<Guardrail> {
    let path = &Path::root().key("guardrails").index(at);
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
        at,
        probe: probe?,
        mode: mode?,
    })
}
