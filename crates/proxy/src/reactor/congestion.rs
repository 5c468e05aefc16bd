//! How a connection that never leaves this host finds out how much it may send.
//!
//! A network has a rate that is worth finding out, and the host's way to do so may pace what is sent,
//! with a timer for each connection. A loopback has none: there a window that grows is enough, and
//! costs less.

use std::net::SocketAddr;
use std::os::fd::AsFd;

/// Has a socket count what is under way, and no rate, if it is at a loopback address, its own or its
/// peer's. A listener's sockets inherit it. It has to be said before the connection is made: what the
/// host's way has set up stays. Where the kernel does not allow it, it is as it was.
pub(crate) fn suit(socket: impl AsFd, address: SocketAddr) {
    if address.ip().to_canonical().is_loopback() {
        // The one that every kernel has, and allows everybody.
        let _refused = rustix::net::sockopt::set_tcp_congestion(socket, "reno");
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rustix::net::sockopt::tcp_congestion;

    use super::*;

    #[test]
    fn what_comes_to_a_loopback_address_inherits_it_and_all_else_is_as_it_was() {
        let usual = TcpListener::bind("0.0.0.0:0").expect("a listener");
        let host = tcp_congestion(&usual).expect("a name");
        suit(&usual, usual.local_addr().expect("an address"));
        assert_eq!(tcp_congestion(&usual).expect("a name"), host);

        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        suit(&listener, address);
        let _client = TcpStream::connect(address).expect("a connection");
        let (accepted, _) = listener.accept().expect("a connection");
        assert_eq!(tcp_congestion(&accepted).expect("a name"), "reno");
    }
}
