//! Copies of packets, sent by raw sockets: a kernel queue cannot let a packet pass twice.
//!
//! A copy is routed like a packet of this host. One for another host goes out. One for this host
//! takes the loopback device and is delivered like the packet it copies, though rules that name its
//! interface do not see it.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use firedrill_kernel::socket::set_mark;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto};

use super::QueueError;
use super::packet;

/// Raw sockets that mark what they send.
#[derive(Debug)]
pub(crate) struct Copies {
    four: OwnedFd,
    /// Absent where the kernel has no IPv6.
    six: Option<OwnedFd>,
}

impl Copies {
    /// Opens the sockets in the network namespace of the calling thread.
    pub(crate) fn open(mark: u32) -> Result<Self, QueueError> {
        Ok(Self {
            four: open(AddressFamily::INET, mark)?,
            six: open(AddressFamily::INET6, mark).ok(),
        })
    }

    /// Sends a packet with its network header; whether the kernel took it.
    pub(crate) fn send(&self, bytes: &[u8]) -> bool {
        let Some(to) = packet::destination(bytes) else {
            return false;
        };
        let socket = match to {
            IpAddr::V4(_) => Some(&self.four),
            IpAddr::V6(_) => self.six.as_ref(),
        };
        let to = SocketAddr::new(to, 0);
        socket.is_some_and(|socket| {
            rustix::net::sendto(socket, bytes, SendFlags::DONTWAIT, &to).is_ok()
        })
    }
}

/// A socket of protocol `IPPROTO_RAW` takes the network header from its user, for both families.
fn open(family: AddressFamily, mark: u32) -> Result<OwnedFd, QueueError> {
    let socket = rustix::net::socket_with(
        family,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(ipproto::RAW),
    )
    .map_err(|errno| QueueError::socket("open a raw socket for copies", errno))?;
    set_mark(&socket, mark)?;
    Ok(socket)
}
