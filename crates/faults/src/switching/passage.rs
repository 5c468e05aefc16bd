//! A proxy in a worker of ours, and the rules that lead connections into it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

use firedrill_kernel::link;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::{Action, IpVersion, Ruleset, Transport};
use firedrill_undo::Primitive;
use firedrill_worker::interception::{Carried, ConnectionFault, Interception};

use super::filter::{Bounds, Direction, Filter};
use super::hosts::Hosts;
use super::place::{Place, interface};
use crate::fault::{CompileError, Site, fresh_name};

/// What every proxy of ours sends has this mark, and no rule that leads into one meets it: two of
/// them would lead connections to each other for ever. One byte, because other programs have the
/// higher bits for theirs.
const MARK: u32 = 0xfd;

/// Ports that are tried: from here on, and how many.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;

const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
const ANY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

/// Each costs a socket.
const ADDRESSES: usize = 256;

/// What connections take as their own port where nothing else is said.
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// A proxy at one place, with these faults on every connection that the filter means.
pub(super) fn compile(
    filter: &Filter,
    (carried, faults): (Carried, &[ConnectionFault]),
    place: Place,
    site: &Site<'_>,
) -> Result<Primitive, CompileError> {
    if !matches!(site.hosts, Hosts::Moved { .. })
        && let Some(name) = filter.interface.as_deref()
    {
        // Rules match by name, and would wait in vain for one that is not there.
        place.namespace.within(|| interface(name))?;
    }
    let table = fresh_name();
    let everywhere = filter.direction != Direction::Egress;
    let listen = place
        .namespace
        .within(|| places_to_listen(carried, everywhere, site.seed))?;
    let port = listen.first().map_or(0, SocketAddr::port);
    let only = match listen.iter().any(SocketAddr::is_ipv6) {
        true => None,
        false => Some(IpVersion::V4),
    };
    let bounds = Bounds {
        sockets: place.sockets,
        spare: site.spare,
        hosts: site.hosts,
    };
    let transport = match carried {
        Carried::Tcp => Transport::Tcp,
        Carried::Udp => Transport::Udp,
    };
    let met = filter.narrowed(filter.direction, transport);
    let met = met.ok_or(CompileError::NoMechanism {
        what: "what is led through the proxy is TCP or UDP",
    })?;
    let ruleset = Ruleset {
        table,
        chains: met
            .sparing_mark(MARK)
            .of_connections(&bounds, Action::Redirect(port), only)?,
        lease: true,
    };
    Ok(Primitive::InterceptConnections(Box::new(Interception {
        namespace: place.namespace,
        ruleset,
        carried,
        listen,
        mark: MARK,
        seed: site.seed,
        faults: faults.to_vec(),
    })))
}

/// A port that is free in the namespace of the calling thread, at the addresses that a redirect goes
/// to: loopback for what leaves this host, and any of its own for what arrives. Without IPv6 only
/// those of IPv4. It is chosen here because it has to be in the log.
fn places_to_listen(
    carried: Carried,
    everywhere: bool,
    seed: u64,
) -> Result<Vec<SocketAddr>, CompileError> {
    let places: Vec<SocketAddr> = match (everywhere, carried) {
        (false, _) => LOOPBACK.map(|address| (address, 0).into()).to_vec(),
        (true, Carried::Tcp) => ANY.map(|address| (address, 0).into()).to_vec(),
        (true, Carried::Udp) => own_addresses()?,
    };
    let is_free = |at: SocketAddr, port: u16| {
        let mut at = at;
        at.set_port(port);
        TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok()
    };
    let [v4, v6] = LOOPBACK.map(|address| is_free((address, 0).into(), 0));
    if !v4 {
        return Err(CompileError::NoMechanism {
            what: "loopback is down in the target's network namespace, and the proxy listens there: \
                   take it up (`ip link set lo up`)",
        });
    }
    // One that the kernel still looks for elsewhere cannot be listened at, nor is it sent anything.
    let is_there = |at: &SocketAddr| (at.is_ipv4() || v6) && is_free(*at, 0);
    let places: Vec<SocketAddr> = places.into_iter().filter(is_there).collect();
    let ephemeral = ephemeral_ports();
    // Drills that are planned at the same moment are to find different ones.
    let first = (seed ^ u64::from(std::process::id())) % u64::from(PORTS);
    for step in 0..PORTS {
        let port = FIRST_PORT + (first as u16 + step) % PORTS;
        if ephemeral.contains(&port) || !places.iter().all(|at| is_free(*at, port)) {
            continue;
        }
        let mut listen = places;
        listen.iter_mut().for_each(|at| at.set_port(port));
        return Ok(listen);
    }
    Err(CompileError::NoMechanism {
        what: "no port from 20000 to 29999 is free in the target's network namespace",
    })
}

/// Every address of the namespace of the calling thread: a datagram is answered from the address
/// that a socket is bound to, and the answer is only translated back from the one that the redirect
/// went to.
fn own_addresses() -> Result<Vec<SocketAddr>, CompileError> {
    let mut socket = Socket::open(Protocol::Route)?;
    let all = link::addresses(&mut socket)?;
    if all.len() > ADDRESSES {
        return Err(CompileError::NoMechanism {
            what: "the target's network namespace has more than 256 addresses, and the proxy would \
                   have to listen at each for datagrams that arrive",
        });
    }
    let places = all.into_iter().map(|(interface, address)| match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, 0, 0, interface).into()
        }
        address => SocketAddr::new(address, 0),
    });
    Ok(places.collect())
}

/// Ports that connections take as their own in the namespace of the calling thread: one that is free
/// now may not be a moment later.
fn ephemeral_ports() -> RangeInclusive<u16> {
    let read = || {
        let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        let mut numbers = text.split_whitespace().map(str::parse);
        Some(numbers.next()?.ok()?..=numbers.next()?.ok()?)
    };
    read().unwrap_or(EPHEMERAL)
}
