use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Where the parts of a running shop listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Where customers come in: `/checkout`.
    pub router: SocketAddr,
    /// The router's counters: `/backends`.
    pub admin: SocketAddr,
    pub payments: SocketAddr,
    /// By instance name.
    pub web: BTreeMap<String, WebAddress>,
}

/// One web instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebAddress {
    pub zone: u32,
    pub address: SocketAddr,
    /// In no rotation: it gets no traffic.
    pub drained: bool,
}

impl Addresses {
    pub(super) fn unknown() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Addresses {
            router: nowhere,
            admin: nowhere,
            payments: nowhere,
            web: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn checkout_url(&self) -> String {
        format!("http://{}/checkout", self.router)
    }

    /// The router's counters per instance, as a JSON object keyed by instance name.
    #[must_use]
    pub fn backends_url(&self) -> String {
        format!("http://{}/backends", self.admin)
    }

    /// The number of zones.
    #[must_use]
    pub fn zones(&self) -> u32 {
        self.web.values().map(|web| web.zone).max().unwrap_or(0)
    }

    /// The names of a zone's instances that are in rotation.
    pub fn zone(&self, zone: u32) -> impl Iterator<Item = &str> {
        self.web
            .iter()
            .filter(move |(_, web)| web.zone == zone && !web.drained)
            .map(|(name, _)| name.as_str())
    }
}
