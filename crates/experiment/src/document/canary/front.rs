//! The route whose arms are compared, where the fault is on one behind it.

use serde_json::{Map, Value};

use super::super::ours::require;
use super::super::reader::Reader;
use super::{CanaryAsk, CanaryKpi, refuse_unknown};
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;

/// Where the users come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryFront {
    /// A route of the proxy that has the fault's.
    pub route: String,
    /// By what users are told apart there: `header:NAME` or `cookie:NAME`.
    pub by: String,
}

/// `by` is how the traffic of the fault's own route is divided.
pub(super) fn read(
    map: &Map<String, Value>,
    by: &str,
    kpis: &[CanaryKpi],
    path: &Path,
    reader: &mut Reader,
) -> Option<CanaryFront> {
    let place = path.key("front");
    let value = map.get("front").filter(|value| !value.is_null())?;
    let front = reader.map(value, &place)?;
    refuse_unknown(front, &place, &["route", "by"], reader);
    require(front, &["route"], &place, reader);
    if !is_passed_on(by) {
        let message = format!("by {by} nobody is the same at a route behind another");
        let mistake = Diagnostic::error(Code::Value, &path.key("split").key("by"), message);
        reader.push(mistake.hint(
            "divide by header:NAME or cookie:NAME, which the services in between pass on: the \
             connections and the client that come to a route behind are a service's own",
        ));
    }
    let of_users = |kpi: &CanaryKpi| matches!(kpi.asks, CanaryAsk::UserRatio { .. });
    if kpis.iter().any(of_users) {
        let message = "users are counted anew when the fault is put on their route, and with a \
                       `front` it is put on another: ask for a ratio of requests";
        reader.error(Code::Value, &place, message);
    }
    let own = match front.get("by") {
        None | Some(Value::Null) => by,
        Some(value) => value.as_str().unwrap_or(""),
    };
    if own != by && !is_passed_on(own) {
        let message = "`by` of a front is header:NAME or cookie:NAME";
        reader.error(Code::Value, &place.key("by"), message);
    }
    let route = front.get("route")?.as_str().filter(|name| !name.is_empty());
    if route.is_none() {
        let message = "`route` is the name of a route of the proxy";
        reader.error(Code::Value, &place.key("route"), message);
    }
    Some(CanaryFront {
        route: route?.to_owned(),
        by: own.to_owned(),
    })
}

/// Whether a service can pass it on.
fn is_passed_on(by: &str) -> bool {
    let mut kinds = ["header:", "cookie:"].iter();
    kinds.any(|kind| by.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
}
