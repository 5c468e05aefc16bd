//! What connection tracking remembers: how the packets of a connection are translated.
//!
//! A translation is decided once, for the first packet of a connection, and outlives the rule that
//! decided it: for as long as packets come. So whoever takes back a redirect takes back what it has
//! left here too, or datagrams go on to where nobody listens any more.
//!
//! Source: linux/netfilter/nfnetlink_conntrack.h. Not here: events, expectations, helpers, timeouts,
//! and changing what others track.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use rustix::io::Errno;

use crate::KernelError;
use crate::netlink::{AttributeIter, Attributes, Message, Parsed, Socket};

/// `NFNL_SUBSYS_CTNETLINK`, and its requests that read and delete.
const SUBSYSTEM: u16 = 1;
const GET: u16 = SUBSYSTEM << 8 | 1;
const DELETE: u16 = SUBSYSTEM << 8 | 2;
/// Size of `struct nfgenmsg`.
const HEADER: usize = 4;

/// `CTA_…` of a tracked connection.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
const STATUS_MASK: u16 = 26;

/// `CTA_FILTER_…`, and which parts of a direction are compared: `CTA_FILTER_F_…` of nf_internals.h.
const FILTER_ORIGINAL: u16 = 1;
const FILTER_REPLY: u16 = 2;
const SOURCE_ADDRESS: u32 = 1 << 0;
const PROTOCOL_NUMBER: u32 = 1 << 3;
const SOURCE_PORT: u32 = 1 << 4;

/// `CTA_TUPLE_…`, `CTA_IP_…` and `CTA_PROTO_…`.
const IP: u16 = 1;
const PROTOCOL: u16 = 2;
const V4: [u16; 2] = [1, 2];
const V6: [u16; 2] = [3, 4];
const NUMBER: u16 = 1;
const PORTS: [u16; 2] = [2, 3];

/// `IPS_DST_NAT`: its destination was translated.
const DESTINATION_TRANSLATED: u32 = 1 << 5;

/// One direction of a connection, as its packets say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// As IANA numbers it.
    pub protocol: u8,
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

/// A connection that is tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// As whoever began it sees it.
    pub original: Flow,
    /// As it is answered: its source is where the packets really go.
    pub reply: Flow,
    /// Whether they go elsewhere than whoever began it believes.
    pub destination_translated: bool,
    family: u8,
    /// What names this very entry to the kernel.
    name: Attributes,
}

/// Everything that is tracked over IPv4 and IPv6 in the namespace of the socket.
///
/// # Errors
/// When the kernel refuses: it has no ctnetlink, or the caller no CAP_NET_ADMIN.
pub fn list(socket: &mut Socket) -> Result<Vec<Tracked>, KernelError> {
    let message = Message::new("list tracked connections", GET, 0, &[0; HEADER]);
    let replies = socket.dump(&message)?;
    Ok(replies.iter().filter_map(Tracked::parse).collect())
}

/// What was begun as this answers it; nothing when it is not tracked.
///
/// # Errors
/// When the kernel refuses.
pub fn answered_by(socket: &mut Socket, reply: &Flow) -> Result<Option<Tracked>, KernelError> {
    let doing = format!("look up the connection that {} answers", reply.source);
    let tuple = Attributes::new().nested(REPLY, &reply.tuple());
    let message = Message::new(doing, GET, 0, &[family(reply.source), 0, 0, 0]).with(&tuple);
    match socket.query(&message) {
        // The kernel finds either direction by a tuple.
        Ok(replies) => Ok(replies
            .iter()
            .filter_map(Tracked::parse)
            .find(|found| found.reply == *reply)),
        Err(error) if error.netlink_errno() == Some(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Forgets one: its next packet is tracked, and translated, anew. `false` if it is gone.
///
/// # Errors
/// When the kernel refuses.
pub fn forget(socket: &mut Socket, tracked: &Tracked) -> Result<bool, KernelError> {
    let doing = format!(
        "forget the connection {} to {}",
        tracked.original.source, tracked.original.destination
    );
    let message = Message::new(doing, DELETE, 0, &[tracked.family, 0, 0, 0]).with(&tracked.name);
    match socket.request(&message) {
        Ok(()) => Ok(true),
        Err(error) if error.netlink_errno() == Some(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Forgets all whose destination was translated to this address and port, in one look at the table.
/// Listing it takes 30 ms where the kernel has room for many, even if there are few. Only for IPv4:
/// of IPv6 the kernel's filter takes the addresses that are *not* the one asked for (6.18:
/// `ctnetlink_filter_match_tuple`).
///
/// # Errors
/// Before Linux 6.11, which does nothing then: the filter is taken for a connection without its
/// other end.
pub fn forget_translated_to(
    socket: &mut Socket,
    protocol: u8,
    address: SocketAddrV4,
) -> Result<(), KernelError> {
    let ip = Attributes::new().bytes(V4[0], &address.ip().octets());
    let ports = Attributes::new()
        .u8(NUMBER, protocol)
        .be16(PORTS[0], address.port());
    let reply = Attributes::new().nested(IP, &ip).nested(PROTOCOL, &ports);
    let asked = Attributes::new()
        .u32(FILTER_ORIGINAL, 0)
        .u32(FILTER_REPLY, SOURCE_ADDRESS | PROTOCOL_NUMBER | SOURCE_PORT);
    let filter = Attributes::new()
        .nested(REPLY, &reply)
        .be32(STATUS, DESTINATION_TRANSLATED)
        .be32(STATUS_MASK, DESTINATION_TRANSLATED)
        .nested(FILTER, &asked);
    let doing = format!("forget what was translated to {address}");
    // The version 1 says that the family counts.
    let header = [family(address.into()), 1, 0, 0];
    socket.request(&Message::new(doing, DELETE, 0, &header).with(&filter))
}

fn family(address: SocketAddr) -> u8 {
    match address {
        SocketAddr::V4(_) => libc::AF_INET as u8,
        SocketAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

impl Flow {
    fn tuple(&self) -> Attributes {
        let ends = [self.source, self.destination];
        let (mut ip, mut protocol) = (
            Attributes::new(),
            Attributes::new().u8(NUMBER, self.protocol),
        );
        for (side, end) in ends.iter().enumerate() {
            ip = match end.ip() {
                IpAddr::V4(address) => ip.bytes(V4[side], &address.octets()),
                IpAddr::V6(address) => ip.bytes(V6[side], &address.octets()),
            };
            protocol = protocol.be16(PORTS[side], end.port());
        }
        Attributes::new()
            .nested(IP, &ip)
            .nested(PROTOCOL, &protocol)
    }
}

impl Tracked {
    fn parse(reply: &Parsed) -> Option<Self> {
        let [family, ..] = reply.header::<HEADER>()?;
        let attributes = reply.attributes(HEADER);
        let status = attributes.get(STATUS).and_then(|status| status.be32());
        let mut name = Attributes::new();
        // The kernel compares the id: a successor with the same addresses is another entry.
        for kind in [ORIGINAL, ZONE, ID] {
            if let Some(attribute) = attributes.get(kind) {
                name = if kind == ORIGINAL {
                    name.nested_bytes(kind, attribute.payload)
                } else {
                    name.bytes(kind, attribute.payload)
                };
            }
        }
        Some(Self {
            original: flow(&attributes.get(ORIGINAL)?.nested())?,
            reply: flow(&attributes.get(REPLY)?.nested())?,
            destination_translated: status? & DESTINATION_TRANSLATED != 0,
            family,
            name,
        })
    }
}

/// `None` for what has no ports.
fn flow(tuple: &AttributeIter<'_>) -> Option<Flow> {
    let ip = tuple.get(IP)?.nested();
    let protocol = tuple.get(PROTOCOL)?.nested();
    let end = |side: usize| -> Option<SocketAddr> {
        let address = match ip.get(V4[side]) {
            Some(v4) => IpAddr::from(Ipv4Addr::from(*v4.payload.first_chunk::<4>()?)),
            None => {
                let v6 = ip.get(V6[side])?;
                IpAddr::from(Ipv6Addr::from(*v6.payload.first_chunk::<16>()?))
            }
        };
        let port = protocol.get(PORTS[side])?.be16()?;
        Some(SocketAddr::new(address, port))
    };
    Some(Flow {
        protocol: protocol.get(NUMBER)?.u8()?,
        source: end(0)?,
        destination: end(1)?,
    })
}

#[cfg(test)]
mod tests;
