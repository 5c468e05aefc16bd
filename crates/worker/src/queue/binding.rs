//! A kernel queue bound to a socket: packets in, verdicts out, many at a time.

use std::os::fd::{AsFd, BorrowedFd};

use firedrill_kernel::netlink::{Attributes, Message, Protocol, Socket};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{RecvFlags, SendFlags};

use super::QueueError;
use super::wire::{self, Event, Verdict};

const COMMAND: u16 = 1;
const PARAMETERS: u16 = 2;
const MAXIMUM: u16 = 3;
const MASK: u16 = 4;
const FLAGS: u16 = 5;
const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const FAIL_OPEN: u32 = 1;
const SEGMENTS: u32 = 4;

/// The sequence number of the one request that is not a verdict.
const CONFIGURED: u32 = 1;
/// A packet of 64 KiB and what the kernel says about it.
const DATAGRAM: usize = 128 * 1024;
/// Verdicts are sent at the latest when so many bytes of them have gathered.
const FULL: usize = 64 * 1024;

/// How much of each packet is copied out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    /// So many bytes, and the length.
    Part(u16),
    Whole,
}

/// How a queue is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) number: u16,
    pub(crate) copied: Copied,
    /// Packets that wait in the kernel; beyond them it lets packets pass unseen.
    pub(crate) maximum: u32,
    /// Take the large segments of TCP uncut.
    pub(crate) large_segments: bool,
}

/// A bound queue. Closing it drops what waits in it.
#[derive(Debug)]
pub(crate) struct Binding {
    socket: Socket,
    number: u16,
    buffer: Vec<u8>,
    outgoing: Vec<u8>,
}

/// What one look at the socket gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Datagram,
    Nothing,
    /// The socket's buffer had overflowed: the kernel let packets pass unseen.
    Overflow,
}

impl Binding {
    /// Binds a queue in the network namespace of the calling thread.
    pub(crate) fn open(settings: Settings) -> Result<Self, QueueError> {
        let number = settings.number;
        let [high, low] = number.to_be_bytes();
        let mut socket = Socket::open(Protocol::Netfilter)?;
        let doing = format!("bind packet queue {number}");
        let wanted = FAIL_OPEN | if settings.large_segments { SEGMENTS } else { 0 };
        let bind = Message::new(doing, wire::CONFIG, 0, &[0, 0, high, low]).with(
            &Attributes::new()
                .bytes(COMMAND, &[BIND, 0, 0, 0])
                .be32(MAXIMUM, settings.maximum)
                .be32(FLAGS, wanted)
                .be32(MASK, FAIL_OPEN | SEGMENTS),
        );
        socket.request(&bind)?;
        let mut binding = Self {
            socket,
            number,
            buffer: vec![0; DATAGRAM],
            outgoing: Vec::with_capacity(FULL + DATAGRAM),
        };
        // From here on packets come: an acknowledgement could not be awaited without losing some.
        wire::configuration(
            &mut binding.outgoing,
            CONFIGURED,
            number,
            PARAMETERS,
            &parameters(settings.copied),
        );
        binding.flush()?;
        Ok(binding)
    }

    /// Takes one datagram, when there is one, and shows each packet in it.
    pub(crate) fn receive(
        &mut self,
        lost: &mut u64,
        mut packet: impl FnMut(wire::Queued<'_>),
    ) -> Result<Received, QueueError> {
        let got = rustix::net::recv(
            &self.socket,
            self.buffer.as_mut_slice(),
            RecvFlags::DONTWAIT,
        );
        let length = match got {
            Ok((length, _)) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
            Err(Errno::NOBUFS) => return Ok(Received::Overflow),
            Err(errno) => return Err(QueueError::socket("receive packets", errno)),
        };
        let bytes = self.buffer.get(..length).unwrap_or_default();
        for event in wire::events(bytes) {
            match event {
                Event::Packet(queued) => packet(queued),
                Event::Refused { sequence, errno } if sequence == CONFIGURED => {
                    let errno = Errno::from_raw_os_error(errno);
                    return Err(QueueError::socket("configure the packet queue", errno));
                }
                // The packet went away while it was held: its interface went down.
                Event::Refused { .. } => *lost += 1,
            }
        }
        Ok(Received::Datagram)
    }

    /// Gives a verdict; it is sent with the next [`Self::flush`].
    pub(crate) fn verdict(
        &mut self,
        id: u32,
        verdict: Verdict,
        payload: Option<&[u8]>,
    ) -> Result<(), QueueError> {
        wire::verdict(&mut self.outgoing, self.number, id, verdict, payload);
        if self.outgoing.len() >= FULL {
            return self.flush();
        }
        Ok(())
    }

    /// Lets every waiting packet up to `id` pass; sent with the next [`Self::flush`].
    pub(crate) fn accept_up_to(&mut self, id: u32) {
        wire::verdict_up_to(&mut self.outgoing, self.number, id, Verdict::Accept);
    }

    /// Sends the verdicts that have gathered.
    pub(crate) fn flush(&mut self) -> Result<(), QueueError> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let kernel = SocketAddrNetlink::new(0, 0);
        let sent = rustix::io::retry_on_intr(|| {
            rustix::net::sendto(&self.socket, &self.outgoing, SendFlags::empty(), &kernel)
        });
        self.outgoing.clear();
        sent.map(drop)
            .map_err(|errno| QueueError::socket("give verdicts", errno))
    }
}

impl AsFd for Binding {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// `struct nfqnl_msg_config_params`.
fn parameters(copied: Copied) -> [u8; 5] {
    let range = match copied {
        Copied::Part(bytes) => bytes,
        Copied::Whole => u16::MAX,
    };
    let [a, b, c, d] = u32::from(range).to_be_bytes();
    [a, b, c, d, COPY_PACKET]
}
