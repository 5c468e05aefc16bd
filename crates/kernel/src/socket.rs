//! Options of sockets that rustix does not offer.

use std::os::fd::AsFd;

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
