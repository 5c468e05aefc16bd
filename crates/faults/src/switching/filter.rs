//! Which packets a switching fault meets: the parameters that all of them share.

mod rows;
mod values;

use std::net::SocketAddr;

use firedrill_kernel::nftables::{
    Action, Chain, ChainKind, Hook, IpVersion, Match, PortRange, Prefix, Rule, Transport,
};
use serde_json::json;

use super::hosts::Hosts;
use crate::arguments::Arguments;
use crate::fault::CompileError;

pub(crate) use rows::{parameters, percent_parameter, some_parameters};
pub(in crate::switching) use values::{host, interface, list, port_range, prefix};

/// A choice of packets by their way and their peer. Empty lists do not choose.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filter {
    pub(crate) direction: Direction,
    addresses: Vec<Prefix>,
    /// Looked up when the fault is compiled, and again while it is in place.
    hosts: Vec<String>,
    /// Of either side.
    ports: Vec<PortRange>,
    remote_ports: Vec<PortRange>,
    local_ports: Vec<PortRange>,
    protocol: Option<Transport>,
    pub(crate) interface: Option<String>,
    /// Of the packets that match everything else.
    percent: f64,
    spare_ssh: bool,
    /// Packets that leave with this mark are let pass: we sent them. Over loopback they arrive with
    /// it, too, and are met like any other.
    spare_mark: Option<u32>,
    /// What a host says to itself is met, too, though no address names it.
    loopback: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Direction {
    /// What leaves the target.
    #[default]
    Egress,
    /// What arrives at it.
    Ingress,
    Both,
}

/// One way of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Out,
    In,
}

/// What holds for every packet of a target, whatever the filter says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds<'a> {
    /// Only the sockets of the target, where it is less than a whole namespace.
    pub(crate) sockets: Option<Match>,
    /// Who is never met: what watches the drill.
    pub(crate) spare: &'a [SocketAddr],
    pub(crate) hosts: Hosts<'a>,
}

const PARAMETERS: [&str; 9] = [
    "direction",
    "address",
    "host",
    "port",
    "remote-port",
    "local-port",
    "protocol",
    "interface",
    "ssh",
];

/// Before what others filter, after connections are tracked: where mangling is usual.
const PRIORITY: i32 = -150;

/// Just before the rules of others that translate destinations: whoever comes first decides.
const DESTINATION_TRANSLATED: i32 = -101;

const SSH: u16 = 22;
const DNS: u16 = 53;

const DIRECTIONS: &str = "egress, ingress or both";
const PROTOCOLS: &str = "tcp, udp, icmp or icmpv6";
pub(super) const PREFIXES: &str = "an address, a prefix such as 10.0.0.0/8, or a list of them";
const HOSTS: &str = "a host name, or a list of them";
const INTERFACE: &str = "the name of an interface";
pub(super) const PORTS: &str = "a port, a range such as \"8000-8099\", or a list of them";

impl Filter {
    pub(crate) fn read(read: &mut Arguments<'_>) -> Self {
        let direction = read.read("direction", DIRECTIONS, |value| {
            Some(match value.as_str()? {
                "egress" => Direction::Egress,
                "ingress" => Direction::Ingress,
                "both" => Direction::Both,
                _ => return None,
            })
        });
        let mut ports = |name| read.read(name, PORTS, |value| list(value, port_range));
        let (either, remote_ports, local_ports) =
            (ports("port"), ports("remote-port"), ports("local-port"));
        let protocol = read.read("protocol", PROTOCOLS, |value| {
            Some(match value.as_str()? {
                "tcp" => Transport::Tcp,
                "udp" => Transport::Udp,
                "icmp" => Transport::Icmp,
                "icmpv6" => Transport::Icmpv6,
                _ => return None,
            })
        });
        let has_ports = either.is_some() || remote_ports.is_some() || local_ports.is_some();
        if has_ports && matches!(protocol, Some(Transport::Icmp | Transport::Icmpv6)) {
            let found = json!("icmp");
            read.wrong("protocol", &found, "tcp or udp where ports are given");
        }
        let ssh = read.flag("ssh");
        Self {
            direction: direction.unwrap_or_default(),
            addresses: read
                .read("address", PREFIXES, |value| list(value, prefix))
                .unwrap_or_default(),
            hosts: read
                .read("host", HOSTS, |value| list(value, host))
                .unwrap_or_default(),
            ports: either.unwrap_or_default(),
            remote_ports: remote_ports.unwrap_or_default(),
            local_ports: local_ports.unwrap_or_default(),
            protocol,
            interface: read.read("interface", INTERFACE, interface),
            percent: 100.0,
            spare_ssh: !ssh.unwrap_or(false),
            spare_mark: None,
            loopback: false,
        }
    }

    /// DNS as a client sees it: to and from port 53, resolvers on loopback included.
    pub(crate) fn read_dns(read: &mut Arguments<'_>) -> Self {
        let protocol = read.read("protocol", "tcp or udp", |value| {
            Some(match value.as_str()? {
                "tcp" => Transport::Tcp,
                "udp" => Transport::Udp,
                _ => return None,
            })
        });
        let percent = read.percent("percent");
        Self {
            direction: Direction::Both,
            addresses: read
                .read("address", PREFIXES, |value| list(value, prefix))
                .unwrap_or_default(),
            hosts: read
                .read("host", HOSTS, |value| list(value, host))
                .unwrap_or_default(),
            ports: Vec::new(),
            remote_ports: vec![PortRange::one(DNS)],
            local_ports: Vec::new(),
            protocol,
            interface: read.read("interface", INTERFACE, interface),
            percent: percent.unwrap_or(100.0),
            spare_ssh: false,
            spare_mark: None,
            loopback: true,
        }
    }

    /// The same packets, but only one way and of one protocol; `None` when it is about another.
    pub(crate) fn narrowed(&self, direction: Direction, protocol: Transport) -> Option<Self> {
        if self.protocol.is_some_and(|asked| asked != protocol) {
            return None;
        }
        Some(Self {
            direction,
            protocol: Some(protocol),
            ..self.clone()
        })
    }

    /// The same packets, but only one way and with these peers.
    pub(crate) fn towards(&self, direction: Direction, peers: Vec<Prefix>) -> Self {
        Self {
            direction,
            addresses: peers,
            hosts: Vec::new(),
            ..self.clone()
        }
    }

    /// Of either side, of the peer, of the target.
    pub(crate) fn ports(&self) -> (&[PortRange], &[PortRange], &[PortRange]) {
        (&self.ports, &self.remote_ports, &self.local_ports)
    }

    pub(crate) fn meets_ssh(&self) -> bool {
        !self.spare_ssh
    }

    /// From 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        self.percent / 100.0
    }

    /// Whose addresses are looked up.
    pub(crate) fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// As [`Self::read_with_percent`], in both directions unless told otherwise.
    pub(crate) fn read_both_ways(read: &mut Arguments<'_>) -> Self {
        let told = read.get("direction").is_some();
        let filter = Self::read_with_percent(read);
        if told {
            return filter;
        }
        Self {
            direction: Direction::Both,
            ..filter
        }
    }

    /// Only that share (0 to 1) of the packets.
    pub(crate) fn of_share(self, share: f64) -> Self {
        Self {
            percent: share * 100.0,
            ..self
        }
    }

    /// Without the packets that leave with that mark.
    pub(crate) fn sparing_mark(&self, mark: u32) -> Self {
        Self {
            spare_mark: Some(mark),
            ..self.clone()
        }
    }

    /// Whether it names addresses of this host's talk with itself.
    pub(crate) fn may_mean_loopback(&self) -> bool {
        self.addresses
            .iter()
            .any(|prefix| prefix.address().is_loopback())
    }

    /// As [`Self::read`], with `percent` of the packets as one more choice.
    pub(crate) fn read_with_percent(read: &mut Arguments<'_>) -> Self {
        let percent = read.percent("percent");
        Self {
            percent: percent.unwrap_or(100.0),
            ..Self::read(read)
        }
    }

    /// The chains in which the packets of this filter meet the action; what is spared leaves them
    /// first. `action` may differ by protocol.
    pub(crate) fn chains(
        &self,
        bounds: &Bounds<'_>,
        actions: &[(Option<Transport>, Action)],
    ) -> Result<Vec<Chain>, CompileError> {
        let chain = |way: Way, rules| Chain {
            name: way.chain().into(),
            hook: way.hook(),
            kind: ChainKind::Filter,
            priority: PRIORITY,
            rules,
        };
        self.chains_of(bounds, actions, |_| Vec::new(), chain)
    }

    /// As [`Self::chains`], of connections where they can be redirected: only the first packet of each
    /// comes there. What arrives is only what is for this host, and of one IP version where `only`
    /// says so.
    pub(crate) fn of_connections(
        &self,
        bounds: &Bounds<'_>,
        redirect: Action,
        only: Option<IpVersion>,
    ) -> Result<Vec<Chain>, CompileError> {
        let also = |way| {
            let here = (way == Way::In).then_some(Match::ForThisHost);
            only.map(Match::Family).into_iter().chain(here).collect()
        };
        let chain = |way: Way, rules| Chain {
            name: way.chain().into(),
            hook: match way {
                Way::Out => Hook::Output,
                Way::In => Hook::Prerouting,
            },
            kind: ChainKind::Nat,
            priority: DESTINATION_TRANSLATED,
            rules,
        };
        self.chains_of(bounds, &[(None, redirect)], also, chain)
    }

    fn chains_of(
        &self,
        bounds: &Bounds<'_>,
        actions: &[(Option<Transport>, Action)],
        also: impl Fn(Way) -> Vec<Match>,
        chain: impl Fn(Way, Vec<Rule>) -> Chain,
    ) -> Result<Vec<Chain>, CompileError> {
        let addresses = self.peers(bounds.hosts)?;
        let mut chains = Vec::new();
        for way in self.ways() {
            let mut rules = self.spared(way, bounds);
            for mut matches in self.choices(way, &addresses) {
                matches.extend(also(way));
                matches.extend(bounds.sockets.clone());
                if self.percent < 100.0 {
                    // What could have been hit, to know the share that was.
                    rules.push(Rule {
                        matches: matches.clone(),
                        action: Action::Count,
                    });
                    matches.push(Match::Random {
                        share: self.percent / 100.0,
                    });
                }
                for (protocol, action) in actions {
                    if let Some(rule) = rule(matches.clone(), *protocol, *action) {
                        rules.push(rule);
                    }
                }
            }
            chains.push(chain(way, rules));
        }
        Ok(chains)
    }

    fn ways(&self) -> Vec<Way> {
        match self.direction {
            Direction::Egress => vec![Way::Out],
            Direction::Ingress => vec![Way::In],
            Direction::Both => vec![Way::Out, Way::In],
        }
    }

    /// Every prefix that is meant; only the new ones where names have come to mean others.
    pub(crate) fn peers(&self, hosts: Hosts<'_>) -> Result<Vec<Prefix>, CompileError> {
        let mut peers = match hosts {
            Hosts::Moved { .. } => Vec::new(),
            Hosts::LookUp | Hosts::At(_) => self.addresses.clone(),
        };
        let found = hosts.of(&self.hosts)?;
        peers.extend(found.into_iter().map(Prefix::from));
        peers.sort_unstable();
        peers.dedup();
        Ok(peers)
    }

    /// One list of matches for each way in which a packet can be meant.
    fn choices(&self, way: Way, addresses: &[Prefix]) -> Vec<Vec<Match>> {
        let mut common = Vec::new();
        match &self.interface {
            Some(name) => common.push(way.interface(name)),
            // A host's talk with itself is not its traffic, unless it is named.
            None if addresses.is_empty() && !self.loopback => {
                common.push(Match::Not(Box::new(way.interface("lo"))));
            }
            None => {}
        }
        match addresses {
            [] => {}
            [one] => common.push(way.peer(*one)),
            several => common.push(way.peers(several.to_vec())),
        }
        let sides = self.port_choices(way);
        if sides.is_empty() {
            common.extend(self.protocol.map(Match::Protocol));
            return vec![common];
        }
        let protocols = match self.protocol {
            Some(protocol) => vec![protocol],
            None => vec![Transport::Tcp, Transport::Udp],
        };
        let with = |protocol: Transport, ports: &[Match]| {
            let mut matches = common.clone();
            matches.push(Match::Protocol(protocol));
            matches.extend(ports.iter().cloned());
            matches
        };
        protocols
            .iter()
            .flat_map(|protocol| sides.iter().map(|ports| with(*protocol, ports)))
            .collect()
    }

    fn port_choices(&self, way: Way) -> Vec<Vec<Match>> {
        let either = self
            .ports
            .iter()
            .flat_map(|range| [vec![way.remote(*range)], vec![way.local(*range)]]);
        let remote = || self.remote_ports.iter().map(|range| way.remote(*range));
        let local = || self.local_ports.iter().map(|range| way.local(*range));
        let mut choices: Vec<Vec<Match>> = either.collect();
        if self.local_ports.is_empty() {
            choices.extend(remote().map(|one| vec![one]));
        } else if self.remote_ports.is_empty() {
            choices.extend(local().map(|one| vec![one]));
        } else {
            choices.extend(remote().flat_map(|a| local().map(move |b| vec![a.clone(), b])));
        }
        choices
    }

    /// What leaves the chain unharmed: SSH, and the peers that watch the drill.
    fn spared(&self, way: Way, bounds: &Bounds<'_>) -> Vec<Rule> {
        let mut rules = Vec::new();
        let spare = |matches| Rule {
            matches,
            action: Action::Return,
        };
        if self.spare_ssh {
            for side in [
                way.remote(PortRange::one(SSH)),
                way.local(PortRange::one(SSH)),
            ] {
                rules.push(spare(vec![Match::Protocol(Transport::Tcp), side]));
            }
        }
        if let (Some(value), Way::Out) = (self.spare_mark, way) {
            let mask = u32::MAX;
            rules.push(spare(vec![Match::Mark { mask, value }]));
        }
        for spared in bounds.spare {
            let port = PortRange::one(spared.port());
            let (address, tcp) = (Prefix::from(spared.ip()), Match::Protocol(Transport::Tcp));
            let (remote, local) = (way.remote(port), way.local(port));
            rules.push(spare(vec![way.peer(address), tcp.clone(), remote]));
            // Where it runs, its packets go the other way.
            rules.push(spare(vec![way.own(address), tcp, local]));
        }
        rules
    }
}

impl Way {
    fn chain(self) -> &'static str {
        match self {
            Self::Out => "egress",
            Self::In => "ingress",
        }
    }

    fn hook(self) -> Hook {
        match self {
            Self::Out => Hook::Output,
            Self::In => Hook::Input,
        }
    }

    fn interface(self, name: &str) -> Match {
        match self {
            Self::Out => Match::OutInterface(name.into()),
            Self::In => Match::InInterface(name.into()),
        }
    }

    fn peer(self, prefix: Prefix) -> Match {
        match self {
            Self::Out => Match::Destination(prefix),
            Self::In => Match::Source(prefix),
        }
    }

    fn own(self, prefix: Prefix) -> Match {
        match self {
            Self::Out => Match::Source(prefix),
            Self::In => Match::Destination(prefix),
        }
    }

    fn peers(self, prefixes: Vec<Prefix>) -> Match {
        match self {
            Self::Out => Match::DestinationSet(prefixes),
            Self::In => Match::SourceSet(prefixes),
        }
    }

    fn remote(self, range: PortRange) -> Match {
        match self {
            Self::Out => Match::DestinationPort(range),
            Self::In => Match::SourcePort(range),
        }
    }

    fn local(self, range: PortRange) -> Match {
        match self {
            Self::Out => Match::SourcePort(range),
            Self::In => Match::DestinationPort(range),
        }
    }
}

/// `None` when the matches already ask for another protocol.
fn rule(mut matches: Vec<Match>, protocol: Option<Transport>, action: Action) -> Option<Rule> {
    let asked = matches.iter().find_map(|found| match found {
        Match::Protocol(protocol) => Some(*protocol),
        _ => None,
    });
    match (asked, protocol) {
        (Some(asked), Some(wanted)) if asked != wanted => return None,
        (None, Some(wanted)) => matches.insert(0, Match::Protocol(wanted)),
        _ => {}
    }
    Some(Rule { matches, action })
}

/// The parameters that a fault knows: its own, and those of the filter.
pub(crate) fn names(own: &[&'static str]) -> Vec<&'static str> {
    own.iter().copied().chain(PARAMETERS).collect()
}
