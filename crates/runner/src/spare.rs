//! Whose traffic no fault of ours may meet: what watches the drill, and whom it tells.
//!
//! Spared over TCP are the Prometheus servers and the interfaces of proxies that the document asks,
//! the channels of notifications, and what `FIREDRILL_SPARE_ADDRESSES` lists as `host:port`, by commas. Not spared
//! are HTTP probes, KPI loads and endpoints with counters: they stand for users or are the users'
//! own, and are there to feel the fault.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs as _};

use firedrill_experiment::call::{self, Call, Counters, KpiSource};
use firedrill_experiment::document::{Experiment, Provider};
use firedrill_experiment::scope::Scope;
use serde_json::Value;
use url::Url;

use crate::settings::Settings;

/// Who is left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spare {
    pub addresses: Vec<SocketAddr>,
    /// As they were named, for the plan.
    pub names: Vec<String>,
    /// Named, but not to be found: a fault could meet them.
    pub unknown: Vec<String>,
}

const VARIABLE: &str = "FIREDRILL_SPARE_ADDRESSES";

impl Spare {
    /// Looks the names up, and may wait for that.
    pub fn of(experiment: &Experiment, scope: &Scope, settings: &Settings) -> Self {
        let mut ends = BTreeSet::new();
        watched(&Value::Object(experiment.raw.clone()), scope, &mut ends);
        for channel in settings.notifications() {
            let by_http = channel.get("type").and_then(Value::as_str) == Some("http");
            let url = channel.get("url").and_then(Value::as_str);
            ends.extend(url.filter(|_| by_http).and_then(end_of));
        }
        let listed = std::env::var(VARIABLE).unwrap_or_default();
        ends.extend(words(&listed));
        Self::look_up(ends)
    }

    fn look_up(ends: BTreeSet<String>) -> Self {
        let mut spare = Self::default();
        for end in ends {
            match end.to_socket_addrs() {
                Ok(found) => {
                    spare.addresses.extend(found);
                    spare.names.push(end);
                }
                Err(_) => spare.unknown.push(end),
            }
        }
        spare.addresses.sort_unstable();
        spare.addresses.dedup();
        spare
    }
}

fn words(listed: &str) -> impl Iterator<Item = String> + '_ {
    listed
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
}

/// Whom every Prometheus provider and every KPI of a proxy asks, wherever in the document it stands.
fn watched(value: &Value, scope: &Scope, ends: &mut BTreeSet<String>) {
    match value {
        Value::Array(several) => several.iter().for_each(|one| watched(one, scope, ends)),
        Value::Object(map) => {
            let kind = map.get("type").and_then(Value::as_str);
            if kind == Some("prometheus") {
                let provider = Provider::Prometheus { raw: map.clone() };
                if let Ok(Call::Prometheus(call)) = call::resolve(&provider, scope) {
                    ends.extend(end_of(&call.url));
                }
            }
            if matches!(kind, Some("prometheus" | "proxy"))
                && let Ok(KpiSource::Counters(call)) = call::resolve_kpi(map, scope)
                && let Counters::Prometheus { url, .. } | Counters::Proxy { url, .. } = &call.from
            {
                ends.extend(end_of(url));
            }
            map.values().for_each(|one| watched(one, scope, ends));
        }
        _ => {}
    }
}

/// `host:port` of a URL.
pub(crate) fn end_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    Some(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prometheus_servers_are_found_wherever_they_stand_and_probes_are_not() {
        let document = json!({
            "steady-state-hypothesis": {"probes": [
                {"provider": {"type": "http", "url": "http://127.0.0.1:8080/"}},
                {"provider": {"type": "prometheus", "url": "http://127.0.0.1:9090", "query": "up"}},
            ]},
            "kpis": [
                {"provider": {"type": "prometheus", "url": "http://127.0.0.1:9091", "good": "a", "bad": "b"}},
                {"provider": {"type": "proxy", "url": "http://127.0.0.1:8474", "proxy": "shop"}},
                {"provider": {"type": "http", "url": "http://127.0.0.1:8081", "good": "$.a", "bad": "$.b"}},
            ],
            "guardrails": {"probes": [
                {"provider": {"type": "prometheus", "url": "https://[::1]/p", "query": "up"}},
            ]},
        });
        let mut ends = BTreeSet::new();
        watched(&document, &Scope::default(), &mut ends);
        let ends: Vec<String> = ends.into_iter().collect();
        assert_eq!(
            ends,
            [
                "127.0.0.1:8474",
                "127.0.0.1:9090",
                "127.0.0.1:9091",
                "[::1]:443"
            ]
        );
    }

    #[test]
    fn what_cannot_be_looked_up_is_said() {
        let ends = words("127.0.0.1:4000, no-such-host.invalid:1 ,nonsense").collect();
        let spare = Spare::look_up(ends);
        assert_eq!(spare.addresses, ["127.0.0.1:4000".parse().unwrap()]);
        assert_eq!(spare.names, ["127.0.0.1:4000"]);
        assert_eq!(spare.unknown, ["no-such-host.invalid:1", "nonsense"]);
    }
}
