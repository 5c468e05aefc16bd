//! A proxy in a worker of ours, and the rules that lead connections into it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

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
        .within(|| places_to_listen(everywhere, site.seed))?;
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
fn places_to_listen(everywhere: bool, seed: u64) -> Result<Vec<SocketAddr>, CompileError> {
    let (v4, v6) = match everywhere {
        true => (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
        false => (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
    };
    let is_free = |address: IpAddr, port: u16| {
        TcpListener::bind((address, port)).is_ok() && UdpSocket::bind((address, port)).is_ok()
    };
    if !is_free(Ipv4Addr::LOCALHOST.into(), 0) {
        return Err(CompileError::NoMechanism {
            what: "loopback is down in the target's network namespace, and the proxy listens there: \
                   take it up (`ip link set lo up`)",
        });
    }
    let has_v6 = is_free(Ipv6Addr::LOCALHOST.into(), 0);
    let ephemeral = ephemeral_ports();
    // Drills that are planned at the same moment are to find different ones.
    let first = (seed ^ u64::from(std::process::id())) % u64::from(PORTS);
    for step in 0..PORTS {
        let port = FIRST_PORT + (first as u16 + step) % PORTS;
        let is_taken = ephemeral.contains(&port)
            || !is_free(v4.into(), port)
            || (has_v6 && !is_free(v6.into(), port));
        if is_taken {
            continue;
        }
        let mut all = vec![SocketAddr::new(v4.into(), port)];
        if has_v6 {
            all.push(SocketAddr::new(v6.into(), port));
        }
        return Ok(all);
    }
    Err(CompileError::NoMechanism {
        what: "no port from 20000 to 29999 is free in the target's network namespace",
    })
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
