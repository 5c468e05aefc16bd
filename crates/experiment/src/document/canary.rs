//! Top-level `canary`: a fault for one arm of a route's traffic, compared with another.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::activity::{choice, duration};
use super::ours::{block, require, share};
use super::reader::Reader;
use super::{Activity, Provider};
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;

/// Who is in which arm, what is compared, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// The fault of the method that the experiment arm has, by name.
    pub activity: String,
    /// Of the route's traffic, that each arm is.
    pub share: f64,
    /// `connection`, `client`, `header:NAME` or `cookie:NAME`.
    pub by: String,
    pub kpis: Vec<CanaryKpi>,
    /// How long both arms are watched without the fault.
    pub baseline: Duration,
    /// How long with it, at least and at most.
    pub duration: (Duration, Duration),
    /// Of the answer, over all KPIs.
    pub confidence: f64,
    /// Places behind the proxy that are always drained: no sign of a failover.
    pub standby: Vec<SocketAddr>,
    /// When it may run; at any time, if not given.
    pub window: Option<CanaryWindow>,
}

/// What is compared, and how much worse the experiment may be.
#[derive(Debug, Clone, PartialEq)]
pub struct CanaryKpi {
    pub name: String,
    pub asks: CanaryAsk,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CanaryAsk {
    /// Less by this much, 0 to 1.
    SuccessRatio {
        tolerance: f64,
    },
    Latency {
        quantile: f64,
        tolerance: Duration,
    },
}

/// Times of day of some days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryWindow {
    /// 0 is Monday.
    pub days: Vec<u8>,
    /// Minutes since midnight; the end is not in it.
    pub from: u16,
    pub to: u16,
    /// As the database of time zones has it: `Europe/Berlin`, `UTC`.
    pub zone: String,
}

const KEYS: [&str; 8] = [
    "activity",
    "split",
    "kpis",
    "baseline",
    "duration",
    "confidence",
    "standby",
    "window",
];

const BASELINE_DEFAULT: Duration = Duration::from_secs(5);
const DURATION_DEFAULT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
const TOLERANCE_DEFAULT: f64 = 0.01;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn read(
    raw: &Map<String, Value>,
    method: &[Activity],
    reader: &mut Reader,
) -> Option<Canary> {
    let (map, path) = block(raw, "canary", &KEYS, reader)?;
    refuse_unknown(map, &path, &KEYS, reader);
    require(map, &["split", "kpis"], &path, reader);
    let activity = activity(map, &path, method, reader);
    let split = split(map, &path, reader);
    let kpis = kpis(map, &path, reader);
    let baseline = duration(map, "baseline", &path, reader).unwrap_or(BASELINE_DEFAULT);
    let duration = limits(map, &path, reader);
    let confidence = share(map, "confidence", &path, reader).unwrap_or(0.95);
    if !(confidence > 0.5 && confidence < 1.0) {
        let message = "`confidence` lies between 0.5 and 1, both excluded";
        reader.error(Code::Value, &path.key("confidence"), message);
    }
    let standby = standby(map, &path, reader);
    let window = window(map, &path, reader);
    let (share, by) = split?;
    Some(Canary {
        activity: activity?,
        share,
        by,
        kpis,
        baseline,
        duration: duration?,
        confidence,
        standby,
        window,
    })
}

/// A limit that nobody reads is a limit that does not hold, so a slip here is an error.
fn refuse_unknown(map: &Map<String, Value>, path: &Path, known: &[&str], reader: &mut Reader) {
    for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
        let message = format!("no such key: `{key}`; there are {}", known.join(", "));
        reader.error(Code::Value, &path.key(key), message);
    }
}

/// The only fault of the method, or the one that is named. That it is for the experiment arm stands
/// in the document, so that `firedrill run` cannot have it for everybody.
fn activity(
    map: &Map<String, Value>,
    path: &Path,
    method: &[Activity],
    reader: &mut Reader,
) -> Option<String> {
    let wanted = map.get("activity").and_then(Value::as_str);
    let mut faults = method.iter().filter_map(|one| match &one.provider {
        Provider::Fault {
            name, arguments, ..
        } => Some((one, name, arguments)),
        _ => None,
    });
    let found = faults.find(|(one, ..)| wanted.is_none_or(|wanted| one.name == wanted));
    let Some((activity, name, arguments)) = found else {
        let message = match wanted {
            Some(name) => format!("the method has no fault called `{name}`"),
            None => "the method has no fault for the experiment arm".into(),
        };
        reader.error(Code::Missing, &path.key("activity"), message);
        return None;
    };
    let arm = arguments.get("arm");
    if !name.starts_with("application.") || arm.and_then(Value::as_str) != Some("experiment") {
        let diagnostic = Diagnostic::error(
            Code::Value,
            &path.key("activity"),
            format!(
                "`{}` is not for the experiment arm of a route",
                activity.name
            ),
        );
        reader.push(diagnostic.hint(
            "a canary's fault is application.latency, http-error or reset, with `arm: experiment` among its arguments",
        ));
        return None;
    }
    Some(activity.name.clone())
}

fn split(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<(f64, String)> {
    let path = path.key("split");
    let split = reader.map(map.get("split")?, &path)?;
    refuse_unknown(split, &path, &["share", "by"], reader);
    require(split, &["share"], &path, reader);
    let part = share(split, "share", &path, reader);
    if part.is_some_and(|part| part <= 0.0 || part > 0.5) {
        let message = "`share` is that of each of two arms: above 0, at most 0.5";
        reader.error(Code::Value, &path.key("share"), message);
    }
    let by = match split.get("by") {
        None | Some(Value::Null) => "connection",
        Some(value) => value.as_str().unwrap_or(""),
    };
    let named = |kind: &str| by.strip_prefix(kind).is_some_and(|name| !name.is_empty());
    if !(by == "connection" || by == "client" || named("header:") || named("cookie:")) {
        let message = "`by` is connection, client, header:NAME or cookie:NAME";
        reader.error(Code::Value, &path.key("by"), message);
    }
    Some((part?, by.to_owned()))
}

fn kpis(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Vec<CanaryKpi> {
    let items = reader.list(map, "kpis", path);
    if items.is_empty() && map.get("kpis").is_some_and(Value::is_array) {
        let message = "a canary compares at least one KPI";
        reader.error(Code::Missing, &path.key("kpis"), message);
    }
    let kpis: Vec<CanaryKpi> = items
        .iter()
        .enumerate()
        .filter_map(|(at, item)| kpi(item, &path.key("kpis").index(at), reader))
        .collect();
    for (at, kpi) in kpis.iter().enumerate() {
        if kpis.iter().take(at).any(|other| other.name == kpi.name) {
            let message = format!("two KPIs are called `{}`", kpi.name);
            reader.error(Code::Value, &path.key("kpis").index(at), message);
        }
    }
    kpis
}

fn kpi(item: &Value, path: &Path, reader: &mut Reader) -> Option<CanaryKpi> {
    let map = reader.map(item, path)?;
    let keys = ["name", "success-ratio", "latency"];
    refuse_unknown(map, path, &keys, reader);
    require(map, &["name"], path, reader);
    let name = map.get("name").and_then(Value::as_str);
    let asks = match (map.get("success-ratio"), map.get("latency")) {
        (Some(of), None) => success_ratio(of, &path.key("success-ratio"), reader),
        (None, Some(of)) => latency(of, &path.key("latency"), reader),
        _ => {
            let message = "a KPI of a canary has one of `success-ratio` and `latency`";
            reader.error(Code::Value, path, message);
            None
        }
    };
    Some(CanaryKpi {
        name: name?.to_owned(),
        asks: asks?,
    })
}

fn success_ratio(of: &Value, path: &Path, reader: &mut Reader) -> Option<CanaryAsk> {
    let of = reader.map(of, path)?;
    refuse_unknown(of, path, &["tolerance"], reader);
    let tolerance = share(of, "tolerance", path, reader).unwrap_or(TOLERANCE_DEFAULT);
    Some(CanaryAsk::SuccessRatio { tolerance })
}

fn latency(of: &Value, path: &Path, reader: &mut Reader) -> Option<CanaryAsk> {
    let of = reader.map(of, path)?;
    refuse_unknown(of, path, &["quantile", "tolerance"], reader);
    require(of, &["quantile", "tolerance"], path, reader);
    let quantile = share(of, "quantile", path, reader);
    if quantile.is_some_and(|quantile| quantile <= 0.0 || quantile >= 1.0) {
        let message = "`quantile` lies between 0 and 1, both excluded";
        reader.error(Code::Value, &path.key("quantile"), message);
    }
    Some(CanaryAsk::Latency {
        quantile: quantile?,
        tolerance: duration(of, "tolerance", path, reader)?,
    })
}

fn limits(
    map: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Option<(Duration, Duration)> {
    let path = path.key("duration");
    let Some(value) = map.get("duration").filter(|value| !value.is_null()) else {
        return Some(DURATION_DEFAULT);
    };
    let given = reader.map(value, &path)?;
    refuse_unknown(given, &path, &["min", "max"], reader);
    let min = duration(given, "min", &path, reader);
    let max = duration(given, "max", &path, reader).unwrap_or(DURATION_DEFAULT.1);
    let min = min.unwrap_or(DURATION_DEFAULT.0.min(max));
    if max < min || max.is_zero() {
        let message = "the longest duration is above 0 and not shorter than the shortest";
        reader.error(Code::Value, &path.key("max"), message);
    }
    Some((min, max))
}

fn standby(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Vec<SocketAddr> {
    let place = path.key("standby");
    let mut all = Vec::new();
    for (at, item) in reader.list(map, "standby", path).iter().enumerate() {
        match item.as_str().and_then(|text| text.parse().ok()) {
            Some(address) => all.push(address),
            None => reader.error(
                Code::Value,
                &place.index(at),
                "a place is an address with its port, as in 10.0.1.5:80",
            ),
        }
    }
    all
}

fn window(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Option<CanaryWindow> {
    let path = path.key("window");
    let value = map.get("window").filter(|value| !value.is_null())?;
    let window = reader.map(value, &path)?;
    refuse_unknown(window, &path, &["days", "from", "to", "zone"], reader);
    require(window, &["from", "to", "zone"], &path, reader);
    let from = time_of_day(window, "from", &path, reader);
    let to = time_of_day(window, "to", &path, reader);
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        let message = "a window begins before it ends, on the same day";
        reader.error(Code::Value, &path.key("to"), message);
    }
    let days = days(window, &path, reader);
    let zone = window.get("zone").and_then(Value::as_str)?;
    Some(CanaryWindow {
        days,
        from: from?,
        to: to?,
        zone: zone.to_owned(),
    })
}

/// `09:00`, in minutes; the end of the day is `24:00`.
fn time_of_day(
    map: &Map<String, Value>,
    key: &str,
    path: &Path,
    reader: &mut Reader,
) -> Option<u16> {
    let text = map.get(key)?.as_str();
    let minutes = text.and_then(|text| {
        let (hours, minutes) = text.split_once(':')?;
        let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        let of_day: u16 = hours.parse::<u16>().ok()? * 60 + minutes.parse::<u16>().ok()?;
        let fits = two(hours) && two(minutes) && minutes < "60" && of_day <= 24 * 60;
        fits.then_some(of_day)
    });
    if minutes.is_none() {
        let message = format!("`{key}` is a time of day in quotes, such as \"09:00\"");
        reader.error(Code::Value, &path.key(key), message);
    }
    minutes
}

/// Monday to Friday, if not given.
fn days(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Vec<u8> {
    if !map.contains_key("days") {
        return (0..5).collect();
    }
    let names: Vec<(&'static str, u8)> = DAYS.into_iter().zip(0..).collect();
    let path = path.key("days");
    let mut days: Vec<u8> = reader
        .list(map, "days", &path)
        .iter()
        .enumerate()
        .filter_map(|(at, item)| {
            let one = Map::from_iter([("day".to_owned(), item.clone())]);
            choice(&one, "day", &names, &path.index(at), reader)
        })
        .collect();
    days.sort_unstable();
    days.dedup();
    if days.is_empty() {
        reader.error(
            Code::Value,
            &path,
            "a window has at least one day: mon … sun",
        );
    }
    days
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{Experiment, Strictness};

    fn document(canary: &Value, arguments: &Value) -> Result<Experiment, String> {
        let document = json!({
            "title": "t", "description": "d",
            "blast-radius": {"targets-max": 1, "duration-max": "10m"},
            "method": [{
                "type": "action", "name": "late",
                "provider": {
                    "type": "fault", "name": "application.latency", "target": {"host": true},
                    "duration": "5m", "arguments": arguments,
                },
            }],
            "canary": canary,
        });
        Experiment::from_value(document, Strictness::Strict)
            .map_err(|mistakes| mistakes.lines().join("; "))
    }

    fn arm() -> Value {
        json!({"route": "web", "delay": "80ms", "arm": "experiment"})
    }

    fn canary() -> Value {
        json!({
            "split": {"share": 0.05, "by": "cookie:session"},
            "kpis": [
                {"name": "checkouts", "success-ratio": {"tolerance": 0.02}},
                {"name": "times", "latency": {"quantile": 0.95, "tolerance": "100ms"}},
            ],
            "duration": {"min": "5s", "max": "1m"},
            "window": {"days": ["mon", "fri"], "from": "09:00", "to": "17:30", "zone": "Europe/Berlin"},
        })
    }

    #[test]
    fn a_canary_is_read_with_what_was_left_out() {
        let read = document(&canary(), &arm()).unwrap().canary.unwrap();
        assert_eq!((read.activity.as_str(), read.share), ("late", 0.05));
        assert_eq!(read.baseline, BASELINE_DEFAULT);
        assert_eq!(read.confidence, 0.95);
        let window = read.window.unwrap();
        assert_eq!((window.from, window.to), (540, 1050));
        assert_eq!(window.days, [0, 4]);
        assert_eq!(
            read.kpis[1].asks,
            CanaryAsk::Latency {
                quantile: 0.95,
                tolerance: Duration::from_millis(100),
            }
        );
    }

    #[test]
    fn what_would_not_do_as_it_says_is_refused() {
        let everybody = json!({"route": "web", "delay": "80ms"});
        let error = document(&canary(), &everybody).unwrap_err();
        assert!(error.contains("not for the experiment arm"), "{error}");
        for (key, value, says) in [
            ("split", json!({"share": 0.6}), "at most 0.5"),
            (
                "split",
                json!({"share": 0.1, "by": "cookie:"}),
                "cookie:NAME",
            ),
            ("kpis", json!([]), "at least one KPI"),
            ("kpis", json!([{"name": "x"}]), "one of `success-ratio`"),
            (
                "kpis",
                json!([{"name": "x", "latency": {"quantile": 1, "tolerance": "1s"}}]),
                "both excluded",
            ),
            ("duration", json!({"min": "2m", "max": "1m"}), "not shorter"),
            ("confidence", json!(0.5), "0.5 and 1"),
            ("activity", json!("other"), "no fault called"),
            ("standby", json!(["shop"]), "address with its port"),
            ("limit", json!(1), "no such key"),
            (
                "window",
                json!({"from": "17:00", "to": "09:00", "zone": "UTC"}),
                "before it ends",
            ),
            (
                "window",
                json!({"from": "9:00", "to": "17:00", "zone": "UTC"}),
                "time of day",
            ),
            (
                "window",
                json!({"from": "09:60", "to": "17:00", "zone": "UTC"}),
                "time of day",
            ),
            (
                "window",
                json!({"from": "09:00", "to": "24:01", "zone": "UTC"}),
                "time of day",
            ),
            (
                "window",
                json!({"from": "09:00", "to": "17:00"}),
                "`zone` is needed",
            ),
            (
                "window",
                json!({"days": ["someday"], "from": "09:00", "to": "17:00", "zone": "UTC"}),
                "mon",
            ),
        ] {
            let mut wrong = canary();
            wrong[key] = value.clone();
            let error = document(&wrong, &arm()).unwrap_err();
            assert!(error.contains(says), "{key} {value}: {error}");
        }
    }
}
