//! What a canary compares.

use std::time::Duration;

use serde_json::{Map, Value};

use super::super::activity::duration;
use super::super::ours::{require, share};
use super::super::reader::Reader;
use super::refuse_unknown;
use crate::diagnostic::Code;
use crate::path::Path;

const TOLERANCE_DEFAULT: f64 = 0.01;

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
    /// The same of users, each of them once: whether a bad answer came to it.
    UserRatio {
        tolerance: f64,
    },
    Latency {
        quantile: f64,
        tolerance: Duration,
    },
}

pub(super) fn read(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Vec<CanaryKpi> {
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
    refuse_unknown(of, path, &["tolerance", "of"], reader);
    let tolerance = share(of, "tolerance", path, reader).unwrap_or(TOLERANCE_DEFAULT);
    match of.get("of").map(|of| of.as_str().unwrap_or("")) {
        None | Some("requests") => Some(CanaryAsk::SuccessRatio { tolerance }),
        Some("users") => Some(CanaryAsk::UserRatio { tolerance }),
        Some(_) => {
            let message = "`of` is requests or users";
            reader.error(Code::Value, &path.key("of"), message);
            None
        }
    }
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
