//! A small netlink codec and socket: requests, dumps, and transactions of nfnetlink.
//!
//! It knows the framing (linux/netlink.h, linux/netfilter/nfnetlink.h), not the families: those are
//! in [`crate::link`], [`crate::qdisc`], [`crate::sock_diag`] and [`crate::nftables`]. Multicast
//! groups and generic netlink are not here.

mod attributes;
mod closing;
mod message;
mod refusal;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::KernelError;
use crate::sys;

pub use attributes::{Attribute, AttributeIter, Attributes};
pub use message::{Message, Parsed, messages};
pub use refusal::Refusal;

use message::{DONE, ERROR};

/// Larger than any datagram of the kernel (a dump fills at most 32 KiB).
const DATAGRAM: usize = 64 * 1024;
/// Room for the acknowledgements of a large transaction, and for the transaction itself.
const BUFFER: usize = 4 * 1024 * 1024;
/// The kernel answers at once; this only keeps a lost answer from blocking for ever.
const PATIENCE: Duration = Duration::from_secs(5);
/// A dump that changes under our hands is read again this often.
const DUMP_ATTEMPTS: u32 = 16;

/// Message types below this are of netlink itself.
const FIRST_FAMILY_KIND: u16 = 0x10;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// `NLM_F_REQUEST` and its companions.
const REQUEST: u16 = 0x01;
const MULTI: u16 = 0x02;
const ACK: u16 = 0x04;
const DUMP_INTERRUPTED: u16 = 0x10;
const DUMP: u16 = 0x300;

/// Which part of the kernel a socket speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, queueing disciplines.
    Route,
    /// nftables, conntrack, packet queues.
    Netfilter,
    /// The sockets of a namespace.
    SockDiag,
}

/// A netlink socket of the network namespace in which it was opened.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread. It stays with that namespace
    /// wherever the thread goes.
    ///
    /// # Errors
    /// When the kernel gives no such socket.
    pub fn open(protocol: Protocol) -> Result<Self, KernelError> {
        use rustix::net::netlink;
        let number = match protocol {
            Protocol::Route => None,
            Protocol::Netfilter => Some(netlink::NETFILTER),
            Protocol::SockDiag => Some(netlink::SOCK_DIAG),
        };
        let failed = |errno| KernelError::call("a netlink socket", errno);
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            number,
        )
        .map_err(failed)?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, 0)).map_err(failed)?;
        let port = rustix::net::getsockname(&fd)
            .and_then(SocketAddrNetlink::try_from)
            .map_err(failed)?
            .pid();
        sockopt::set_socket_timeout(&fd, Timeout::Recv, Some(PATIENCE)).map_err(failed)?;
        enlarge_buffers(&fd);
        sys::enable_netlink_option(fd.as_fd(), libc::NETLINK_CAP_ACK);
        sys::enable_netlink_option(fd.as_fd(), libc::NETLINK_EXT_ACK);
        Ok(Self {
            fd,
            port,
            sequence: 0,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// The port number by which the kernel knows the socket: the owner of the tables it makes.
    #[must_use]
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Closes it a moment later, on another thread.
    ///
    /// The kernel holds up whoever closes a netfilter socket right after a change of the rules for a
    /// grace period, about 11 ms, and with it every other change of that namespace.
    pub fn close_later(self) {
        closing::close_later(self.fd);
    }

    /// Asks for a change and waits for the acknowledgement.
    ///
    /// # Errors
    /// [`KernelError::Netlink`] with the kernel's reason.
    pub fn request(&mut self, message: &Message) -> Result<(), KernelError> {
        self.query(message).map(drop)
    }

    /// Asks for one thing; gives what came before the acknowledgement.
    ///
    /// # Errors
    /// [`KernelError::Netlink`] with the kernel's reason.
    pub fn query(&mut self, message: &Message) -> Result<Vec<Parsed>, KernelError> {
        let sequence = self.send_one(message, REQUEST | ACK)?;
        let mut replies = Vec::new();
        loop {
            for reply in self.receive(&message.doing)? {
                if reply.sequence != sequence {
                    continue;
                }
                match reply.kind {
                    ERROR => {
                        refusal::outcome(&reply, &message.doing).map_err(single)?;
                        return Ok(replies);
                    }
                    kind if kind >= FIRST_FAMILY_KIND => replies.push(reply),
                    _ => {}
                }
            }
        }
    }

    /// Reads a whole table of the kernel, and again when it changed meanwhile.
    ///
    /// # Errors
    /// [`KernelError::Netlink`] with the kernel's reason; `EAGAIN` in it when the table changed
    /// during every attempt.
    pub fn dump(&mut self, message: &Message) -> Result<Vec<Parsed>, KernelError> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(replies) = self.dump_once(message)? {
                return Ok(replies);
            }
        }
        Err(failure(message, Errno::AGAIN))
    }

    /// Sends nfnetlink messages of one subsystem as a transaction: all of them, or none.
    ///
    /// # Errors
    /// [`KernelError::Netlink`] with every refusal in it; then nothing has changed. When the
    /// acknowledgement is lost (`ENOBUFS`, `ETIMEDOUT`) it is unknown whether it has.
    pub fn transaction(&mut self, subsystem: u16, batch: &[Message]) -> Result<(), KernelError> {
        let Some(whole) = batch.first() else {
            return Ok(());
        };
        // A refusal of the transaction as such is told by what it begins with.
        let mark = |kind| {
            // struct nfgenmsg: family, version, and the subsystem in network byte order.
            let [high, low] = subsystem.to_be_bytes();
            Message::new(whole.doing.as_str(), kind, 0, &[0, 0, high, low])
        };
        let (begin, end) = (mark(BATCH_BEGIN), mark(BATCH_END));
        let begin_sequence = self.next_sequence();
        let mut bytes = Vec::new();
        begin.encode(REQUEST, begin_sequence, &mut bytes);
        let mut sequences = Vec::with_capacity(batch.len());
        for message in batch {
            if message.is_oversized() {
                return Err(failure(message, Errno::MSGSIZE));
            }
            let sequence = self.next_sequence();
            message.encode(REQUEST | ACK, sequence, &mut bytes);
            sequences.push(sequence);
        }
        end.encode(REQUEST, self.next_sequence(), &mut bytes);
        self.send(&bytes, &whole.doing)?;
        self.collect(&begin, begin_sequence, batch, &sequences)
    }

    /// Reads the answers to a transaction. They are all queued before `sendto` returns, so an empty
    /// queue is the end.
    fn collect(
        &mut self,
        begin: &Message,
        begin_sequence: u32,
        batch: &[Message],
        sequences: &[u32],
    ) -> Result<(), KernelError> {
        let mut refusals = Vec::new();
        let mut acknowledged = 0;
        while let Some(replies) = self.receive_queued(&begin.doing)? {
            for reply in replies.iter().filter(|reply| reply.kind == ERROR) {
                let message = if reply.sequence == begin_sequence {
                    Some(begin)
                } else {
                    sequences
                        .iter()
                        .position(|sequence| *sequence == reply.sequence)
                        .and_then(|index| batch.get(index))
                };
                match message.map(|message| refusal::outcome(reply, &message.doing)) {
                    Some(Err(refusal)) => refusals.push(refusal),
                    Some(Ok(())) => acknowledged += 1,
                    None => {}
                }
            }
        }
        if refusals.is_empty() {
            if acknowledged < batch.len() {
                return Err(failure(begin, Errno::TIMEDOUT));
            }
            return Ok(());
        }
        let first = refusals.remove(0);
        Err(KernelError::Netlink {
            first,
            further: refusals,
        })
    }

    /// `None` when the table changed while it was read.
    fn dump_once(&mut self, message: &Message) -> Result<Option<Vec<Parsed>>, KernelError> {
        let sequence = self.send_one(message, REQUEST | DUMP)?;
        let mut replies = Vec::new();
        let mut consistent = true;
        loop {
            for reply in self.receive(&message.doing)? {
                if reply.sequence != sequence {
                    continue;
                }
                consistent &= reply.flags & DUMP_INTERRUPTED == 0;
                match reply.kind {
                    DONE | ERROR => {
                        refusal::outcome(&reply, &message.doing).map_err(single)?;
                        return Ok(consistent.then_some(replies));
                    }
                    kind if kind >= FIRST_FAMILY_KIND => {
                        let single_part = reply.flags & MULTI == 0;
                        replies.push(reply);
                        if single_part {
                            return Ok(consistent.then_some(replies));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn send_one(&mut self, message: &Message, flags: u16) -> Result<u32, KernelError> {
        if message.is_oversized() {
            return Err(failure(message, Errno::MSGSIZE));
        }
        let sequence = self.next_sequence();
        let mut bytes = Vec::new();
        message.encode(flags, sequence, &mut bytes);
        self.send(&bytes, &message.doing)?;
        Ok(sequence)
    }

    fn send(&self, bytes: &[u8], doing: &str) -> Result<(), KernelError> {
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::io::retry_on_intr(|| {
            rustix::net::sendto(&self.fd, bytes, SendFlags::empty(), &kernel)
        })
        .map(drop)
        .map_err(|errno| single(Refusal::plain(doing, errno)))
    }

    /// The next datagram; waits for it.
    fn receive(&mut self, doing: &str) -> Result<Vec<Parsed>, KernelError> {
        loop {
            match self.datagram(RecvFlags::empty()) {
                Ok(Some(replies)) => return Ok(replies),
                Ok(None) => {}
                Err(Errno::AGAIN) => {
                    return Err(single(Refusal::plain(doing, Errno::TIMEDOUT)));
                }
                Err(errno) => return Err(single(Refusal::plain(doing, errno))),
            }
        }
    }

    /// The next datagram, when there is one.
    fn receive_queued(&mut self, doing: &str) -> Result<Option<Vec<Parsed>>, KernelError> {
        loop {
            match self.datagram(RecvFlags::DONTWAIT) {
                Ok(Some(replies)) => return Ok(Some(replies)),
                Ok(None) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(single(Refusal::plain(doing, errno))),
            }
        }
    }

    /// `None` when it was not the kernel that wrote.
    fn datagram(&mut self, flags: RecvFlags) -> Result<Option<Vec<Parsed>>, Errno> {
        let buffer = self.buffer.as_mut_slice();
        let (_, length, from) = rustix::io::retry_on_intr(|| {
            rustix::net::recvfrom(&self.fd, &mut *buffer, flags | RecvFlags::TRUNC)
        })?;
        let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
        if from.is_none_or(|from| from.pid() != 0) {
            return Ok(None);
        }
        let bytes = self.buffer.get(..length).ok_or(Errno::MSGSIZE)?;
        Ok(Some(messages(bytes).collect()))
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Without privilege the kernel gives what the host allows, which is enough for all but very large
/// transactions; those then fail with `EMSGSIZE`.
fn enlarge_buffers(fd: &OwnedFd) {
    if sockopt::set_socket_recv_buffer_size_force(fd, BUFFER).is_err() {
        let _kept = sockopt::set_socket_recv_buffer_size(fd, BUFFER);
    }
    if sockopt::set_socket_send_buffer_size_force(fd, BUFFER).is_err() {
        let _kept = sockopt::set_socket_send_buffer_size(fd, BUFFER);
    }
}

fn failure(message: &Message, errno: Errno) -> KernelError {
    single(Refusal::plain(&message.doing, errno))
}

fn single(first: Refusal) -> KernelError {
    KernelError::Netlink {
        first,
        further: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
