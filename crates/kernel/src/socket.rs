//! Options of sockets that rustix does not offer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::{KernelError, sys};

/// Marks every packet that the socket sends (`SO_MARK`), for rules to recognise.
///
/// # Errors
/// Without CAP_NET_ADMIN, and CAP_NET_RAW since Linux 5.17.
pub fn set_mark(socket: impl AsFd, mark: u32) -> Result<(), KernelError> {
    sys::set_mark(socket.as_fd(), mark).map_err(|source| KernelError::Call {
        call: "the mark of a socket",
        source,
    })
}

/// Lets a socket send by the interface with this index only; 0 for any (`SO_BINDTOIFINDEX`, since
/// Linux 5.1).
///
/// # Errors
/// When there is no such interface, or without CAP_NET_RAW when it was bound before.
pub fn bind_to_interface(socket: impl AsFd, index: u32) -> Result<(), KernelError> {
    sys::bind_to_interface(socket.as_fd(), index).map_err(|source| KernelError::Call {
        call: "the interface of a socket",
        source,
    })
}

/// Where a TCP connection was meant for before a rule redirected it to this socket
/// (`SO_ORIGINAL_DST`). Of one that was not, it is the socket's own address.
///
/// # Errors
/// `ENOENT` when it is not tracked.
pub fn original_destination(socket: impl AsFd) -> Result<SocketAddr, KernelError> {
    const CALL: &str = "the original destination of a connection";
    let own = rustix::net::getsockname(&socket)
        .and_then(SocketAddr::try_from)
        .map_err(|errno| KernelError::call(CALL, errno))?;
    let (bytes, length) = sys::original_destination(socket.as_fd(), own.is_ipv6())
        .map_err(|source| KernelError::Call { call: CALL, source })?;
    let read = || -> Option<SocketAddr> {
        let bytes = bytes.get(..length)?;
        // Both structures have the port at 2; then come the address, and for IPv6 a flow label first.
        let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
        let address = if own.is_ipv6() {
            IpAddr::from(Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?))
        } else {
            IpAddr::from(Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?))
        };
        Some(SocketAddr::new(address, port))
    };
    read().ok_or_else(|| KernelError::call(CALL, Errno::PROTO))
}
