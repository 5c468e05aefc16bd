//! What owner and guardian say to each other: one JSON object per packet of a seqpacket socket.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use firedrill_kernel::ProcessIdentity;
use rustix::net::{RecvFlags, SendFlags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::effect::{Observed, Skipped};
use crate::log::Ending;
use crate::primitive::{Mechanism, Primitive};
use crate::residue::{Reverted, micros};

/// Bytes in one packet; below the kernel's default socket buffer, which bounds it.
pub(crate) const PACKET_MAX: usize = 192 * 1024;

/// A request or its reply. Number 0 is a notice that nobody asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Packet<T> {
    pub(crate) number: u64,
    pub(crate) body: T,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub(crate) enum Request {
    Apply { effects: Vec<Primitive> },
    Observe { id: u64 },
    Renew,
    Revert { id: u64 },
    Finish,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", content = "with", rename_all = "kebab-case")]
pub(crate) enum Reply {
    Ready(Ready),
    Applied(Applied),
    Observed(Observed),
    Renewed,
    Reverted(Reverted),
    Finished(Reverted),
    Refused(Refusal),
    Ended(Ended),
}

/// The guardian is there, and the drill is in its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ready {
    pub guardian: ProcessIdentity,
    /// Its memory cannot be swapped out.
    pub memory_locked: bool,
    /// The out-of-memory killer spares it.
    pub spared_by_oom_killer: bool,
    /// It is scheduled before everything that is not realtime.
    pub realtime: bool,
    /// What it undid of a guardian that died.
    pub recovered: Reverted,
}

/// A fault in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Applied {
    pub id: u64,
    /// By what means; more than one when the targets were not alike.
    pub mechanisms: Vec<Mechanism>,
    /// From the request until the last effect was in place, the log's sync included.
    #[serde(rename = "injected-in-us", with = "micros")]
    pub injected_in: Duration,
    /// Targets touched.
    pub targets: Vec<ProcessIdentity>,
    pub skipped: Vec<Skipped>,
    /// Why a preferred mechanism was not used, where one was asked for.
    pub fallback: Option<String>,
}

/// The drill's right to apply faults ended, and everything was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ended {
    pub ending: Ending,
    /// How long after the deadline the undo began, for an expired lease.
    #[serde(rename = "late-by-us", with = "micros")]
    pub late_by: Duration,
    pub reverted: Reverted,
}

/// Why the guardian did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refused", rename_all = "kebab-case")]
pub enum Refusal {
    #[error("the drill has ended: {}", explain(*ending))]
    Ended { ending: Ending },
    #[error("the undo could not be made durable, so nothing was applied: {why}")]
    NotDurable { why: String },
    #[error("there is no fault {id} in this drill")]
    UnknownFault { id: u64 },
    #[error("the fault could not be applied, and what was applied of it is undone: {why}")]
    NotApplied { why: String, residue: usize },
    #[error("rollbacks are registered apart from faults: they end differently")]
    MixedWithRollbacks,
    #[error(
        "the fault would survive a reboot, and no recovery at boot is installed: run `firedrill \
         recover --install`, or accept it with `survives-reboot: accept`"
    )]
    SurvivesReboot,
    #[error("the state of the fault cannot be read: {why}")]
    Unobservable { why: String },
    #[error("the guardian did not understand a request: {why}")]
    Malformed { why: String },
    #[error("the guardian could not start: {why}")]
    NotStarted { why: String },
}

fn explain(ending: Ending) -> &'static str {
    match ending {
        Ending::Finished => "its owner finished it",
        Ending::Expired => "its lease ran out",
        Ending::Halted => "it was halted",
        Ending::OwnerDied => "its owner is gone",
        Ending::GuardianDied => "its guardian died and was replaced",
    }
}

/// What a receive gave.
#[derive(Debug)]
pub(crate) enum Received<T> {
    Packet(Packet<T>),
    Nothing,
    Closed,
    Garbage(serde_json::Error),
}

/// # Errors
/// `InvalidInput` when the packet is too large; what the socket says otherwise.
pub(crate) fn send<T: Serialize>(
    socket: impl AsFd,
    packet: &Packet<T>,
    flags: SendFlags,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(packet)?;
    if bytes.len() > PACKET_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    rustix::net::send(socket, &bytes, flags | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// # Errors
/// What the socket says, except that it is empty or closed.
pub(crate) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> io::Result<Received<T>> {
    use rustix::io::Errno;
    let length = match rustix::net::recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
        Ok((_, length)) => length,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
        Err(Errno::CONNRESET | Errno::PIPE) => return Ok(Received::Closed),
        Err(error) => return Err(error.into()),
    };
    if length == 0 {
        return Ok(Received::Closed);
    }
    let bytes = buffer.get(..length).unwrap_or_default();
    Ok(match serde_json::from_slice(bytes) {
        Ok(packet) => Received::Packet(packet),
        Err(error) => Received::Garbage(error),
    })
}
