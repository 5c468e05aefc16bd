//! Where the numbers of a KPI come from: the load generator, or counters that are read.

mod arms;
mod json;
mod prometheus;
mod proxy;

use std::time::Duration;

use serde_json::{Map, Value};

use super::load::{self, duration, missing, text, wrong};
use super::{FieldError, LoadCall, ResolveError, fails, filled};
use crate::scope::Scope;

/// A KPI's provider with its variables filled in.
#[derive(Debug, Clone, PartialEq)]
pub enum KpiSource {
    Load(LoadCall),
    Counters(CountersCall),
}

/// Counters that somebody else keeps, read every so often. Only their differences are judged.
#[derive(Debug, Clone, PartialEq)]
pub struct CountersCall {
    pub from: Counters,
    /// Between two readings.
    pub interval: Duration,
    /// Of one reading.
    pub timeout: Duration,
    /// How old what it reads may be: the interval at which the source itself looks.
    pub scrape: Duration,
    /// Without a reading for longer, the sensor is missing.
    pub silence_max: Duration,
    /// Without a request for longer, the sensor is stuck; absent: there need not be any.
    pub idle_max: Option<Duration>,
    /// Requests per second that are expected; absent: the baseline tells.
    pub rate: Option<f64>,
    pub traffic: Traffic,
    /// Latencies of which it must be known how many took longer; whoever judges them says so.
    pub latency_limits: Vec<Duration>,
}

/// Whose requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    Live,
    Synthetic,
    Shadow,
}

/// Who keeps them.
#[derive(Debug, Clone, PartialEq)]
pub enum Counters {
    /// A route of a Firedrill proxy.
    Proxy {
        /// Of its interface.
        url: String,
        proxy: String,
        arm: ProxyArm,
    },
    /// Each query gives raw counters, whose values are added up.
    Prometheus {
        url: String,
        good: String,
        bad: String,
        degraded: Option<String>,
        /// The buckets of a histogram, with their label `le` in seconds.
        latency: Option<String>,
    },
    /// Each path leads to counters, which are added up.
    Json {
        url: String,
        headers: Map<String, Value>,
        verify_tls: bool,
        good: Vec<String>,
        bad: Vec<String>,
        degraded: Vec<String>,
        /// To a time in seconds.
        stamp: Option<String>,
    },
}

/// Which requests of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyArm {
    All,
    None,
    Control,
    Experiment,
}

impl ProxyArm {
    /// Before the name of a route.
    const fn words(self) -> &'static str {
        match self {
            Self::All => "",
            Self::None => "what is in no arm of ",
            Self::Control => "the control arm of ",
            Self::Experiment => "the experiment arm of ",
        }
    }
}

const COMMON_KEYS: [&str; 8] = [
    "type",
    "interval",
    "timeout",
    "scrape",
    "silence-max",
    "idle-max",
    "rate",
    "traffic",
];

/// The providers that a KPI may have.
pub const KPI_TYPES: [&str; 4] = ["load", "proxy", "prometheus", "http"];

const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
const PROMETHEUS_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
/// Prometheus' own, unless its configuration says otherwise, is a minute; most say 15 s.
const PROMETHEUS_SCRAPE_DEFAULT: Duration = Duration::from_secs(15);
const INTERVAL_MIN: Duration = Duration::from_millis(50);
/// One reading may be missed, and the next one too, before nobody is watching.
const SILENCE_INTERVALS: u32 = 3;
const IDLE_INTERVALS: u32 = 10;
const RATE_MAX: f64 = 1e9;

impl KpiSource {
    /// The longest time between an event and the judge's seeing it, after which the source is
    /// called missing instead.
    pub fn reaction(&self) -> Option<Duration> {
        match self {
            // Its windows say, which are as long as its rate asks.
            Self::Load(_) => None,
            Self::Counters(call) => Some(call.scrape + call.silence_max + call.timeout),
        }
    }

    /// How much later than an event its count may come, besides the interval.
    pub fn lag(&self) -> Duration {
        match self {
            Self::Load(_) => Duration::ZERO,
            Self::Counters(call) => call.scrape,
        }
    }

    /// How long after a moment it may take until what was before is told.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Load(call) => call.timeout,
            Self::Counters(call) => call.silence_max + call.timeout,
        }
    }

    /// Requests per second, where that is known beforehand.
    pub fn rate(&self) -> Option<f64> {
        match self {
            Self::Load(call) => Some(call.rate),
            Self::Counters(call) => call.rate,
        }
    }

    pub fn traffic(&self) -> &'static str {
        match self {
            Self::Load(_) => "synthetic",
            Self::Counters(call) => match call.traffic {
                Traffic::Live => "live",
                Traffic::Synthetic => "synthetic",
                Traffic::Shadow => "shadow",
            },
        }
    }

    /// In words, without headers.
    pub fn describe(&self) -> String {
        match self {
            Self::Load(call) => format!(
                "load {} {} at {} requests/s",
                call.method, call.url, call.rate
            ),
            Self::Counters(call) => {
                let every = crate::units::format_duration(call.interval);
                match &call.from {
                    Counters::Proxy { url, proxy, arm } => {
                        let of = arm.words();
                        format!("counters of {of}the proxy `{proxy}` at {url}, every {every}")
                    }
                    Counters::Prometheus { url, .. } => {
                        format!("counters in Prometheus at {url}, every {every}")
                    }
                    Counters::Json { url, .. } => format!("counters at {url}, every {every}"),
                }
            }
        }
    }
}

/// Fills a KPI's variables in.
///
/// # Errors
/// See [`ResolveError`].
pub fn resolve_kpi(raw: &Map<String, Value>, scope: &Scope) -> Result<KpiSource, ResolveError> {
    let kind = raw.get("type").and_then(Value::as_str).unwrap_or_default();
    read(&filled(raw, scope)).map_err(|error| fails(format!("{kind}: {}", error.message)))
}

/// # Errors
/// The first field that is missing or cannot be.
pub fn read(raw: &Map<String, Value>) -> Result<KpiSource, FieldError> {
    let from = match text(raw, "type")?.as_deref() {
        Some("load") => return load::read(raw).map(KpiSource::Load),
        Some("proxy") => proxy::read(raw)?,
        Some("prometheus") => prometheus::read(raw)?,
        Some("http") => json::read(raw)?,
        _ => {
            let types = KPI_TYPES.join(", ");
            return Err(wrong("type", format!("a KPI's provider is one of {types}")));
        }
    };
    let is_prometheus = matches!(from, Counters::Prometheus { .. });
    let interval = duration(raw, "interval")?.unwrap_or(match is_prometheus {
        true => PROMETHEUS_INTERVAL_DEFAULT,
        false => INTERVAL_DEFAULT,
    });
    if interval < INTERVAL_MIN {
        let message = "`interval` is 50 ms or longer: a sensor is no load".to_owned();
        return Err(wrong("interval", message));
    }
    let scrape = match raw.get("scrape") {
        None | Some(Value::Null) if is_prometheus => PROMETHEUS_SCRAPE_DEFAULT,
        None | Some(Value::Null) => Duration::ZERO,
        Some(value) => crate::units::duration(value)
            .map_err(|error| wrong("scrape", format!("{error}: {}", error.hint())))?,
    };
    let silence_max = duration(raw, "silence-max")?.unwrap_or(interval * SILENCE_INTERVALS);
    if silence_max < interval {
        let message = "`silence-max` is no shorter than `interval`".to_owned();
        return Err(wrong("silence-max", message));
    }
    Ok(KpiSource::Counters(CountersCall {
        from,
        interval,
        timeout: duration(raw, "timeout")?.unwrap_or(interval),
        scrape,
        silence_max,
        idle_max: idle_max(raw, interval, scrape)?,
        rate: rate(raw)?,
        traffic: match text(raw, "traffic")?.as_deref() {
            None | Some("live") => Traffic::Live,
            Some("synthetic") => Traffic::Synthetic,
            Some("shadow") => Traffic::Shadow,
            Some(other) => {
                let message = format!("`traffic` is live, synthetic or shadow, not `{other}`");
                return Err(wrong("traffic", message));
            }
        },
        latency_limits: Vec::new(),
    }))
}

/// The keys of this provider type; nothing for a type that a KPI cannot have.
pub fn keys(kind: &str) -> Vec<&'static str> {
    let own: &[&str] = match kind {
        "load" => return load::KEYS.to_vec(),
        "proxy" => &proxy::KEYS,
        "prometheus" => &prometheus::KEYS,
        "http" => &json::KEYS,
        _ => return Vec::new(),
    };
    COMMON_KEYS.iter().chain(own).copied().collect()
}

fn idle_max(
    raw: &Map<String, Value>,
    interval: Duration,
    scrape: Duration,
) -> Result<Option<Duration>, FieldError> {
    if raw.get("idle-max").and_then(Value::as_str) == Some("never") {
        return Ok(None);
    }
    let told = duration(raw, "idle-max")
        .map_err(|error| wrong("idle-max", format!("{}; or `never`", error.message)))?;
    Ok(Some(told.unwrap_or(interval * IDLE_INTERVALS + scrape)))
}

fn rate(raw: &Map<String, Value>) -> Result<Option<f64>, FieldError> {
    match raw.get("rate") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_f64()
            .filter(|rate| *rate > 0.0 && *rate <= RATE_MAX)
            .map(Some)
            .ok_or_else(|| {
                let message = "`rate` is the requests per second that are expected, over 0";
                wrong("rate", message.to_owned())
            }),
    }
}

fn url(raw: &Map<String, Value>, message: &str) -> Result<String, FieldError> {
    let url = text(raw, "url")?.filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| missing("url", message))?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(wrong("url", format!("`{url}` is not an http address")));
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
