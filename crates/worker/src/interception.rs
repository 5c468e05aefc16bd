//! Connections of others that are led through a proxy, and what it does to them. Data only: a
//! program that has a proxy gives it to [`crate::worker_main_with`].

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use firedrill_kernel::KernelError;
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::nftables::{Action, Ruleset, RulesetError};
use serde::{Deserialize, Serialize};

use crate::Control;

/// Where connections are taken from, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Interception {
    pub namespace: NetNamespace,
    /// Its rules lead connections to the port of the proxy. The table belongs to the worker: it goes
    /// with it.
    pub ruleset: Ruleset,
    pub carried: Carried,
    /// Where the proxy listens: the same port everywhere.
    pub listen: Vec<SocketAddr>,
    /// What the proxy sends has this mark, by which the rules spare it.
    pub mark: u32,
    /// The same seed gives the same connections the same fate.
    pub seed: u64,
    /// In their order, each on every connection that comes.
    pub faults: Vec<ConnectionFault>,
}

/// What is led through the proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carried {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams, of which all between the same two ends are one connection here.
    Udp,
}

/// What is done to one direction of a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConnectionFault {
    pub towards: Towards,
    pub kind: ConnectionFaultKind,
}

/// Whither the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Towards {
    /// What whoever connected says.
    Server,
    /// What it is answered.
    Client,
}

/// As the proxy has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionFaultKind {
    Latency {
        delay: Duration,
        jitter: Duration,
    },
    Bandwidth {
        bytes_per_second: u64,
    },
    /// Segments that come again after this time; datagrams do not come again.
    Loss {
        share: f64,
        stall: Duration,
    },
    /// One bit flipped in this share of the segments or datagrams.
    Corrupt {
        share: f64,
    },
    Slicer {
        size: u64,
        delay: Duration,
    },
    /// Closed after so many bytes; of datagrams, nothing passes any more.
    Limit {
        bytes: u64,
    },
    /// Nothing passes; closed after this time.
    Timeout {
        after: Duration,
    },
    /// Reset so long after the first byte.
    Reset {
        after: Duration,
    },
    /// Nothing passes, and nothing is closed.
    Hang,
    SlowClose {
        delay: Duration,
    },
}

/// What leads connections through a proxy for as long as the process lives.
pub type Interceptor = fn(&Interception, &Control) -> Result<Infallible, InterceptionError>;

/// Why connections are not led through the proxy.
#[derive(Debug, thiserror::Error)]
pub enum InterceptionError {
    #[error("the rules lead nowhere, or elsewhere than where the proxy listens")]
    LeadsElsewhere,
    #[error("the share {share} is not from 0 to 1")]
    Share { share: f64 },
    #[error("{what} is of connections, not of datagrams")]
    OfConnections { what: &'static str },
    #[error("this program has no proxy in it")]
    NoProxy,
    #[error(transparent)]
    Rules(#[from] RulesetError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("the proxy cannot {doing}")]
    Proxy {
        doing: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Interception {
    /// The port that connections are led to; also what tells their translations from others'.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.listen.first().map(SocketAddr::port)
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn validate(&self) -> Result<(), InterceptionError> {
        self.ruleset.validate()?;
        let rules = self.ruleset.chains.iter().flat_map(|chain| &chain.rules);
        let mut ports = rules.filter_map(|rule| match rule.action {
            Action::Redirect(port) => Some(Some(port)),
            _ => None,
        });
        let port = self.port();
        let one_port = self.listen.iter().all(|at| Some(at.port()) == port);
        if port.is_none() || !one_port || !ports.all(|led_to| led_to == port) {
            return Err(InterceptionError::LeadsElsewhere);
        }
        for fault in &self.faults {
            if let (Carried::Udp, Some(what)) = (self.carried, fault.kind.only_of_connections()) {
                return Err(InterceptionError::OfConnections { what });
            }
            match fault.kind {
                ConnectionFaultKind::Loss { share, .. }
                | ConnectionFaultKind::Corrupt { share }
                    if !(0.0..=1.0).contains(&share) =>
                {
                    return Err(InterceptionError::Share { share });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl ConnectionFaultKind {
    /// Its name, if datagrams cannot have it.
    fn only_of_connections(&self) -> Option<&'static str> {
        match self {
            Self::Slicer { .. } => Some("slicer"),
            Self::Timeout { .. } => Some("timeout"),
            Self::Reset { .. } => Some("reset"),
            Self::SlowClose { .. } => Some("slow-close"),
            Self::Latency { .. }
            | Self::Bandwidth { .. }
            | Self::Loss { .. }
            | Self::Corrupt { .. }
            | Self::Limit { .. }
            | Self::Hang => None,
        }
    }
}
