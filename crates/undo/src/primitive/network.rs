use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use firedrill_kernel::ProcessIdentity;
use firedrill_kernel::link::Paths;
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::nftables::{PortRange, Prefix};
use serde::{Deserialize, Serialize};

/// An interface to take down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InterfaceDown {
    pub namespace: NetNamespace,
    pub index: u32,
    pub name: String,
    /// What taking it down removes. Read by the guardian just before it logs.
    pub before: Option<Paths>,
}

/// TCP connections to end, as if the network had reset them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConnectionReset {
    pub namespace: NetNamespace,
    pub holder: ConnectionHolder,
    pub choice: ConnectionChoice,
    /// Again so often, as far as the lease is renewed that often; once where absent.
    pub every: Option<Duration>,
}

/// Whose connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionHolder {
    /// Everybody's in the namespace.
    Anybody,
    /// Of a cgroup v2 and those below it, by its directory.
    Cgroup(PathBuf),
    Process(ProcessIdentity),
}

/// Which connections. Empty lists do not choose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ConnectionChoice {
    pub peers: Vec<Prefix>,
    /// Of either side.
    pub ports: Vec<PortRange>,
    pub remote_ports: Vec<PortRange>,
    pub local_ports: Vec<PortRange>,
    pub local_addresses: Vec<IpAddr>,
    /// Those of port 22, too.
    pub ssh: bool,
    /// Of those that match (0 to 1), each by its own throw.
    pub share: f64,
    pub seed: u64,
    /// Never those with one of these on either side.
    pub spare: Vec<SocketAddr>,
    /// Never those of these processes.
    pub spare_processes: Vec<ProcessIdentity>,
}
