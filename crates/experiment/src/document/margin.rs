//! Top-level `margin`: how much of one dimension the system bears.

mod arm;
mod context;
mod search;

use std::time::Duration;

use serde_json::{Map, Value};

pub use arm::MarginArm;
pub use context::{ContextFrom, MarginContext};

use super::activity::{choice, duration};
use super::ours::{count, refuse_unknown, require, share};
use super::reader::Reader;
use super::{Activity, Kpi, Provider};
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;
use crate::units::{self, Quantity, Unit};

/// Which argument of which fault is varied, how far, and what the answer may cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Margin {
    /// Of this dimension, where the document has several.
    pub name: Option<String>,
    /// The action of the method whose argument is varied, by name.
    pub activity: String,
    pub argument: String,
    /// What magnitudes are counted in.
    pub unit: Unit,
    pub lowest: f64,
    /// Nothing is ever tried beyond it.
    pub largest: f64,
    pub scale: MarginScale,
    /// How narrow the answer is to be: in the unit on a linear scale, a share on a logarithmic one.
    pub resolution: f64,
    pub aim: MarginAim,
    /// Of live traffic, where a search breaks no more than that.
    pub arm: Option<MarginArm>,
    /// What the dimension is today.
    pub normal: Option<MarginNormal>,
    /// How long a magnitude is in place, at least and at most.
    pub dwell: (Duration, Duration),
    pub bad_events_max: u64,
    pub bad_events_per_trial_max: u64,
    pub trials_max: u32,
    /// Among the document's, the KPI that says whether a magnitude is borne.
    pub kpi: usize,
    /// Of the answer.
    pub confidence: f64,
    /// What else the answer holds for: version, replicas.
    pub context: Vec<MarginContext>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarginScale {
    Linear,
    Log,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MarginAim {
    /// Is it at least this much? `risk`: the chance that a single trial breaks, at most.
    AtLeast { target: MarginTarget, risk: f64 },
    /// Where does it break? Only where breaking is allowed.
    Search { jump_max: f64, hysteresis: bool },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MarginTarget {
    Magnitude(f64),
    /// So many times what is normal today.
    Times(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarginNormal {
    pub from: NormalFrom,
    pub is: NormalIs,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NormalFrom {
    Known(f64),
    /// This quantile of the KPI's latency before anything is broken.
    Latency(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormalIs {
    /// A magnitude comes on top of what is normal, as added latency does.
    AddedTo,
    /// A magnitude takes its place, as a rate of requests does.
    Replaced,
}

const KEYS: [&str; 16] = [
    "name",
    "vary",
    "from",
    "to",
    "scale",
    "resolution",
    "at-least",
    "risk",
    "search",
    "normal",
    "normal-is",
    "kpi",
    "dwell",
    "budget",
    "confidence",
    "context",
];

/// Of a logarithmic range, unless the document says.
const RESOLUTION_DEFAULT: f64 = 0.05;
/// Of a linear range, as a share of it.
const STEPS_DEFAULT: f64 = 50.0;
const RISK_DEFAULT: f64 = 0.1;
const DWELL_DEFAULT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));
const TRIALS_DEFAULT: u64 = 60;

/// One dimension, or a list of several, each with its name.
pub(super) fn read(
    raw: &Map<String, Value>,
    method: &[Activity],
    kpis: &[Kpi],
    reader: &mut Reader,
) -> Vec<Margin> {
    let path = Path::root().key("margin");
    let Some(value) = raw.get("margin").filter(|value| !value.is_null()) else {
        return Vec::new();
    };
    let Value::Array(items) = value else {
        return one(value, &path, method, kpis, reader)
            .into_iter()
            .collect();
    };
    let mut margins: Vec<Margin> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = path.index(at);
        let Some(margin) = one(item, &path, method, kpis, reader) else {
            continue;
        };
        let taken = |name| {
            margins
                .iter()
                .any(|other| other.name.as_deref() == Some(name))
        };
        match margin.name.as_deref() {
            None => {
                let message = "one of several dimensions needs a `name`, which the table shows";
                reader.error(Code::Missing, &path.key("name"), message);
            }
            Some(name) if taken(name) => {
                let message = format!("two dimensions are called `{name}`");
                reader.error(Code::Value, &path.key("name"), message);
            }
            Some(_) => {}
        }
        margins.push(margin);
    }
    if items.is_empty() {
        reader.error(
            Code::Missing,
            &path,
            "a list of dimensions has at least one",
        );
    }
    margins
}

fn one(
    value: &Value,
    path: &Path,
    method: &[Activity],
    kpis: &[Kpi],
    reader: &mut Reader,
) -> Option<Margin> {
    let map = reader.map(value, path)?;
    // A limit nobody reads is a limit that does not hold, so a slip here is an error.
    refuse_unknown(map, path, &KEYS, reader);
    require(map, &["vary", "from", "to", "budget"], path, reader);
    let varied = vary(map, path, method, reader);
    let range = range(map, path, reader);
    let kpi = kpi(map, path, kpis, reader);
    let confidence = share(map, "confidence", path, reader)
        .or(kpi.map(|kpi| kpis[kpi].confidence))
        .unwrap_or(0.95);
    if !(confidence > 0.5 && confidence < 1.0) {
        let message = "`confidence` lies between 0.5 and 1, both excluded";
        reader.error(Code::Value, &path.key("confidence"), message);
    }
    let context = context::read(map, path, reader);
    let budget = budget(map, path, reader);
    let dwell = dwell(map, path, reader);
    let range = range?;
    let aim = aim(map, path, &range, reader);
    let normal = normal(map, path, &range.unit, reader);
    let resolution = resolution(map, path, &range, reader);
    let (activity, argument) = varied?;
    let searched = map.get("search").and_then(Value::as_object);
    let search_path = path.key("search");
    let arm = searched.and_then(|search| arm::read(search, &search_path, reader));
    if let (Some(_), Some(kpi)) = (&arm, kpi) {
        arm::check(&activity, method, &kpis[kpi], &search_path, reader);
    }
    let (bad_events_max, bad_events_per_trial_max, trials_max) = budget?;
    Some(Margin {
        name: map.get("name").and_then(Value::as_str).map(str::to_owned),
        activity,
        argument,
        unit: range.unit.clone(),
        lowest: range.lowest,
        largest: range.largest,
        scale: range.scale,
        resolution: resolution?,
        aim: aim?,
        arm,
        normal,
        dwell: dwell?,
        bad_events_max,
        bad_events_per_trial_max,
        trials_max,
        kpi: kpi?,
        confidence,
        context: context?,
    })
}

/// The fault's name in the method, and the argument.
fn vary(
    map: &Map<String, Value>,
    path: &Path,
    method: &[Activity],
    reader: &mut Reader,
) -> Option<(String, String)> {
    let path = path.key("vary");
    let vary = reader.map(map.get("vary")?, &path)?;
    refuse_unknown(vary, &path, &["activity", "argument"], reader);
    require(vary, &["activity", "argument"], &path, reader);
    let word = |key| vary.get(key).and_then(Value::as_str).map(str::to_owned);
    let (activity, argument) = (word("activity")?, word("argument")?);
    let faults = || method.iter().filter(|one| is_fault(one));
    if !faults().any(|one| one.name == activity) {
        let names: Vec<_> = faults().map(|one| format!("`{}`", one.name)).collect();
        let message = match names.as_slice() {
            [] => "the method has no fault whose argument could be varied".to_owned(),
            names => format!(
                "the method has no fault called `{activity}`; there is {}",
                names.join(", ")
            ),
        };
        reader.error(Code::Value, &path.key("activity"), message);
        return None;
    }
    Some((activity, argument))
}

fn is_fault(activity: &Activity) -> bool {
    matches!(activity.provider, Provider::Fault { .. })
}

struct Range {
    lowest: f64,
    largest: f64,
    unit: Unit,
    scale: MarginScale,
}

fn range(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<Range> {
    let lowest = quantity(map, "from", path, None, reader);
    let unit = lowest.as_ref().map(|lowest| &lowest.unit);
    let largest = quantity(map, "to", path, unit, reader);
    let (lowest, largest) = (lowest?, largest?);
    if lowest.value >= largest.value {
        let message = "`to` is larger than `from`: the smallest magnitude is tried first";
        reader.error(Code::Value, &path.key("to"), message);
        return None;
    }
    const NAMES: [(&str, MarginScale); 2] =
        [("linear", MarginScale::Linear), ("log", MarginScale::Log)];
    let scale = choice(map, "scale", &NAMES, path, reader);
    if scale == Some(MarginScale::Log) && lowest.value <= 0.0 {
        let message = "a logarithmic scale begins above 0";
        reader.error(Code::Value, &path.key("from"), message);
    }
    Some(Range {
        scale: scale.unwrap_or(match lowest.value > 0.0 {
            true => MarginScale::Log,
            false => MarginScale::Linear,
        }),
        lowest: lowest.value,
        largest: largest.value,
        unit: lowest.unit,
    })
}

/// A magnitude, in the unit of the others if there are any.
fn quantity(
    map: &Map<String, Value>,
    key: &str,
    path: &Path,
    unit: Option<&Unit>,
    reader: &mut Reader,
) -> Option<Quantity> {
    let value = map.get(key).filter(|value| !value.is_null())?;
    let path = path.key(key);
    let Some(quantity) = units::quantity(value) else {
        let message = format!("`{key}` is a magnitude: 200ms, 5%, 10mbps or a number");
        reader.error(Code::Value, &path, message);
        return None;
    };
    if let Some(unit) = unit.filter(|unit| **unit != quantity.unit) {
        let message = format!("`{key}` is counted as `from` is, in {unit}");
        reader.error(Code::Value, &path, message);
        return None;
    }
    Some(quantity)
}

fn resolution(
    map: &Map<String, Value>,
    path: &Path,
    range: &Range,
    reader: &mut Reader,
) -> Option<f64> {
    let share = |value: &Value| {
        let text = value.as_str()?.trim().strip_suffix('%')?;
        let percent: f64 = text.trim().parse().ok()?;
        (percent > 0.0 && percent < 100.0).then_some(percent / 100.0)
    };
    match (range.scale, map.get("resolution")) {
        (MarginScale::Log, None) => Some(RESOLUTION_DEFAULT),
        (MarginScale::Linear, None) => Some((range.largest - range.lowest) / STEPS_DEFAULT),
        (MarginScale::Log, Some(value)) => {
            let found = share(value);
            if found.is_none() {
                let message = "on a logarithmic scale the resolution is a percentage, as in 5%";
                reader.error(Code::Value, &path.key("resolution"), message);
            }
            found
        }
        (MarginScale::Linear, Some(_)) => {
            quantity(map, "resolution", path, Some(&range.unit), reader).map(|found| found.value)
        }
    }
}

fn aim(
    map: &Map<String, Value>,
    path: &Path,
    range: &Range,
    reader: &mut Reader,
) -> Option<MarginAim> {
    let given = |key| map.get(key).filter(|value: &&Value| !value.is_null());
    match (given("at-least"), given("search")) {
        (Some(target), None) => {
            let risk = share(map, "risk", path, reader).unwrap_or(RISK_DEFAULT);
            let target = target_of(target, map, path, range, reader)?;
            Some(MarginAim::AtLeast { target, risk })
        }
        (None, Some(search)) => search::read(search, &path.key("search"), range, reader),
        (None, None) => {
            let diagnostic = Diagnostic::error(
                Code::Missing,
                path,
                "a margin is asked for with `at-least`, or with `search`",
            );
            reader.push(diagnostic.hint(
                "`at-least: 3x` proves a margin and stops; `search` goes on to the break point",
            ));
            None
        }
        (Some(_), Some(_)) => {
            let message = "`at-least` and `search` are two questions: ask one at a time";
            reader.error(Code::Value, &path.key("search"), message);
            None
        }
    }
}

/// `3x`, or a magnitude.
fn target_of(
    value: &Value,
    map: &Map<String, Value>,
    path: &Path,
    range: &Range,
    reader: &mut Reader,
) -> Option<MarginTarget> {
    let times = value
        .as_str()
        .and_then(|text| text.trim().strip_suffix('x'));
    if let Some(times) = times.and_then(|times| times.trim().parse::<f64>().ok()) {
        if !(times > 1.0 && times.is_finite()) {
            let message = "so many times what is normal is more than once, as in 3x";
            reader.error(Code::Value, &path.key("at-least"), message);
            return None;
        }
        if !map.contains_key("normal") {
            let message = "`at-least: 3x` needs `normal`: what the dimension is today";
            reader.error(Code::Missing, &path.key("normal"), message);
        }
        return Some(MarginTarget::Times(times));
    }
    let magnitude = quantity(map, "at-least", path, Some(&range.unit), reader)?.value;
    if magnitude <= range.lowest || magnitude > range.largest {
        let message = "`at-least` lies above `from`, and not beyond `to`";
        reader.error(Code::Value, &path.key("at-least"), message);
        return None;
    }
    Some(MarginTarget::Magnitude(magnitude))
}

fn normal(
    map: &Map<String, Value>,
    path: &Path,
    unit: &Unit,
    reader: &mut Reader,
) -> Option<MarginNormal> {
    const NAMES: [(&str, NormalIs); 2] = [
        ("added-to", NormalIs::AddedTo),
        ("replaced", NormalIs::Replaced),
    ];
    let is = choice(map, "normal-is", &NAMES, path, reader).unwrap_or(NormalIs::AddedTo);
    let from = match map.get("normal").filter(|value| !value.is_null())? {
        Value::Object(of) => {
            let path = path.key("normal");
            refuse_unknown(of, &path, &["quantile"], reader);
            require(of, &["quantile"], &path, reader);
            if *unit != Unit::Time {
                let message = "a quantile is one of latencies: the range is no time";
                reader.error(Code::Value, &path, message);
            }
            NormalFrom::Latency(share(of, "quantile", &path, reader)?)
        }
        _ => NormalFrom::Known(quantity(map, "normal", path, Some(unit), reader)?.value),
    };
    Some(MarginNormal { from, is })
}

/// Its place among the KPIs. A trial has one threshold, so the KPI has one bound that can be judged
/// at any time.
fn kpi(map: &Map<String, Value>, path: &Path, kpis: &[Kpi], reader: &mut Reader) -> Option<usize> {
    let path = path.key("kpi");
    let found = match map.get("kpi").and_then(Value::as_str) {
        Some(name) => kpis.iter().position(|kpi| kpi.name == name),
        None if kpis.len() == 1 => Some(0),
        None => None,
    };
    let Some(found) = found else {
        let names: Vec<_> = kpis.iter().map(|kpi| format!("`{}`", kpi.name)).collect();
        let message = match names.as_slice() {
            [] => "a margin needs a KPI: add `kpis` with the stream that says what is borne".into(),
            names => format!("`kpi` names one of {}", names.join(", ")),
        };
        reader.error(Code::Value, &path, message);
        return None;
    };
    let objective = &kpis[found].objective;
    if objective.success_ratio_min.is_some() == objective.latency.is_some() {
        let message = "a margin's KPI has one of `success-ratio` and `latency` as its objective";
        reader.error(Code::Value, &path, message);
        return None;
    }
    Some(found)
}

fn dwell(
    map: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Option<(Duration, Duration)> {
    let path = path.key("dwell");
    let Some(value) = map.get("dwell").filter(|value| !value.is_null()) else {
        return Some(DWELL_DEFAULT);
    };
    let dwell = reader.map(value, &path)?;
    refuse_unknown(dwell, &path, &["min", "max"], reader);
    let min = duration(dwell, "min", &path, reader).unwrap_or(DWELL_DEFAULT.0);
    let max = duration(dwell, "max", &path, reader).unwrap_or(DWELL_DEFAULT.1.max(min));
    if max < min || max.is_zero() {
        let message = "the longest dwell is above 0 and not shorter than the shortest";
        reader.error(Code::Value, &path.key("max"), message);
    }
    Some((min, max))
}

/// Bad events in all and per trial, and trials.
fn budget(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<(u64, u64, u32)> {
    let path = path.key("budget");
    let budget = reader.map(map.get("budget")?, &path)?;
    let keys = ["bad-events", "bad-events-per-trial", "trials"];
    refuse_unknown(budget, &path, &keys, reader);
    require(budget, &["bad-events"], &path, reader);
    for key in keys {
        if budget.get(key).and_then(Value::as_u64) == Some(0) {
            reader.error(
                Code::Value,
                &path.key(key),
                format!("with no {key} nothing is answered"),
            );
        }
    }
    let all = count(budget, "bad-events", &path, reader);
    let each = count(budget, "bad-events-per-trial", &path, reader);
    let trials = count(budget, "trials", &path, reader).unwrap_or(TRIALS_DEFAULT);
    let all = all?;
    Some((
        all,
        each.unwrap_or_else(|| (all / 4).max(1)).min(all),
        u32::try_from(trials).unwrap_or(u32::MAX),
    ))
}
