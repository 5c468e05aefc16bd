//! What each process of the shop does. A role reports the addresses it listens on as one line of
//! JSON on its standard output, then serves until it is killed.

mod gateway;
mod http;
mod lifetime;
mod payments;
mod proxy;
mod upstream;
mod web;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use thiserror::Error;

pub use gateway::{GatewayConfig, run_gateway};
pub use lifetime::Announcement;
pub use payments::{PaymentsConfig, run_payments};
pub use proxy::{ProxyConfig, run_proxy};
pub use upstream::Failure;
pub(crate) use upstream::{Ask, Upstream};
pub use web::{WebConfig, run_web};

/// A process of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Web,
    Payments,
    Proxy,
    Gateway,
}

impl Role {
    /// The word for it on the command line and in `FIREDRILL_LABELS`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Role::Web => "web",
            Role::Payments => "payments",
            Role::Proxy => "proxy",
            Role::Gateway => "gateway",
        }
    }

    /// The role of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Role> {
        [Role::Web, Role::Payments, Role::Proxy, Role::Gateway]
            .into_iter()
            .find(|role| role.word() == word)
    }
}

/// Plays a role on a runtime of its own, with the configuration that `Shop::start` passed as JSON.
/// Returns only when it cannot start or its parent was gone before it began.
///
/// # Errors
/// Bad JSON, an address that cannot be listened on, no runtime, no parent.
pub fn run_role(role: Role, config: &str) -> Result<Infallible, RoleError> {
    // One thread: ten processes share a small machine.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| RoleError::Runtime { source })?;
    match role {
        Role::Web => runtime.block_on(run_web(parse(role, config)?)),
        Role::Payments => runtime.block_on(run_payments(parse(role, config)?)),
        Role::Proxy => runtime.block_on(run_proxy(parse(role, config)?)),
        Role::Gateway => runtime.block_on(run_gateway(parse(role, config)?)),
    }
}

/// Why a process of the shop did not start.
#[derive(Debug, Error)]
pub enum RoleError {
    #[error("the configuration of the shop's {role} is not valid")]
    Config {
        role: &'static str,
        source: serde_json::Error,
    },
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot start a tokio runtime")]
    Runtime { source: io::Error },
    #[error("the proxy cannot be started")]
    Fabric { source: io::Error },
    #[error("cannot report the address listened on")]
    Announce { source: io::Error },
    #[error("cannot ask the kernel to end this process with its parent {parent}")]
    Bind { parent: u32, source: io::Error },
    #[error("the parent {parent} was gone before this process began")]
    Orphaned { parent: u32 },
}

fn parse<T: DeserializeOwned>(role: Role, config: &str) -> Result<T, RoleError> {
    serde_json::from_str(config).map_err(|source| RoleError::Config {
        role: role.word(),
        source,
    })
}
