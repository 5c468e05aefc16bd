//! What is done to load balancers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::haproxy::{Administrative, Haproxy, Server};

/// Servers of a HAProxy taken out of use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServersOut {
    /// The runtime socket.
    pub socket: PathBuf,
    pub servers: Vec<Server>,
    pub state: OutOfUse,
    /// Their present sessions end as well.
    pub shutdown_sessions: bool,
    /// Servers that each of their backends keeps in use.
    pub remaining_min: u64,
    /// Read by the guardian just before it logs.
    pub before: Option<BalancerBefore>,
}

/// How a server is taken out of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutOfUse {
    /// New sessions go elsewhere; the present ones go on.
    Drain,
    /// As if it were not there.
    Maint,
}

/// A load balancer as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BalancerBefore {
    pub haproxy: Haproxy,
    /// In the order of the servers.
    pub servers: Vec<ServerBefore>,
}

/// A server as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerBefore {
    pub told: Administrative,
    pub weight: u32,
}

impl From<OutOfUse> for Administrative {
    fn from(out: OutOfUse) -> Self {
        match out {
            OutOfUse::Drain => Self::Drain,
            OutOfUse::Maint => Self::Maint,
        }
    }
}
