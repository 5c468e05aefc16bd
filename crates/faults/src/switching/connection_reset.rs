//! Ends established TCP connections, as if the network had reset them.

use std::net::IpAddr;
use std::time::Duration;

use firedrill_experiment::units;
use firedrill_kernel::ProcessIdentity;
use firedrill_kernel::link::Paths;
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::Match;
use firedrill_undo::{ConnectionChoice, ConnectionHolder, ConnectionReset as Reset, Primitive};
use serde_json::{Map, Value};

use super::filter::{self, Filter};
use super::place;
use super::row::row;
use super::rules;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::Target;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(ConnectionReset::parse(arguments)?)),
};

const NAME: &str = "switching.connection-reset";

const FILTER: [&str; 8] = [
    "address",
    "host",
    "port",
    "remote-port",
    "local-port",
    "interface",
    "percent",
    "ssh",
];

/// The lease is renewed about so often, and connections are looked at with it.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(3600);
const EVERY: &str = "a time such as 1s, from 200ms to 1h";

/// `switching.connection-reset`
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionReset {
    filter: Filter,
    every: Option<Duration>,
}

impl ConnectionReset {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut known = vec!["every"];
        known.extend(FILTER);
        let mut read = Arguments::new(NAME, arguments, &known);
        let every = read.read("every", EVERY, |value| {
            let time = units::duration(value).ok()?;
            (SHORTEST..=LONGEST).contains(&time).then_some(time)
        });
        let filter = Filter::read_with_percent(&mut read);
        read.finish()?;
        Ok(Self { filter, every })
    }

    fn at(
        &self,
        (namespace, holder): (NetNamespace, ConnectionHolder),
        site: &Site<'_>,
    ) -> Result<Primitive, CompileError> {
        let local_addresses = match self.filter.interface.as_deref() {
            Some(name) => namespace.within(|| addresses_of(name))?,
            None => Vec::new(),
        };
        let (ports, remote_ports, local_ports) = self.filter.ports();
        let choice = ConnectionChoice {
            peers: self.filter.peers(site.hosts)?,
            ports: ports.to_vec(),
            remote_ports: remote_ports.to_vec(),
            local_ports: local_ports.to_vec(),
            local_addresses,
            ssh: self.filter.meets_ssh(),
            share: self.filter.share(),
            seed: site.seed,
            spare: site.spare.to_vec(),
            spare_processes: vec![ProcessIdentity::current()?],
        };
        Ok(Primitive::ResetConnections(Reset {
            namespace,
            holder,
            choice,
            every: self.every,
        }))
    }
}

impl Disturbance for ConnectionReset {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Replaced
    }

    fn hosts(&self) -> Vec<String> {
        self.filter.hosts().to_vec()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let mut holders = Vec::new();
        for target in site.targets {
            let holder = holder(target, site)?;
            let known = |(namespace, who): &(NetNamespace, ConnectionHolder)| {
                namespace.is_same(&holder.0) && *who == holder.1
            };
            if !holders.iter().any(known) {
                holders.push(holder);
            }
        }
        let each = holders.into_iter();
        each.map(|holder| self.at(holder, site)).collect()
    }
}

/// Sockets know their process, so that one process can be met alone.
fn holder(
    target: &Target,
    site: &Site<'_>,
) -> Result<(NetNamespace, ConnectionHolder), CompileError> {
    if let Target::Process(process) = target {
        let namespace = NetNamespace::of_process(process.identity.pid)?;
        let namespace = namespace.namespace().clone();
        return Ok((namespace, ConnectionHolder::Process(process.identity)));
    }
    let place = place::place(target, site)?;
    let holder = match place.sockets {
        Some(Match::CgroupV2 { path, .. }) => ConnectionHolder::Cgroup(path),
        _ => ConnectionHolder::Anybody,
    };
    Ok((place.namespace, holder))
}

fn addresses_of(name: &str) -> Result<Vec<IpAddr>, CompileError> {
    let found = place::interface(name)?;
    let mut socket = Socket::open(Protocol::Route)?;
    let paths = Paths::of(&mut socket, found.index)?;
    if paths.addresses.is_empty() {
        return Err(CompileError::Absent {
            what: format!("an address of {name}"),
        });
    }
    Ok(paths.addresses.iter().map(|own| own.address).collect())
}

fn entry() -> Entry {
    let mut parameters = vec![row(
        "every",
        ParameterKind::Duration,
        EVERY,
        None,
        "again so often while the fault lasts; else once",
    )];
    parameters.extend(filter::some_parameters(&FILTER));
    for parameter in &mut parameters {
        match parameter.name {
            "interface" => parameter.summary = "only by an address of this interface",
            "percent" => {
                parameter.summary = "of the connections that match, each by its own throw";
            }
            _ => {}
        }
    }
    Entry {
        name: NAME,
        layer: "switching",
        summary: "ends TCP connections on both sides, as if the network had reset them",
        targets: rules::TARGETS.to_vec(),
        parameters,
        needs: vec![
            "CAP_NET_ADMIN in the target's network namespace",
            "a kernel with INET_DIAG_DESTROY",
        ],
        mechanisms: vec![
            "sock_diag: the target's side is told that the connection was aborted, the other side \
             is sent a reset; connections of the drill itself are spared",
        ],
        recovery_path: "nothing is left to undo: whoever had a connection makes a new one",
        undo: UndoClass::Replaced,
        observed_effect: "connections that were reset; without one it had no effect",
        example: "port=5432 every=1s",
    }
}
