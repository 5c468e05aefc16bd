//! Top-level `canary`: a fault for one of two arms, compared with the other.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::activity::duration;
use super::ours::{block, refuse_unknown, require, share};
use super::reader::Reader;
use super::{Activity, Provider};
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;

mod arms;
mod front;
mod kpi;
mod split;
#[cfg(test)]
mod tests;
mod users;
mod window;

pub use arms::{CanaryArms, check_pair as check_arms};
pub use front::CanaryFront;
pub use kpi::{CanaryAsk, CanaryKpi};
pub(super) use split::{divided_by, share_of_arm};
pub use window::CanaryWindow;

/// Who is in which arm, what is compared, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// The fault of the method that the experiment arm has, by name.
    pub activity: String,
    pub arms: CanaryArms,
    /// Whose arms are compared; those of the fault's own route, if not given.
    pub front: Option<CanaryFront>,
    /// How long a user is watched at most, before it counts; none where no KPI is of users.
    pub epoch: Option<Duration>,
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

const KEYS: [&str; 10] = [
    "activity",
    "split",
    "arms",
    "front",
    "kpis",
    "baseline",
    "duration",
    "confidence",
    "standby",
    "window",
];

const BASELINE_DEFAULT: Duration = Duration::from_secs(5);
const DURATION_DEFAULT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

pub(super) fn read(
    raw: &Map<String, Value>,
    method: &[Activity],
    reader: &mut Reader,
) -> Option<Canary> {
    let (map, path) = block(raw, "canary", &KEYS, reader)?;
    refuse_unknown(map, &path, &KEYS, reader);
    require(map, &["kpis"], &path, reader);
    let activity = activity(map, &path, method, reader);
    let kpis = kpi::read(map, &path, reader);
    let arms = arms::read(map, &path, &kpis, reader);
    let by = arms.as_ref().and_then(CanaryArms::by);
    let (front, epoch) = match &arms {
        Some(CanaryArms::Apart { .. }) => {
            arms::refuse_of_split(map, &kpis, &path, reader);
            (None, None)
        }
        _ => (
            front::read(map, by.unwrap_or_default(), &kpis, &path, reader),
            users::read(map, &path, by, &kpis, reader),
        ),
    };
    let baseline = duration(map, "baseline", &path, reader)
        .unwrap_or_else(|| BASELINE_DEFAULT.max(epoch.unwrap_or_default()));
    let duration = limits(map, &path, reader);
    if let Some(epoch) = epoch {
        let longest = duration.map(|(_, most)| most);
        users::check(epoch, &path, baseline, longest, reader);
    }
    let confidence = share(map, "confidence", &path, reader).unwrap_or(0.95);
    if !(confidence > 0.5 && confidence < 1.0) {
        let message = "`confidence` lies between 0.5 and 1, both excluded";
        reader.error(Code::Value, &path.key("confidence"), message);
    }
    let standby = standby(map, &path, reader);
    let window = window::read(map, &path, reader);
    Some(Canary {
        activity: activity?,
        arms: arms?,
        front,
        epoch,
        kpis,
        baseline,
        duration: duration?,
        confidence,
        standby,
        window,
    })
}

/// The only fault of the method, or the one that is named. For an arm of a route that stands in the
/// document, so that `firedrill run` cannot have it for everybody.
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
    let is_split = !map.contains_key("arms");
    let is_for_arm =
        name.starts_with("application.") && arm.and_then(Value::as_str) == Some("experiment");
    if is_split && !is_for_arm {
        let diagnostic = Diagnostic::error(
            Code::Value,
            &path.key("activity"),
            format!(
                "`{}` is not for the experiment arm of a route",
                activity.name
            ),
        );
        reader.push(diagnostic.hint(
            "with `split` the fault is application.latency, http-error or reset, with `arm: experiment` among its arguments; any other needs `arms`",
        ));
        return None;
    }
    Some(activity.name.clone())
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
