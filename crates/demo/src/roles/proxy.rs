use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use firedrill_proxy::toxiproxy::Api;
use firedrill_proxy::{ARMS_MOST, Fabric, Options};
use serde::{Deserialize, Serialize};

use super::RoleError;
use super::lifetime::{announce, end_with};

/// What stands between the parts of the shop: `firedrill proxy`'s fabric, with its interface. Its
/// routes are made over the interface, as a user's are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyConfig {
    /// Where the interface listens; port 0 takes any that is free.
    pub api: SocketAddr,
    /// Where toxics' decisions come from.
    pub seed: u64,
    /// The process to end with; none to stay.
    pub parent: Option<u32>,
}

/// Leads connections and answers the interface until killed.
///
/// # Errors
/// When it cannot listen, cannot announce its address, or its parent is gone.
pub async fn run_proxy(config: ProxyConfig) -> Result<Infallible, RoleError> {
    end_with(config.parent)?;
    let fabric = Fabric::start(&Options {
        // One thread: ten processes share a small machine.
        threads: 1,
        seed: config.seed,
        arms_most: ARMS_MOST,
        busy_poll: Duration::ZERO,
    });
    let fabric = Arc::new(fabric.map_err(|source| RoleError::Fabric { source })?);
    let api = Api::bind(config.api, fabric).map_err(|source| RoleError::Listen {
        address: config.api,
        source,
    })?;
    let address = api.address();
    announce(address)?;
    let served = api.serve(std::future::pending()).await;
    let source = served
        .err()
        .unwrap_or_else(|| std::io::ErrorKind::BrokenPipe.into());
    Err(RoleError::Listen { address, source })
}
