//! Where redirected datagrams were meant for. A connection tells; of datagrams only connection
//! tracking knows.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use firedrill_kernel::KernelError;
use firedrill_kernel::conntrack::{self, Flow};
use firedrill_kernel::netlink::{Protocol, Socket};

/// As IANA numbers it.
const UDP: u8 = 17;

/// Asks the kernel, in the network namespace of the thread that asks first.
#[derive(Debug, Default)]
pub(super) struct Tracking {
    socket: Option<Socket>,
}

impl Tracking {
    /// Where a client's datagrams to this listener were meant for. Nowhere, if they were not
    /// redirected here: they would be led back for ever.
    pub(super) fn meant_for(
        &mut self,
        listener: impl AsFd,
        client: SocketAddr,
    ) -> Option<SocketAddr> {
        let here = rustix::net::getsockname(listener);
        let here = here.and_then(SocketAddr::try_from).ok()?;
        let answer = Flow {
            protocol: UDP,
            source: without_scope(here),
            destination: without_scope(client),
        };
        let tracked = self.ask(&answer).ok()??;
        let meant = tracked.original.destination;
        let redirected = tracked.destination_translated && meant != answer.source;
        redirected.then(|| in_scope_of(here, meant))
    }

    fn ask(&mut self, answer: &Flow) -> Result<Option<conntrack::Tracked>, KernelError> {
        if self.socket.is_none() {
            self.socket = Some(Socket::open(Protocol::Netfilter)?);
        }
        match &mut self.socket {
            Some(socket) => conntrack::answered_by(socket, answer),
            None => Ok(None),
        }
    }
}

/// As connection tracking knows it: a link-local address without its interface.
fn without_scope(mut address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut address {
        v6.set_scope_id(0);
    }
    address
}

/// A link-local address is one of the interface that the redirect stayed on.
fn in_scope_of(here: SocketAddr, mut address: SocketAddr) -> SocketAddr {
    if let (SocketAddr::V6(here), SocketAddr::V6(v6)) = (here, &mut address)
        && v6.ip().is_unicast_link_local()
    {
        v6.set_scope_id(here.scope_id());
    }
    address
}
