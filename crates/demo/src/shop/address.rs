use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Where the parts of a running shop listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Where customers come in: `/checkout`.
    pub gateway: SocketAddr,
    /// The proxy's interface, which is Toxiproxy's: `/proxies`, of which there are `web` and
    /// `payments`.
    pub proxy: SocketAddr,
    pub payments: SocketAddr,
    /// By instance name.
    pub web: BTreeMap<String, WebAddress>,
}

/// One web instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebAddress {
    pub zone: u32,
    pub address: SocketAddr,
    /// It gets no traffic.
    pub drained: bool,
}

impl Addresses {
    pub(super) fn unknown() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Addresses {
            gateway: nowhere,
            proxy: nowhere,
            payments: nowhere,
            web: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn checkout_url(&self) -> String {
        format!("http://{}/checkout", self.gateway)
    }

    /// What the proxy knows of each web instance, with how many connections it has got, as a JSON
    /// list.
    #[must_use]
    pub fn endpoints_url(&self) -> String {
        format!("http://{}/proxies/web/endpoints", self.proxy)
    }

    /// The number of zones.
    #[must_use]
    pub fn zones(&self) -> u32 {
        self.web.values().map(|web| web.zone).max().unwrap_or(0)
    }

    /// The names of a zone's instances that get traffic.
    pub fn zone(&self, zone: u32) -> impl Iterator<Item = &str> {
        self.web
            .iter()
            .filter(move |(_, web)| web.zone == zone && !web.drained)
            .map(|(name, _)| name.as_str())
    }
}
