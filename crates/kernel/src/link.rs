//! Network interfaces: listing them, taking them up and down, and what a downed one loses.
//!
//! Taking an interface down removes its routes and its IPv6 addresses, and taking it up again
//! does not bring them back. So [`Paths`] are read before, and [`Paths::restore`] adds what is
//! missing afterwards. Source: rtnetlink(7), linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h.
//!
//! Not here: nexthop objects (`ip nexthop`), neighbours, bridges, wireless.

mod paths;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

pub use paths::{Address, Paths, Route, addresses};

use crate::KernelError;
use crate::netlink::{Attributes, Message, Parsed, Socket};

/// A network interface of one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    pub index: u32,
    pub name: String,
    /// `ARPHRD_*` of linux/if_arp.h.
    pub hardware: u16,
    /// `IFF_*` of linux/if.h.
    pub flags: u32,
    /// `veth`, `bridge`, …; `None` for hardware and loopback.
    pub kind: Option<String>,
    pub mtu: u32,
    /// The kind of its root queueing discipline.
    pub qdisc: Option<String>,
    /// Of the bridge or bond that it belongs to.
    pub master: Option<u32>,
}

/// `struct ifinfomsg`
const HEADER: usize = 16;

/// `ARPHRD_ETHER`, `ARPHRD_LOOPBACK`.
const ETHER: u16 = 1;
const LOOPBACK_HARDWARE: u16 = 772;

const NEW_LINK: u16 = 16;
const DEL_LINK: u16 = 17;
const GET_LINK: u16 = 18;

/// `NLM_F_EXCL | NLM_F_CREATE`
const CREATE: u16 = 0x600;

const NAME: u16 = 3;
const MTU: u16 = 4;
const QDISC: u16 = 6;
const MASTER: u16 = 10;
const INFO: u16 = 18;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;

const UP: u32 = 1;
const LOOPBACK: u32 = 8;

/// `IFNAMSIZ`, with the NUL.
const NAME_MAX: usize = 15;

impl Interface {
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.flags & UP != 0
    }

    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.flags & LOOPBACK != 0
    }

    /// Bytes in front of the network's own header, which disciplines count as part of a packet
    /// (`ETH_HLEN`; loopback has as many). Zero for tunnels and other links that have none.
    #[must_use]
    pub fn header_bytes(&self) -> u16 {
        match self.hardware {
            ETHER | LOOPBACK_HARDWARE => 14,
            _ => 0,
        }
    }

    fn parse(reply: &Parsed) -> Option<Self> {
        let header = reply.header::<HEADER>()?;
        let attributes = reply.attributes(HEADER);
        Some(Self {
            index: word(&header, 4)?,
            name: attributes.get(NAME)?.text()?.to_owned(),
            hardware: u16::from_ne_bytes([header[2], header[3]]),
            flags: word(&header, 8)?,
            kind: attributes
                .get(INFO)
                .and_then(|info| info.nested().get(INFO_KIND)?.text())
                .map(str::to_owned),
            mtu: attributes.get(MTU).and_then(|mtu| mtu.u32()).unwrap_or(0),
            qdisc: attributes
                .get(QDISC)
                .and_then(|qdisc| qdisc.text())
                .map(str::to_owned),
            master: attributes.get(MASTER).and_then(|master| master.u32()),
        })
    }
}

/// Every interface of the namespace, by rising index.
///
/// # Errors
/// When the kernel refuses.
pub fn list(socket: &mut Socket) -> Result<Vec<Interface>, KernelError> {
    let message = Message::new("list network interfaces", GET_LINK, 0, &[0; HEADER]);
    let replies = socket.dump(&message)?;
    let mut found: Vec<Interface> = replies.iter().filter_map(Interface::parse).collect();
    found.sort_by_key(|interface| interface.index);
    Ok(found)
}

/// The interface with this name; `None` if there is none.
///
/// # Errors
/// When the kernel refuses.
pub fn by_name(socket: &mut Socket, name: &str) -> Result<Option<Interface>, KernelError> {
    Ok(list(socket)?
        .into_iter()
        .find(|interface| interface.name == name))
}

/// The interface with this index; `None` if there is none.
///
/// # Errors
/// When the kernel refuses.
pub fn by_index(socket: &mut Socket, index: u32) -> Result<Option<Interface>, KernelError> {
    Ok(list(socket)?
        .into_iter()
        .find(|interface| interface.index == index))
}

/// Takes an interface up or down; `false` if it is gone. See [`Paths`] for what down removes.
///
/// # Errors
/// When the kernel refuses.
pub fn set_up(socket: &mut Socket, index: u32, up: bool) -> Result<bool, KernelError> {
    let doing = format!("take interface {index} {}", if up { "up" } else { "down" });
    let header = header(index, if up { UP } else { 0 }, UP);
    request_unless_gone(socket, &Message::new(doing, NEW_LINK, 0, &header))
}

/// Makes a virtual interface of a kind that needs no parameters (`ifb`, `dummy`, `bridge`).
///
/// # Errors
/// When the kernel refuses: see [`is_unknown_kind`].
pub fn add(socket: &mut Socket, name: &str, kind: &str) -> Result<(), KernelError> {
    let info = Attributes::new().string(INFO_KIND, kind);
    add_with(socket, name, kind, &info)
}

/// Makes two interfaces that are each other's wire.
///
/// # Errors
/// When the kernel refuses: see [`is_unknown_kind`].
pub fn add_veth(socket: &mut Socket, name: &str, peer: &str) -> Result<(), KernelError> {
    let mut described = header(0, 0, 0).to_vec();
    check_name(peer)?;
    described.extend_from_slice(Attributes::new().string(NAME, peer).as_bytes());
    let data = Attributes::new().bytes(VETH_PEER, &described);
    let info = Attributes::new()
        .string(INFO_KIND, "veth")
        .nested(INFO_DATA, &data);
    add_with(socket, name, "veth", &info)
}

/// Removes a virtual interface; `false` if it is gone.
///
/// # Errors
/// When the kernel refuses (hardware cannot be removed).
pub fn remove(socket: &mut Socket, index: u32) -> Result<bool, KernelError> {
    let doing = format!("remove interface {index}");
    let message = Message::new(doing, DEL_LINK, 0, &header(index, 0, 0));
    request_unless_gone(socket, &message)
}

/// Whether [`add`] failed because this kernel has no such kind of interface.
#[must_use]
pub fn is_unknown_kind(error: &KernelError) -> bool {
    matches!(error.netlink_errno(), Some(Errno::OPNOTSUPP))
}

fn add_with(
    socket: &mut Socket,
    name: &str,
    kind: &str,
    info: &Attributes,
) -> Result<(), KernelError> {
    check_name(name)?;
    let attributes = Attributes::new().string(NAME, name).nested(INFO, info);
    let doing = format!("make the {kind} interface {name}");
    let message = Message::new(doing, NEW_LINK, CREATE, &header(0, 0, 0)).with(&attributes);
    socket.request(&message)
}

fn check_name(name: &str) -> Result<(), KernelError> {
    if name.is_empty() || name.len() > NAME_MAX || name.contains('\0') {
        return Err(KernelError::call(
            "an interface name that is not 1 to 15 bytes",
            Errno::INVAL,
        ));
    }
    Ok(())
}

fn header(index: u32, flags: u32, change: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&change.to_ne_bytes());
    header
}

fn request_unless_gone(socket: &mut Socket, message: &Message) -> Result<bool, KernelError> {
    match socket.request(message) {
        Ok(()) => Ok(true),
        Err(error) if error.netlink_errno() == Some(Errno::NODEV) => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], start: usize) -> Option<u32> {
    let bytes = bytes.get(start..)?.first_chunk::<4>()?;
    Some(u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests;
