//! One side of a connection.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, SocketType,
};

use super::congestion;

/// Reads of what nobody wants, after which others have their turn.
const DISCARDS: usize = 64;

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

    /// Looks at what can be read, and leaves it there. A ClientHello is not worth a copy.
    pub(super) fn peek(&mut self, buffer: &mut [u8]) -> Read {
        loop {
            return match rustix::net::recv(&self.descriptor, &mut *buffer, RecvFlags::PEEK) {
                Ok((0, _)) => Read::End,
                Ok((length, _)) => Read::Bytes(length),
                Err(Errno::AGAIN) => Read::NotNow,
                Err(Errno::INTR) => continue,
                Err(_) => Read::Broken,
            };
        }
    }

    /// Takes away what came and nobody reads: left there, it would make a RST of a FIN. Who sends on
    /// and on gets one.
    pub(super) fn discard(&mut self) {
        let mut buffer = [0; 4096];
        for _ in 0..DISCARDS {
            match rustix::net::recv(&self.descriptor, &mut buffer, RecvFlags::empty()) {
                Ok((1.., _)) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// As [`Self::write`], from several places.
    pub(super) fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let all: usize = parts.iter().map(|part| part.len()).sum();
        let mut nothing = SendAncillaryBuffer::default();
        loop {
            let sent =
                rustix::net::sendmsg(&self.descriptor, parts, &mut nothing, SendFlags::NOSIGNAL);
            return match sent {
                Ok(length) => {
                    self.writable = length == all;
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

    /// Where the peer came to.
    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        let name = rustix::net::getsockname(&self.descriptor).ok()?;
        SocketAddr::try_from(name).ok()
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

    /// Where its client wanted to go. Nowhere, if it was not redirected here: it would be led back for
    /// ever.
    pub(super) fn meant_for(&self) -> Option<SocketAddr> {
        let here = rustix::net::getsockname(&self.descriptor);
        let here = here.and_then(SocketAddr::try_from).ok()?;
        let meant = firedrill_kernel::socket::original_destination(&self.descriptor).ok()?;
        (meant != here).then_some(meant)
    }

    /// The peer gets what is left and a FIN, as usual, when this is dropped.
    pub(super) fn will_end(&self) {
        let _gone = rustix::net::sockopt::set_socket_linger(&self.descriptor, None);
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

/// A socket on its way to this address, and whether it is there already.
pub(super) fn begin_to_connect(
    address: SocketAddr,
    mark: Option<u32>,
) -> Result<(Socket, bool), Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
    congestion::suit(&socket, address);
    if let Some(mark) = mark {
        // Without it the rule would lead it back here.
        firedrill_kernel::socket::set_mark(&socket, mark).map_err(|_| Errno::PERM)?;
    }
    let connected = match rustix::net::connect(&socket, &address) {
        Ok(()) => true,
        Err(Errno::INPROGRESS) => false,
        Err(errno) => return Err(errno),
    };
    Ok((Socket::new(socket), connected))
}
