//! What is put on a route of a fault proxy.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::fault_proxy::{Split, Toxic};

/// One thing more on a route of a running proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RouteChange {
    /// The proxy's HTTP interface.
    pub api: SocketAddr,
    pub route: String,
    pub put: PutOnRoute,
}

/// What is put there, under a name of its own: the guardian adds the drill's to it before it logs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PutOnRoute {
    Toxic(Toxic),
    /// Refused where the route is divided already.
    Split(Split),
}

impl PutOnRoute {
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Toxic(toxic) => &toxic.name,
            Self::Split(split) => &split.name,
        }
    }
}
