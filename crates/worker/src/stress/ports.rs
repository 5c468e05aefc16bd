//! Ports: bound, listening, never answering, so that a service cannot start on them.

mod holder;

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use firedrill_kernel::Capability;
use firedrill_kernel::namespace::NetNamespace;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use serde::{Deserialize, Serialize};

use super::StressError;
use super::descriptors::descriptors_for;
use crate::control::Control;
use crate::measurement::{Measurement, Quantity};

/// Every port on every address. Connections that clients make meanwhile are never accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortHold {
    /// `0.0.0.0` and `::` mean all of their kind, and only of their kind.
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<(Protocol, u16)>,
    /// The network namespace of the worker where absent.
    #[serde(default)]
    pub namespace: Option<NetNamespace>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl PortHold {
    /// # Errors
    /// When a parameter is out of range.
    pub fn validate(&self) -> Result<(), StressError> {
        let out = |name, rule| StressError::OutOfRange {
            name,
            value: "empty".to_owned(),
            rule,
        };
        if self.addresses.is_empty() {
            return Err(out("addresses", "at least one"));
        }
        if self.ports.is_empty() {
            return Err(out("ports", "at least one"));
        }
        if self.ports.iter().any(|(_, port)| *port == 0) {
            return Err(StressError::OutOfRange {
                name: "ports",
                value: "0".to_owned(),
                rule: "1 to 65535",
            });
        }
        Ok(())
    }

    pub(crate) fn run(self, control: &Control) -> Result<Infallible, StressError> {
        let held = match &self.namespace {
            Some(namespace) => namespace.within(|| self.hold(control))?,
            None => self.hold(control)?,
        };
        let count = held.len() as f64;
        control.ready(move || vec![Measurement::exact(Quantity::PortsHeld, Some(count), count)]);
        loop {
            control.wait(Duration::from_secs(60));
            // Held for as long as the process lives.
            std::hint::black_box(&held);
        }
    }

    fn hold(&self, control: &Control) -> Result<Vec<OwnedFd>, StressError> {
        let count = self.addresses.len().saturating_mul(self.ports.len());
        let capacity = descriptors_for("ports", count as u64)?;
        if count as u64 > capacity.pieces {
            return Err(StressError::BeyondProcess {
                wanted: count as u64,
                most: capacity.pieces,
                unit: capacity.unit,
                limit: capacity.limit,
            });
        }
        let mut held = Vec::new();
        for address in &self.addresses {
            for (protocol, port) in &self.ports {
                control.check();
                held.push(take(*protocol, SocketAddr::new(*address, *port))?);
            }
        }
        Ok(held)
    }
}

fn take(protocol: Protocol, address: SocketAddr) -> Result<OwnedFd, StressError> {
    open(protocol, address).map_err(|errno| {
        if errno == Errno::ADDRINUSE {
            return StressError::PortTaken {
                protocol,
                address,
                holder: holder::find(protocol, address),
            };
        }
        let doing = format!("take {protocol} {address}");
        StressError::refused(errno, Capability::NetBindService, doing, || {
            StressError::Port {
                protocol,
                address,
                source: errno.into(),
            }
        })
    })
}

fn open(protocol: Protocol, address: SocketAddr) -> Result<OwnedFd, Errno> {
    let (family, kind) = (
        match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        },
        match protocol {
            Protocol::Tcp => SocketType::STREAM,
            Protocol::Udp => SocketType::DGRAM,
        },
    );
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        // 0.0.0.0 is a port of its own, which may be asked for as well.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Tcp {
        // Past connections in TIME_WAIT are no reason to refuse. UDP would share the port.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    if protocol == Protocol::Tcp {
        // One client may complete its connection, the rest wait in vain.
        rustix::net::listen(&socket, 0)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_no_address_and_port_zero_are_refused() {
        let any = IpAddr::from([127, 0, 0, 1]);
        let hold = |addresses: &[IpAddr], ports: &[(Protocol, u16)]| PortHold {
            addresses: addresses.to_vec(),
            ports: ports.to_vec(),
            namespace: None,
        };
        assert!(hold(&[any], &[(Protocol::Tcp, 1)]).validate().is_ok());
        assert!(hold(&[], &[(Protocol::Tcp, 1)]).validate().is_err());
        assert!(hold(&[any], &[]).validate().is_err());
        assert!(hold(&[any], &[(Protocol::Udp, 0)]).validate().is_err());
    }
}
