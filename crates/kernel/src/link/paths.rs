use std::net::IpAddr;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::word;
use crate::KernelError;
use crate::netlink::{AttributeIter, Attributes, Message, Parsed, Socket};

/// How an interface is reached and what is reached through it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    pub interface: u32,
    pub addresses: Vec<Address>,
    pub routes: Vec<Route>,
}

/// An address, kept as the kernel described it, so that it can be added again as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub address: IpAddr,
    pub prefix_length: u8,
    entry: Entry,
}

/// A route, kept as the kernel described it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `None` for the default route.
    pub destination: Option<IpAddr>,
    pub prefix_length: u8,
    pub gateway: Option<IpAddr>,
    pub table: u32,
    pub metric: Option<u32>,
    /// Who made it: `RTPROT_*` of linux/rtnetlink.h.
    pub protocol: u8,
    entry: Entry,
}

/// A message without what changes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    header: Vec<u8>,
    attributes: Vec<(u16, Vec<u8>)>,
}

const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

/// `NLM_F_EXCL | NLM_F_CREATE`. IPv6 would take an equal route without `EXCL` as one more next hop.
const CREATE: u16 = 0x600;

/// `struct ifaddrmsg`, `struct rtmsg`.
const ADDRESS_HEADER: usize = 8;
const ROUTE_HEADER: usize = 12;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
/// `IFA_F_NODAD`, `HOMEADDRESS`, `MANAGETEMPADDR`, `NOPREFIXROUTE`, `MCAUTOJOIN`: what user space
/// sets; the other flags are the kernel's progress with the address.
const IFA_FLAGS_SETTABLE: u32 = 0x02 | 0x10 | 0x100 | 0x200 | 0x400;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_MULTIPATH: u16 = 9;
const RTA_CACHEINFO: u16 = 12;
const RTA_TABLE: u16 = 15;

/// `RTPROT_RA`: routers announce these again when the interface is up.
const PROTOCOL_ROUTER: u8 = 9;
/// `RTN_UNICAST`; the kernel makes local, broadcast, anycast and multicast routes by itself.
const TYPE_UNICAST: u8 = 1;
/// `RTM_F_CLONED`: a cached copy.
const CLONED: u32 = 0x200;
/// `struct rtnexthop`
const NEXT_HOP: usize = 8;

impl Paths {
    /// The addresses of an interface and the routes that lead through it, of both families and in
    /// every table.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn of(socket: &mut Socket, interface: u32) -> Result<Self, KernelError> {
        let message = Message::new("list addresses", GET_ADDRESS, 0, &[0; ADDRESS_HEADER]);
        let addresses = socket.dump(&message)?;
        let message = Message::new("list routes", GET_ROUTE, 0, &[0; ROUTE_HEADER]);
        let routes = socket.dump(&message)?;
        Ok(Self {
            interface,
            addresses: addresses
                .iter()
                .filter_map(|reply| Address::parse(reply, interface))
                .collect(),
            routes: routes
                .iter()
                .filter_map(|reply| Route::parse(reply, interface))
                .collect(),
        })
    }

    /// Adds the addresses and routes that are missing now; gives those that could not be added.
    /// The interface must be up. Safe to repeat.
    ///
    /// Routes made by the kernel come with their addresses, and those of IPv6 routers with their
    /// next announcement.
    ///
    /// # Errors
    /// When the present state cannot be read.
    pub fn restore(&self, socket: &mut Socket) -> Result<Self, KernelError> {
        for address in self.missing(&Self::of(socket, self.interface)?).addresses {
            // Whether it worked is seen below.
            let _ = address.add(socket);
        }
        let mut routes = self.missing(&Self::of(socket, self.interface)?).routes;
        // A gateway is only accepted once the route to the gateway itself is there.
        routes.sort_by_key(|route| route.gateway.is_some());
        for route in routes {
            let _ = route.add(socket);
        }
        let now = Self::of(socket, self.interface)?;
        Ok(self.missing(&now))
    }

    /// What is in these paths and not in `now`.
    #[must_use]
    pub fn missing(&self, now: &Self) -> Self {
        Self {
            interface: self.interface,
            addresses: self
                .addresses
                .iter()
                .filter(|address| !now.addresses.iter().any(|other| other.is_same_as(address)))
                .cloned()
                .collect(),
            routes: self
                .routes
                .iter()
                .filter(|route| route.protocol != PROTOCOL_ROUTER && !now.routes.contains(route))
                .cloned()
                .collect(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.routes.is_empty()
    }
}

/// Every address of the namespace, with the index of its interface.
///
/// # Errors
/// When the kernel refuses.
pub fn addresses(socket: &mut Socket) -> Result<Vec<(u32, IpAddr)>, KernelError> {
    let message = Message::new("list addresses", GET_ADDRESS, 0, &[0; ADDRESS_HEADER]);
    let replies = socket.dump(&message)?;
    let all = replies.iter().filter_map(|reply| {
        let interface = word(&reply.header::<ADDRESS_HEADER>()?, 4)?;
        Some((interface, Address::parse(reply, interface)?.address))
    });
    Ok(all.collect())
}

impl Address {
    /// The same address with the same properties; lifetimes are not compared.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let without_lifetime = |entry: &Entry| {
            let mut entry = entry.clone();
            entry.attributes.retain(|(kind, _)| *kind != IFA_CACHEINFO);
            entry
        };
        without_lifetime(&self.entry) == without_lifetime(&other.entry)
    }

    fn add(&self, socket: &mut Socket) -> Result<(), KernelError> {
        self.entry.add(
            socket,
            NEW_ADDRESS,
            &format!("add address {}", self.address),
        )
    }

    pub(super) fn parse(reply: &Parsed, interface: u32) -> Option<Self> {
        let mut header = reply.header::<ADDRESS_HEADER>()?;
        if word(&header, 4)? != interface {
            return None;
        }
        let prefix_length = header[1];
        let attributes = reply.attributes(ADDRESS_HEADER);
        // Point to point, IFA_ADDRESS is the other side.
        let address = attributes
            .get(IFA_LOCAL)
            .or_else(|| attributes.get(IFA_ADDRESS))
            .and_then(|address| ip(address.payload))?;
        // The low byte of the flags is repeated in an attribute, which holds them all.
        header[2] = 0;
        let kept = attributes
            .map(|attribute| match attribute.kind {
                IFA_FLAGS => {
                    let flags = attribute.u32().unwrap_or(0) & IFA_FLAGS_SETTABLE;
                    (IFA_FLAGS, flags.to_ne_bytes().to_vec())
                }
                kind => (kind, attribute.payload.to_vec()),
            })
            .collect();
        Some(Self {
            address,
            prefix_length,
            entry: Entry {
                header: header.to_vec(),
                attributes: kept,
            },
        })
    }
}

impl Route {
    fn add(&self, socket: &mut Socket) -> Result<(), KernelError> {
        let destination = self
            .destination
            .map_or_else(|| "default".to_owned(), |address| address.to_string());
        self.entry.add(
            socket,
            NEW_ROUTE,
            &format!("add the route to {destination}"),
        )
    }

    pub(super) fn parse(reply: &Parsed, interface: u32) -> Option<Self> {
        let mut header = reply.header::<ROUTE_HEADER>()?;
        let flags = word(&header, 8)?;
        if header[7] != TYPE_UNICAST || flags & CLONED != 0 {
            return None;
        }
        let attributes = reply.attributes(ROUTE_HEADER);
        if !leads_through(&attributes, interface) {
            return None;
        }
        let table = attributes
            .get(RTA_TABLE)
            .and_then(|table| table.u32())
            .unwrap_or(header[4].into());
        // Only RTNH_F_ONLINK and PERVASIVE are set by user space; dead and linkdown are findings.
        header[8..].copy_from_slice(&(flags & 0x06).to_ne_bytes());
        Some(Self {
            destination: attributes.get(RTA_DST).and_then(|to| ip(to.payload)),
            prefix_length: header[1],
            gateway: attributes.get(RTA_GATEWAY).and_then(|via| ip(via.payload)),
            table,
            metric: attributes.get(RTA_PRIORITY).and_then(|metric| metric.u32()),
            protocol: header[5],
            entry: Entry {
                header: header.to_vec(),
                attributes: attributes
                    .filter(|attribute| attribute.kind != RTA_CACHEINFO)
                    .map(|attribute| (attribute.kind, attribute.payload.to_vec()))
                    .collect(),
            },
        })
    }
}

impl Entry {
    fn add(&self, socket: &mut Socket, kind: u16, doing: &str) -> Result<(), KernelError> {
        let mut attributes = Attributes::new();
        for (kind, payload) in &self.attributes {
            attributes = attributes.bytes(*kind, payload);
        }
        let message = Message::new(doing, kind, CREATE, &self.header).with(&attributes);
        match socket.request(&message) {
            // The kernel, or somebody else, was faster.
            Err(error) if error.netlink_errno() == Some(Errno::EXIST) => Ok(()),
            other => other,
        }
    }
}

fn leads_through(attributes: &AttributeIter<'_>, interface: u32) -> bool {
    let out = attributes.get(RTA_OIF).and_then(|out| out.u32());
    if out == Some(interface) {
        return true;
    }
    let mut hops = attributes
        .get(RTA_MULTIPATH)
        .map_or(&[][..], |hops| hops.payload);
    // Each is a `struct rtnexthop` (length, flags, weight, interface) with attributes of its own.
    while let Some(index) = word(hops, 4) {
        if index == interface {
            return true;
        }
        let length = hops
            .first_chunk::<2>()
            .map_or(0, |length| usize::from(u16::from_ne_bytes(*length)));
        hops = match hops.get(length.max(NEXT_HOP).next_multiple_of(4)..) {
            Some(rest) => rest,
            None => return false,
        };
    }
    false
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(octets.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
