//! A search that breaks no more than one arm of live traffic: how its routes are divided meanwhile.

use std::net::{SocketAddr, ToSocketAddrs as _};

use firedrill_experiment::call::{Counters, KpiSource};
use firedrill_experiment::document::MarginArm;
use firedrill_undo::{Primitive, RouteChange};

use crate::canary::ask::{Divided, Shares};
use crate::spare::end_of;

/// The split of the fault's route; and with the same draw that of the KPI's, where it is another.
///
/// # Errors
/// Why the KPI would not count those who have the fault.
pub(super) fn splits(
    arm: &MarginArm,
    fault: Option<&RouteChange>,
    kpi: &KpiSource,
) -> Result<Vec<Primitive>, String> {
    let Some(fault) = fault else {
        return Err("`arm`: what is varied changes no route of a proxy".into());
    };
    let KpiSource::Counters(call) = kpi else {
        return Err("`arm`: the KPI is not of a route of a proxy".into());
    };
    let Counters::Proxy { url, proxy, .. } = &call.from else {
        return Err("`arm`: the KPI is not of a route of a proxy".into());
    };
    if !is_at(url, fault.api) {
        return Err(format!(
            "`arm`: the KPI is of a route at {url}, and the fault is on one at {}; one proxy has to divide both",
            fault.api
        ));
    }
    let is_behind = *proxy != fault.route;
    let shares = Shares {
        api: fault.api,
        route: proxy.clone(),
        behind: is_behind.then(|| Divided {
            route: fault.route.clone(),
            by: arm.by.clone(),
        }),
        share: arm.share,
        by: match is_behind {
            true => arm.front_by.clone(),
            false => arm.by.clone(),
        },
        epoch: None,
        standby: Vec::new(),
    };
    Ok(shares.splits())
}

/// Whether this URL is that of the interface. Looks a name up, and may wait for that.
fn is_at(url: &str, api: SocketAddr) -> bool {
    let found = end_of(url).and_then(|end| end.to_socket_addrs().ok());
    found.is_some_and(|mut found| found.any(|address| address == api))
}
