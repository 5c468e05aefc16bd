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
