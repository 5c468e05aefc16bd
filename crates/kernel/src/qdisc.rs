//! Queueing disciplines: reading them, and adding, replacing and deleting ones of our own.
//!
//! Everything is asked for by netlink, on a [`Socket`] of the network namespace that is meant.
//! Handles are chosen by the caller and are never zero, so that a deletion names the handle and
//! the kernel itself refuses to delete somebody else's discipline. Source: linux/pkt_sched.h,
//! linux/rtnetlink.h, net/sched/ of the kernel.
//!
//! Not here: restoring somebody else's root. Configurations are compared ([`Configuration`]),
//! never restored; deleting our root makes the kernel attach its default again.

mod bands;
mod configuration;
mod handle;
mod netem;
mod probe;
mod shaper;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

pub use bands::{Bands, BandsKind};
pub use configuration::{Class, Configuration, Filter, Part, Place, Qdisc, Role};
pub use handle::Handle;
pub use netem::{Correlated, Loss, Netem, NetemRate, Probability, Reorder};
pub use probe::{bands_usable, ifb_usable, netem_usable, tbf_usable};
pub use shaper::Tbf;

use crate::KernelError;
use crate::netlink::{Attributes, Message, Parsed, Socket};

/// What can be attached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Discipline {
    Netem(Netem),
    Tbf(Tbf),
    /// A plain queue of so many packets.
    Pfifo {
        limit: u32,
    },
}

/// Where on an interface, and under which handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spot {
    pub interface: u32,
    pub parent: Handle,
    pub handle: Handle,
}

/// What a discipline has done since it was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    pub bytes: u64,
    pub packets: u64,
    pub drops: u32,
    pub overlimits: u32,
    pub requeues: u32,
    pub backlog_bytes: u32,
    pub backlog_packets: u32,
}

/// What a deletion found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    Deleted,
    /// Neither it nor its interface is there any more.
    Gone,
    /// Something else is attached there now: it was left alone.
    Differs,
}

#[derive(Debug, thiserror::Error)]
pub enum QdiscError {
    /// Neither built in nor loadable as a module.
    #[error("this kernel has no {kind}")]
    Missing { kind: &'static str },
    #[error("{what} is out of range: {why}")]
    OutOfRange {
        what: &'static str,
        why: &'static str,
    },
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

const NEW_QDISC: u16 = 36;
const DEL_QDISC: u16 = 37;
const GET_QDISC: u16 = 38;
const NEW_CLASS: u16 = 40;
const GET_CLASS: u16 = 42;
const GET_FILTER: u16 = 46;

/// `NLM_F_REPLACE`, `NLM_F_EXCL`, `NLM_F_CREATE`.
const REPLACE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;

/// `TCA_KIND` and its companions.
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
const STATS2: u16 = 7;

impl Discipline {
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Netem(_) => "netem",
            Self::Tbf(_) => "tbf",
            Self::Pfifo { .. } => "pfifo",
        }
    }

    /// `TCA_OPTIONS`, without its header.
    fn options(&self) -> Result<Vec<u8>, QdiscError> {
        match self {
            Self::Netem(netem) => netem.encode(),
            Self::Tbf(tbf) => tbf.encode(),
            Self::Pfifo { limit } => Ok(limit.to_ne_bytes().to_vec()),
        }
    }
}

/// Attaches a discipline where none of ours is yet.
///
/// # Errors
/// [`QdiscError::Missing`] where the kernel has no such discipline; the kernel's reason otherwise
/// (`EEXIST` where something is attached already).
pub fn add(socket: &mut Socket, spot: Spot, discipline: &Discipline) -> Result<(), QdiscError> {
    let options = discipline.options()?;
    attach(
        socket,
        spot,
        discipline.kind(),
        &options,
        CREATE | EXCLUSIVE,
    )
}

/// Attaches a discipline in the place of what is there, or changes it where the handle is the same.
///
/// # Errors
/// As [`add`].
pub fn replace(socket: &mut Socket, spot: Spot, discipline: &Discipline) -> Result<(), QdiscError> {
    let options = discipline.options()?;
    attach(socket, spot, discipline.kind(), &options, CREATE | REPLACE)
}

/// Detaches the discipline, if it is the one with our handle.
///
/// # Errors
/// When the kernel refuses for another reason than that it is not there.
pub fn delete(socket: &mut Socket, spot: Spot) -> Result<Deletion, QdiscError> {
    let doing = format!("delete queueing discipline {}", spot.handle);
    let message = Message::new(doing, DEL_QDISC, 0, &header(spot));
    match socket.request(&message) {
        Ok(()) => Ok(Deletion::Deleted),
        Err(error) => match error.netlink_errno() {
            Some(Errno::NODEV) => Ok(Deletion::Gone),
            // The kernel compares the handle with what is attached there.
            Some(Errno::NOENT | Errno::INVAL) => match attached(socket, spot)? {
                Some(other) if other.handle == spot.handle => Err(error.into()),
                Some(other) if !other.is_default() => Ok(Deletion::Differs),
                _ => Ok(Deletion::Gone),
            },
            _ => Err(error.into()),
        },
    }
}

/// Every discipline of an interface, in the order of the kernel; none if the interface is gone.
///
/// # Errors
/// When the kernel refuses.
pub fn list(socket: &mut Socket, interface: u32) -> Result<Vec<Qdisc>, KernelError> {
    let all = list_all(socket)?;
    Ok(all
        .into_iter()
        .filter(|qdisc| qdisc.interface == interface)
        .collect())
}

/// Every discipline of the namespace.
///
/// # Errors
/// When the kernel refuses.
pub fn list_all(socket: &mut Socket) -> Result<Vec<Qdisc>, KernelError> {
    let message = Message::new("list queueing disciplines", GET_QDISC, 0, &[0; 20]);
    let replies = socket.dump(&message)?;
    Ok(replies.iter().filter_map(Qdisc::parse).collect())
}

/// The classes of an interface; none if the interface is gone.
///
/// # Errors
/// When the kernel refuses.
pub fn classes(socket: &mut Socket, interface: u32) -> Result<Vec<Class>, KernelError> {
    let header = header(Spot::any(interface, Handle::NONE));
    let message = Message::new("list traffic classes", GET_CLASS, 0, &header);
    let replies = none_if_gone(socket.dump(&message))?;
    Ok(replies.iter().filter_map(Class::parse).collect())
}

/// The filters that are attached to one discipline or class.
///
/// # Errors
/// When the kernel refuses.
pub fn filters(
    socket: &mut Socket,
    interface: u32,
    parent: Handle,
) -> Result<Vec<Filter>, KernelError> {
    let header = header(Spot::any(interface, parent));
    let message = Message::new("list traffic filters", GET_FILTER, 0, &header);
    let replies = none_if_gone(socket.dump(&message))?;
    Ok(replies.iter().filter_map(Filter::parse).collect())
}

/// The root discipline of an interface; `None` if the interface is gone or has none.
///
/// # Errors
/// When the kernel refuses.
pub fn root(socket: &mut Socket, interface: u32) -> Result<Option<Qdisc>, KernelError> {
    let qdiscs = list(socket, interface)?;
    Ok(qdiscs
        .into_iter()
        .find(|qdisc| qdisc.parent == Handle::ROOT))
}

impl Spot {
    /// At the root of an interface.
    #[must_use]
    pub fn root(interface: u32, handle: Handle) -> Self {
        Self {
            interface,
            parent: Handle::ROOT,
            handle,
        }
    }

    fn any(interface: u32, parent: Handle) -> Self {
        Self {
            interface,
            parent,
            handle: Handle::NONE,
        }
    }
}

/// `struct tcmsg`
fn header(spot: Spot) -> [u8; 20] {
    let mut header = [0; 20];
    let fields = [0, spot.interface, spot.handle.0, spot.parent.0, 0];
    for (place, field) in header.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_ne_bytes());
    }
    header
}

fn attach(
    socket: &mut Socket,
    spot: Spot,
    kind: &'static str,
    options: &[u8],
    flags: u16,
) -> Result<(), QdiscError> {
    if spot.handle.minor() != 0 || spot.handle == Handle::NONE {
        return Err(QdiscError::OutOfRange {
            what: "the handle of a queueing discipline",
            why: "it has a major and no minor number",
        });
    }
    let doing = format!("attach {kind} {} at {}", spot.handle, spot.parent);
    let attributes = Attributes::new().string(KIND, kind).bytes(OPTIONS, options);
    let message = Message::new(doing, NEW_QDISC, flags, &header(spot)).with(&attributes);
    socket
        .request(&message)
        .map_err(|error| missing(kind, error))
}

/// `ENOENT` also means a missing parent; the kernel's text tells them apart.
fn missing(kind: &'static str, error: KernelError) -> QdiscError {
    if let KernelError::Netlink { first, .. } = &error
        && first.errno == Errno::NOENT
        && first
            .said
            .as_deref()
            .is_none_or(|said| said.contains("kind is unknown") || said.contains("qdisc not found"))
    {
        return QdiscError::Missing { kind };
    }
    QdiscError::Kernel(error)
}

fn attached(socket: &mut Socket, spot: Spot) -> Result<Option<Qdisc>, KernelError> {
    let qdiscs = list(socket, spot.interface)?;
    Ok(qdiscs.into_iter().find(|qdisc| qdisc.parent == spot.parent))
}

fn none_if_gone(replies: Result<Vec<Parsed>, KernelError>) -> Result<Vec<Parsed>, KernelError> {
    match replies {
        Err(error) if matches!(error.netlink_errno(), Some(Errno::NODEV | Errno::NOENT)) => {
            Ok(Vec::new())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
