//! One side of a connection.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

/// A connected socket that does not block, with what is known of it. Readiness is told once, when
/// it begins, so it is remembered until a call says otherwise.
#[derive(Debug)]
pub(super) struct Socket {
    descriptor: OwnedFd,
    readable: bool,
    writable: bool,
    /// The peer has ended its stream, or the connection: a read tells which.
    ending: bool,
    /// Nothing more comes.
    read_over: bool,
    /// Nothing more is sent.
    write_over: bool,
}

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Bytes(usize),
    End,
    NotNow,
    Broken,
}

impl Socket {
    pub(super) fn new(descriptor: OwnedFd) -> Self {
        Self {
            descriptor,
            readable: true,
            writable: true,
            ending: false,
            read_over: false,
            write_over: false,
        }
    }

    pub(super) fn now_readable(&mut self, ending: bool) {
        self.readable = true;
        self.ending |= ending;
    }

    pub(super) fn now_writable(&mut self) {
        self.writable = true;
    }

    pub(super) fn can_read(&self) -> bool {
        self.readable && !self.read_over
    }

    pub(super) fn can_write(&self) -> bool {
        self.writable && !self.write_over
    }

    pub(super) fn read_is_over(&self) -> bool {
        self.read_over
    }

    pub(super) fn write_is_over(&self) -> bool {
        self.write_over
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Read {
        loop {
            return match rustix::net::recv(&self.descriptor, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => {
                    self.read_over = true;
                    Read::End
                }
                Ok((length, _)) => {
                    // A short read has emptied the socket: what comes later is told again, but an
                    // end that was told already is not.
                    self.readable = length == buffer.len() || self.ending;
                    Read::Bytes(length)
                }
                Err(Errno::AGAIN) => {
                    self.readable = false;
                    Read::NotNow
                }
                Err(Errno::INTR) => continue,
                Err(_) => Read::Broken,
            };
        }
    }

    /// How many bytes the socket took.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        loop {
            return match rustix::net::send(&self.descriptor, bytes, SendFlags::NOSIGNAL) {
                Ok(length) => {
                    self.writable = length == bytes.len();
                    Ok(length)
                }
                Err(Errno::AGAIN) => {
                    self.writable = false;
                    Ok(0)
                }
                Err(Errno::INTR) => continue,
                Err(errno) => Err(errno),
            };
        }
    }

    /// The end of what is sent.
    pub(super) fn end(&mut self) {
        self.write_over = true;
        // It fails where the peer is gone already, and then there is nobody to tell.
        let _gone = rustix::net::shutdown(&self.descriptor, Shutdown::Write);
    }

    /// The peer gets a RST, not a FIN, when this is dropped.
    pub(super) fn will_reset(&self) {
        let _gone = rustix::net::sockopt::set_socket_linger(&self.descriptor, Some(Duration::ZERO));
    }

    /// The address at the other end.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        let address = rustix::net::getpeername(&self.descriptor).ok()??;
        SocketAddr::try_from(address).ok().map(|peer| peer.ip())
    }

    /// Why a connection failed to be made, or broke.
    pub(super) fn error(&self) -> Result<(), Errno> {
        rustix::net::sockopt::socket_error(&self.descriptor).unwrap_or_else(Err)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
