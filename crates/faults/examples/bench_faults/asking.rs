//! New connections and datagrams to the far side, which answers who it thinks asked.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use firedrill_kernel::KernelError;
use firedrill_kernel::namespace::{NetNamespace, OpenNamespace};

use crate::Outcome;
use crate::flow::socket_in;

/// Snapshots look past it.
pub(crate) const PORT: u16 = 5433;

/// Well above what a direct answer takes, well below what a fault of the kill matrix adds.
const PROMPT: Duration = Duration::from_millis(20);

/// Asks the far side, each time by a connection of its own.
pub(crate) struct Asking {
    near: OpenNamespace,
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Asking {
    pub(crate) fn begin(near: &str, far: &str, address: Ipv4Addr) -> Outcome<Self> {
        let at = SocketAddr::from((address, PORT));
        let listen = || Ok::<_, KernelError>(TcpListener::bind(at));
        let listener = NetNamespace::named(far)?.within(listen)??;
        listener.set_nonblocking(true)?;
        let socket = socket_in(far, (address, PORT))?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (of_tcp, of_udp) = (Arc::clone(&stop), Arc::clone(&stop));
        let threads = vec![
            std::thread::spawn(move || answer_connections(&listener, &of_tcp)),
            std::thread::spawn(move || answer_datagrams(&socket, &of_udp)),
        ];
        Ok(Self {
            near: NetNamespace::named(near)?,
            at,
            stop,
            threads,
        })
    }

    /// A new connection, and whom the far side sees on it; nothing when it does not say so in time.
    pub(crate) fn connect(&self, limit: Duration) -> Option<(TcpStream, SocketAddr)> {
        let connect = || Ok::<_, KernelError>(TcpStream::connect_timeout(&self.at, limit));
        let mut client = self.near.within(connect).ok()?.ok()?;
        client.set_read_timeout(Some(limit)).ok()?;
        let mut said = [0; 32];
        let length = client.read(&mut said).ok()?;
        Some((client, read(said.get(..length)?)?))
    }

    /// A socket for datagrams to the far side.
    pub(crate) fn socket(&self) -> Outcome<UdpSocket> {
        let any = (Ipv4Addr::UNSPECIFIED, 0);
        let socket = self
            .near
            .within(|| Ok::<_, KernelError>(UdpSocket::bind(any)))??;
        socket.connect(self.at)?;
        Ok(socket)
    }

    /// Since when a new connection goes directly, and is answered promptly.
    pub(crate) fn since(&self) -> Option<Instant> {
        let start = Instant::now();
        let (client, seen) = self.connect(PROMPT)?;
        (client.local_addr().ok()? == seen).then_some(start)
    }
}

/// Whom the far side sees behind a datagram; nothing when it does not say so in time.
pub(crate) fn asked_by(socket: &UdpSocket, limit: Duration) -> Option<SocketAddr> {
    socket.set_read_timeout(Some(limit)).ok()?;
    // A refusal to an earlier datagram is told by the next call, once.
    socket.send(b"who").or_else(|_| socket.send(b"who")).ok()?;
    let mut said = [0; 32];
    let length = socket.recv(&mut said).ok()?;
    read(said.get(..length)?)
}

fn read(said: &[u8]) -> Option<SocketAddr> {
    std::str::from_utf8(said).ok()?.parse().ok()
}

fn answer_connections(listener: &TcpListener, stop: &AtomicBool) {
    // They stay open: how they end is the other side's affair.
    let mut open = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((mut server, from)) => {
                // Whoever is gone already is told nothing.
                let _ = server.write_all(from.to_string().as_bytes());
                open.push(server);
                if open.len() > 64 {
                    open.remove(0);
                }
            }
            Err(_) => crate::processes::wait(Duration::from_micros(200)),
        }
    }
}

fn answer_datagrams(socket: &UdpSocket, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        if let Ok((_, from)) = socket.recv_from(&mut [0; 16]) {
            // What cannot be answered was not asked by us.
            let _ = socket.send_to(from.to_string().as_bytes(), from);
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It ends within its read's limit; its outcome says nothing.
            let _ = thread.join();
        }
    }
}
