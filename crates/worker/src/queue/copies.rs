//! Packets sent by raw sockets: copies, as a kernel queue cannot let a packet pass twice, and what is
//! held in place of packets whose sender should not be charged.
//!
//! They are routed, tracked and filtered like packets of this host. One for another host goes out, by
//! the interface that it was about to leave by. A copy for this host takes the loopback device and
//! is delivered like the packet it copies, though rules that name its interface do not see it.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use firedrill_kernel::link;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::socket::{bind_to_interface, set_mark};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

use super::QueueError;
use super::held::Outgoing;
use super::packet;

/// Bytes that may be on their way to a device.
const BUFFER: usize = 64 << 20;

/// Raw sockets that mark what they send.
#[derive(Debug)]
pub(crate) struct Copies {
    four: Bound,
    /// Absent where the kernel has no IPv6.
    six: Option<Bound>,
    routes: Socket,
    /// Index and largest packet of each interface, by index.
    interfaces: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Bound {
    socket: OwnedFd,
    interface: u32,
}

impl Copies {
    /// Opens the sockets in the network namespace of the calling thread.
    pub(crate) fn open(mark: u32) -> Result<Self, QueueError> {
        Ok(Self {
            four: open(AddressFamily::INET, mark)?,
            six: open(AddressFamily::INET6, mark).ok(),
            routes: Socket::open(Protocol::Route)?,
            interfaces: Vec::new(),
        })
    }

    /// The largest packet that may leave by an interface; 0 when there is no such interface.
    pub(crate) fn largest(&mut self, interface: u32) -> u32 {
        if let Some(largest) = self.known(interface) {
            return largest;
        }
        if let Ok(interfaces) = link::list(&mut self.routes) {
            self.interfaces = interfaces.iter().map(|one| (one.index, one.mtu)).collect();
        }
        if self.known(interface).is_none() {
            // Not looked for again with every packet.
            self.interfaces.push((interface, 0));
        }
        self.known(interface).unwrap_or(0)
    }

    fn known(&self, interface: u32) -> Option<u32> {
        let mut all = self.interfaces.iter();
        all.find(|(index, _)| *index == interface)
            .map(|(_, largest)| *largest)
    }

    /// Sends a packet; whether the kernel took it.
    pub(crate) fn send(&mut self, packet: &Outgoing) -> bool {
        let Some(to) = packet::destination(&packet.bytes) else {
            return false;
        };
        let bound = match to {
            IpAddr::V4(_) => Some(&mut self.four),
            IpAddr::V6(_) => self.six.as_mut(),
        };
        let sent = bound.is_some_and(|bound| bound.send(packet, SocketAddr::new(to, 0)));
        if !sent {
            // Perhaps an interface has changed.
            self.interfaces.clear();
        }
        sent
    }
}

impl Bound {
    fn send(&mut self, packet: &Outgoing, to: SocketAddr) -> bool {
        if self.interface != packet.interface {
            if bind_to_interface(&self.socket, packet.interface).is_err() {
                return false;
            }
            self.interface = packet.interface;
        }
        rustix::net::sendto(&self.socket, &packet.bytes, SendFlags::DONTWAIT, &to).is_ok()
    }
}

/// A socket of protocol `IPPROTO_RAW` takes the network header from its user, for both families.
fn open(family: AddressFamily, mark: u32) -> Result<Bound, QueueError> {
    let socket = rustix::net::socket_with(
        family,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(ipproto::RAW),
    )
    .map_err(|errno| QueueError::socket("open a raw socket for copies", errno))?;
    set_mark(&socket, mark)?;
    // Without CAP_NET_ADMIN in the first user namespace the usual size has to do.
    let _refused = sockopt::set_socket_send_buffer_size_force(&socket, BUFFER);
    let _refused = sockopt::set_socket_broadcast(&socket, true);
    Ok(Bound {
        socket,
        interface: 0,
    })
}
