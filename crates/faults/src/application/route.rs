//! A route of a fault proxy, and what a toxic on it is aimed at.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use firedrill_undo::fault_proxy::{Arm, Route, Toxic};
use firedrill_undo::{ControlApi, Primitive, ProxyError, PutOnRoute, RouteChange};
use serde_json::{Map, Value, json};

use crate::FaultError;
use crate::arguments::{Arguments, PERCENT};
use crate::catalogue::{Parameter, ParameterKind};
use crate::fault::{CompileError, fresh_name};
use crate::switching::row::{required, row};

/// Toxiproxy's.
const API: &str = "http://127.0.0.1:8474";
const PORT: u16 = 8474;

const APIS: &str = "like http://127.0.0.1:8474: the HTTP interface of a fault proxy";
const ROUTES: &str = "the name of a route of the proxy";
const ARMS: &str = "control or experiment";
const PATHS: &str = "begins with / or *; * is any part of it";

pub(super) const NEEDS: &str = "a `firedrill proxy`, or a Toxiproxy where its route is of streams";
pub(super) const MECHANISM: &str = "a toxic on the route, over the proxy's HTTP interface";
pub(super) const RECOVERY: &str = "the guardian takes exactly this toxic away when its owner dies or \
     the lease runs out, `firedrill recover` does when both are dead: until then the toxic stays; \
     the end of the proxy undoes it by itself, its state file does not keep it";
pub(super) const OBSERVED: &str = "the proxy's own counts since the toxic is there: the share of the \
     requests that met it, or the bytes of the streams that did";

/// How long a proxy may take to say what it has.
const PATIENCE: Duration = Duration::from_secs(5);

/// What every fault of a route asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OnRoute {
    /// Host and port.
    api: (String, u16),
    route: String,
    percent: f64,
    arm: Option<Arm>,
    /// Of requests: what their path is like.
    path: Option<String>,
}

/// A toxic without what [`OnRoute`] says of it.
pub(super) struct Effect {
    pub(super) kind: String,
    pub(super) attributes: Map<String, Value>,
}

impl OnRoute {
    pub(super) const KNOWN: [&str; 5] = ["proxy", "route", "percent", "arm", "path"];

    pub(super) fn parse(read: &mut Arguments<'_>) -> Self {
        let api = read.read("proxy", APIS, |value| host_and_port(value.as_str()?));
        let route = read.read("route", ROUTES, |value| {
            let name = value.as_str()?;
            let named = !name.is_empty() && name.len() <= 255;
            (named && !name.chars().any(char::is_control)).then(|| name.to_owned())
        });
        let route = read.require("route", route, ROUTES);
        let percent = read.percent("percent");
        let arm = read.read("arm", ARMS, |value| match value.as_str()? {
            "control" => Some(Arm::Control),
            "experiment" => Some(Arm::Experiment),
            _ => None,
        });
        let path = read.read("path", PATHS, |value| {
            let path = value.as_str()?;
            path.starts_with(['/', '*']).then(|| path.to_owned())
        });
        Self {
            api: api.unwrap_or_else(|| ("127.0.0.1".into(), PORT)),
            route,
            percent: percent.unwrap_or(100.0),
            arm,
            path,
        }
    }

    pub(super) fn parameters() -> Vec<Parameter> {
        vec![
            row(
                "proxy",
                ParameterKind::Text,
                APIS,
                Some(json!(API)),
                "the proxy that the route is of",
            ),
            required(
                "route",
                ParameterKind::Text,
                ROUTES,
                "where the traffic passes",
            ),
            row(
                "percent",
                ParameterKind::Number,
                PERCENT,
                Some(json!(100)),
                "the share of the requests that it falls on; of the connections, where the proxy \
                 knows no requests",
            ),
            row(
                "arm",
                ParameterKind::Choice,
                ARMS,
                None,
                "only requests in this arm of a route that is divided; all, if not given",
            ),
            row(
                "path",
                ParameterKind::Text,
                PATHS,
                None,
                "only requests (HTTP) whose path is like this",
            ),
        ]
    }

    /// The toxic that `choose` makes of the route as it is.
    pub(super) fn put(
        &self,
        fault: &'static str,
        choose: impl Fn(&Route) -> Result<Effect, ProxyError>,
    ) -> Result<Vec<Primitive>, CompileError> {
        let (api, route) = self.look()?;
        if !route.enabled {
            return Err(ProxyError::Disabled { route: route.name }.into());
        }
        let Effect {
            kind,
            mut attributes,
        } = choose(&route)?;
        let other = |what, needed| ProxyError::OtherProtocol {
            what,
            needed,
            route: route.name.clone(),
            protocol: route.protocol.clone(),
        };
        if self.arm.is_some() && !knows_requests(&route) {
            let what = "the arm of a request";
            return Err(other(what, "requests (protocol=http)").into());
        }
        if let Some(path) = &self.path {
            if !is_http(&route) {
                return Err(other(fault, "the path of HTTP requests").into());
            }
            attributes.insert("path".into(), json!(path));
        }
        Ok(vec![Primitive::ChangeRoute(RouteChange {
            api,
            route: self.route.clone(),
            put: PutOnRoute::Toxic(Toxic {
                name: fresh_name(),
                kind,
                stream: "downstream".into(),
                toxicity: self.percent / 100.0,
                arm: self.arm,
                attributes,
            }),
        })])
    }

    fn look(&self) -> Result<(SocketAddr, Route), ProxyError> {
        first_answer(&self.api, |api| api.route(&self.route))
    }
}

/// Where the proxy with this interface is.
///
/// # Errors
/// When this is no interface, its host cannot be looked up, or nobody answers there.
pub fn proxy_at(url: &str) -> Result<SocketAddr, ProxyError> {
    let api = host_and_port(url).ok_or_else(|| ProxyError::HostUnknown {
        name: url.into(),
        source: std::io::Error::other(format!("an interface is {APIS}")),
    })?;
    first_answer(&api, ControlApi::routes).map(|(address, _)| address)
}

/// The first of the host's addresses where a proxy answers: `localhost` has two.
fn first_answer<T>(
    (host, port): &(String, u16),
    ask: impl Fn(&ControlApi) -> Result<T, ProxyError>,
) -> Result<(SocketAddr, T), ProxyError> {
    let unknown = |source| ProxyError::HostUnknown {
        name: host.clone(),
        source,
    };
    let addresses = (host.as_str(), *port).to_socket_addrs().map_err(unknown)?;
    let mut last = unknown(std::io::ErrorKind::NotFound.into());
    for address in addresses {
        match ask(&ControlApi::at(address, PATIENCE)) {
            Ok(answer) => return Ok((address, answer)),
            Err(error @ ProxyError::Unreachable { .. }) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

pub(super) fn is_http(route: &Route) -> bool {
    matches!(route.protocol.as_str(), "http" | "http2")
}

/// Elsewhere it has nothing but bytes.
pub(super) fn knows_requests(route: &Route) -> bool {
    !matches!(route.protocol.as_str(), "tcp" | "udp")
}

/// A delay, its word and its bounds: toxics have whole milliseconds.
pub(super) const DELAYS: &str = "a time from 1ms to 10m";

pub(super) fn delay(read: &mut Arguments<'_>, name: &str) -> Option<u64> {
    read.read(name, DELAYS, |value| {
        let time = firedrill_experiment::units::duration(value).ok()?;
        let within = time >= Duration::from_millis(1) && time <= Duration::from_secs(600);
        within.then_some((time.as_secs_f64() * 1000.0).round() as u64)
    })
}

/// `http://HOST[:PORT][/]`; an IPv6 address in brackets.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let authority = url.trim().strip_prefix("http://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, PORT),
    };
    let host = host
        .strip_prefix('[')
        .and_then(|inside| inside.strip_suffix(']'))
        .unwrap_or(host);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    (!host.is_empty() && port > 0 && host.chars().all(plain)).then(|| (host.to_owned(), port))
}

/// A mistake where one parameter says more than another allows.
pub(super) fn at_most(
    read: &mut Arguments<'_>,
    owner: &'static str,
    (name, value): (&'static str, Option<u64>),
    most: u64,
    expected: &str,
) {
    if let Some(value) = value.filter(|value| *value > most) {
        read.mistake(FaultError::Value {
            owner,
            name: name.into(),
            found: format!("{value}ms"),
            expected: expected.into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_a_host_and_a_port_and_nothing_more() {
        for (url, expected) in [
            ("http://127.0.0.1:8474", Some(("127.0.0.1", 8474))),
            ("http://proxy.internal/", Some(("proxy.internal", 8474))),
            ("http://[::1]:9000", Some(("::1", 9000))),
            ("http://[::1]", Some(("::1", 8474))),
            ("https://127.0.0.1:8474", None),
            ("http://", None),
            ("http://host:port", None),
            ("http://host:0", None),
            ("http://host:1/proxies", None),
            ("http://a@b:1", None),
            ("127.0.0.1:8474", None),
        ] {
            let found = host_and_port(url);
            let found = found.as_ref().map(|(host, port)| (host.as_str(), *port));
            assert_eq!(found, expected, "{url}");
        }
    }
}
