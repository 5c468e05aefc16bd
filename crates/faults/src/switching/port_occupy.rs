//! Holds ports, so that a service cannot start on them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use firedrill_kernel::namespace::NamespaceName;
use firedrill_undo::{Primitive, Work};
use firedrill_worker::Job;
use firedrill_worker::stress::{PortHold, Protocol};
use serde_json::{Map, Value, json};

use super::filter;
use super::place::{Place, places};
use super::row::{required, row};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(PortOccupy::parse(arguments)?)),
};

const NAME: &str = "switching.port-occupy";

/// A worker holds one descriptor for each, and each address.
const MOST: usize = 10_000;

const PORTS: &str = "a port, a range such as \"8000-8099\", or a list of them; at most 10000";
const PROTOCOLS: &str = "tcp, udp or both";
const ADDRESSES: &str = "an address of the target, or a list of them";

/// `switching.port-occupy`
#[derive(Clone, Debug, PartialEq)]
pub struct PortOccupy {
    ports: Vec<(Protocol, u16)>,
    /// Empty: every address.
    addresses: Vec<IpAddr>,
}

impl PortOccupy {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["port", "protocol", "address"]);
        let ports = read.read("port", PORTS, ports);
        let ports = read.require("port", ports, "which ports");
        let protocols = read.read("protocol", PROTOCOLS, |value| {
            Some(match value.as_str()? {
                "tcp" => vec![Protocol::Tcp],
                "udp" => vec![Protocol::Udp],
                "both" => vec![Protocol::Tcp, Protocol::Udp],
                _ => return None,
            })
        });
        let addresses = read.read("address", ADDRESSES, |value| {
            filter::list(value, |one| one.as_str()?.trim().parse().ok())
        });
        read.finish()?;
        let protocols = protocols.unwrap_or_else(|| vec![Protocol::Tcp]);
        let each = |protocol: Protocol| ports.iter().map(move |port| (protocol, *port));
        Ok(Self {
            ports: protocols.into_iter().flat_map(each).collect(),
            addresses: addresses.unwrap_or_default(),
        })
    }

    fn at(&self, place: Place) -> Result<Primitive, CompileError> {
        if place.sockets.is_some() {
            return Err(CompileError::NotApart {
                what: "a port".into(),
                why: "it belongs to a whole network namespace; name the host or the namespace",
            });
        }
        let addresses = if self.addresses.is_empty() {
            place.namespace.within(every_address)?
        } else {
            self.addresses.clone()
        };
        let job = Job::Ports(PortHold {
            addresses,
            ports: self.ports.clone(),
            namespace: match place.namespace.named {
                NamespaceName::Current => None,
                _ => Some(place.namespace),
            },
        });
        job.validate().map_err(CompileError::Job)?;
        Ok(Primitive::RunWorker(Work {
            job,
            place: Vec::new(),
        }))
    }
}

impl Disturbance for PortOccupy {
    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let places = places(site)?.into_iter();
        places.map(|place| self.at(place)).collect()
    }
}

fn ports(value: &Value) -> Option<Vec<u16>> {
    let ranges = filter::list(value, filter::port_range)?;
    let mut ports: Vec<u16> = ranges
        .into_iter()
        .flat_map(|range| range.first..=range.last)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    (ports.len() <= MOST).then_some(ports)
}

/// `0.0.0.0`, and `::` where the kernel has IPv6. Each is only of its kind.
fn every_address() -> Result<Vec<IpAddr>, CompileError> {
    let mut all = vec![IpAddr::from(Ipv4Addr::UNSPECIFIED)];
    if std::path::Path::new("/proc/thread-self/net/if_inet6").exists() {
        all.push(IpAddr::from(Ipv6Addr::UNSPECIFIED));
    }
    Ok(all)
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "switching",
        summary: "holds ports, so that nothing else can listen on them",
        targets: vec![TargetKind::Host, TargetKind::Namespace, TargetKind::Process],
        parameters: vec![
            required(
                "port",
                ParameterKind::List,
                PORTS,
                "refused while somebody has one of them, who is named",
            ),
            row(
                "protocol",
                ParameterKind::Choice,
                PROTOCOLS,
                Some(json!("tcp")),
                "which of the two kinds of ports",
            ),
            row(
                "address",
                ParameterKind::List,
                ADDRESSES,
                None,
                "only on this one; else on all",
            ),
        ],
        needs: vec![
            "CAP_NET_BIND_SERVICE for ports below 1024",
            "CAP_SYS_ADMIN for another network namespace",
        ],
        mechanisms: vec![
            "a worker process that is bound and listens, and never answers: a client that connects \
             waits",
        ],
        recovery_path: "the worker dies with its guardian and at the end of the lease; the kernel \
                        then frees its ports",
        undo: UndoClass::Reversible,
        observed_effect: "ports that the worker holds",
        example: "port=5432",
    }
}
