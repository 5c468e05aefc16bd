//! Which arms a canary compares: shares of a route, or two places that others lead traffic to.

use serde_json::{Map, Value};

use super::super::kpi;
use super::super::ours::require;
use super::super::reader::Reader;
use super::{CanaryAsk, CanaryKpi, refuse_unknown, split};
use crate::call::{KpiSource, read_kpi};
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;
use crate::substitute::names;

/// Who is in which arm.
#[derive(Debug, Clone, PartialEq)]
pub enum CanaryArms {
    /// Shares of the traffic of one route, which its proxy divides.
    Split {
        /// Of each arm.
        share: f64,
        /// `connection`, `client`, `header:NAME` or `cookie:NAME`.
        by: String,
    },
    /// Sources of the kinds of a KPI, one for each arm; others divide the traffic.
    Apart {
        control: Map<String, Value>,
        experiment: Map<String, Value>,
    },
}

impl CanaryArms {
    /// By what a route is divided.
    pub(super) fn by(&self) -> Option<&str> {
        match self {
            Self::Split { by, .. } => Some(by),
            Self::Apart { .. } => None,
        }
    }
}

const NAMES: [&str; 2] = ["control", "experiment"];

pub(super) fn read(
    map: &Map<String, Value>,
    path: &Path,
    kpis: &[CanaryKpi],
    reader: &mut Reader,
) -> Option<CanaryArms> {
    match (map.get("split"), map.get("arms")) {
        (Some(_), None) => {
            let (share, by) = split::read(map, path, reader)?;
            Some(CanaryArms::Split { share, by })
        }
        (None, Some(arms)) => apart(arms, &path.key("arms"), kpis, reader),
        (both, _) => {
            let said = match both {
                Some(_) => "a canary has one of `split` and `arms`",
                None => "a canary needs its two arms: `split` or `arms`",
            };
            reader.push(Diagnostic::error(Code::Value, path, said).hint(
                "`split: {share: 0.05}` divides a route of a proxy; `arms: {control: …, experiment: …}` are two sources as `kpis` have them",
            ));
            None
        }
    }
}

fn apart(
    value: &Value,
    path: &Path,
    kpis: &[CanaryKpi],
    reader: &mut Reader,
) -> Option<CanaryArms> {
    let arms = reader.map(value, path)?;
    refuse_unknown(arms, path, &NAMES, reader);
    require(arms, &NAMES, path, reader);
    let asks_times = kpis
        .iter()
        .any(|kpi| matches!(kpi.asks, CanaryAsk::Latency { .. }));
    let [control, experiment] = NAMES.map(|name| {
        let here = path.key(name);
        let source = kpi::source(arms.get(name)?, &here, reader)?;
        if asks_times {
            kpi::check_latencies(&source, &here, reader);
        }
        Some(source)
    });
    let (control, experiment) = (control?, experiment?);
    if let (Some(one), Some(other)) = (known(&control), known(&experiment))
        && let Err(why) = check_pair(&one, &other)
    {
        reader.error(Code::Value, path, why);
    }
    Some(CanaryArms::Apart {
        control,
        experiment,
    })
}

/// What only a proxy that divides a route can do.
pub(super) fn refuse_of_split(
    map: &Map<String, Value>,
    kpis: &[CanaryKpi],
    path: &Path,
    reader: &mut Reader,
) {
    for key in ["front", "standby"] {
        if map.get(key).is_some_and(|value| !value.is_null()) {
            let message = format!("`{key}` is about routes of a proxy, and `arms` have none");
            reader.error(Code::Value, &path.key(key), message);
        }
    }
    let of_users = |kpi: &CanaryKpi| matches!(kpi.asks, CanaryAsk::UserRatio { .. });
    if kpis.iter().any(of_users) {
        let message = "users are counted by the proxy that divides them, and `arms` have none: ask for a ratio of requests";
        reader.error(Code::Value, &path.key("kpis"), message);
    }
}

/// The source, where it does not depend on variables.
fn known(source: &Map<String, Value>) -> Option<KpiSource> {
    let is_known = source.values().all(|value| names(value).is_empty());
    is_known.then(|| read_kpi(source).ok()).flatten()
}

/// Whether two sources can be arms of one canary.
///
/// # Errors
/// Why not.
pub fn check_pair(control: &KpiSource, experiment: &KpiSource) -> Result<(), String> {
    if control.overlaps(experiment) {
        return Err("both arms count the same requests: the experiment's source is that of the instance with the fault, and the control's that of others".into());
    }
    match (control, experiment) {
        (KpiSource::Load(one), KpiSource::Load(other)) if one.rate != other.rate => Err(format!(
            "the arms' loads have different rates, {} and {} per second: then they are compared, and not what answers them",
            one.rate, other.rate
        )),
        _ if control.traffic() != experiment.traffic() => Err(format!(
            "the control's traffic is {} and the experiment's {}: both have to be alike",
            control.traffic(),
            experiment.traffic()
        )),
        _ => Ok(()),
    }
}
