//! The endpoints of a proxy that leads to several places: ours, Toxiproxy's lead to one.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::answer::ApiError;
use crate::fabric::Drained;
use crate::group::{State, Which};

/// How an endpoint is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointView {
    pub address: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    pub drained: bool,
    /// What its checks say; `null` before the first.
    pub healthy: Option<bool>,
    /// Seconds that it is still left alone, because connections to it failed; 0 if it is not.
    pub ejected: f64,
    /// Those that are there, and those that are being made.
    pub connections: usize,
    /// All that were made since the proxy was last enabled.
    pub connections_total: u64,
}

/// `{"zone": "a"}` or `{"address": "127.0.0.1:80"}`, and what becomes of its connections.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    #[serde(default)]
    zone: Option<String>,
    #[serde(default)]
    address: Option<SocketAddr>,
    /// Whether connections go there again.
    #[serde(default)]
    back: bool,
    /// Whether the connections that are there are reset.
    #[serde(default)]
    reset: bool,
}

impl Drain {
    pub(super) fn wanted(self) -> Result<(Which, Drained), ApiError> {
        let which = match (self.zone, self.address) {
            (Some(zone), None) => Which::Zone(zone),
            (None, Some(address)) => Which::Address(address),
            _ => return Err(ApiError::body("it has a zone or an address".into())),
        };
        let drained = match (self.back, self.reset) {
            (true, true) => {
                let why = "connections go there again or are reset, not both";
                return Err(ApiError::body(why.into()));
            }
            (true, false) => Drained::No,
            (false, false) => Drained::Yes,
            (false, true) => Drained::AndReset,
        };
        Ok((which, drained))
    }
}

impl From<State> for EndpointView {
    fn from(state: State) -> Self {
        Self {
            address: state.endpoint.address,
            zone: state.endpoint.zone,
            drained: state.drained,
            healthy: state.well,
            ejected: state.ejected.unwrap_or_default().as_secs_f64(),
            connections: state.connections,
            connections_total: state.connections_total,
        }
    }
}
