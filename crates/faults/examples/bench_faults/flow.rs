//! Questions to the far side, in datagrams, and whether they are answered as they should be.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use firedrill_kernel::KernelError;
use firedrill_kernel::namespace::NetNamespace;

use crate::Outcome;

/// What is asked, and how it is answered.
#[derive(Clone, Copy)]
pub(crate) struct Speech {
    pub(crate) port: u16,
    /// The question of a number.
    pub(crate) ask: fn(u32) -> Vec<u8>,
    pub(crate) answer: fn(&[u8]) -> Vec<u8>,
}

/// Datagrams that come back as they are.
pub(crate) const ECHO: Speech = Speech {
    port: 7,
    ask: packet,
    answer: <[u8]>::to_vec,
};

const SIZE: usize = 200;

/// Well above what an undisturbed answer takes, well below what the faults add.
const PROMPT: Duration = Duration::from_millis(5);

/// Asks the far side, and knows an undisturbed answer when it sees one.
pub(crate) struct Flow {
    speech: Speech,
    socket: UdpSocket,
    number: AtomicU32,
    stop: Arc<AtomicBool>,
    echo: Option<JoinHandle<()>>,
}

impl Flow {
    pub(crate) fn new(near: &str, far: &str, address: Ipv4Addr, speech: Speech) -> Outcome<Self> {
        let there = socket_in(far, (Ipv4Addr::UNSPECIFIED, speech.port))?;
        there.set_read_timeout(Some(Duration::from_millis(100)))?;
        let socket = socket_in(near, (Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((address, speech.port))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let echo = std::thread::spawn(move || {
            let mut bytes = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, from)) = there.recv_from(&mut bytes) {
                    let answer = (speech.answer)(bytes.get(..length).unwrap_or_default());
                    // What cannot be answered was not asked by us.
                    let _ = there.send_to(&answer, from);
                }
            }
        });
        Ok(Self {
            speech,
            socket,
            number: AtomicU32::new(0),
            stop,
            echo: Some(echo),
        })
    }

    /// Since when answers come promptly, unaltered and once; nothing while they do not.
    pub(crate) fn since(&self) -> Option<Instant> {
        let mut start = None;
        for _ in 0..5 {
            let number = self.ask()?;
            self.answered(number, PROMPT)?;
            // One that was held, and then released, is answered when it is released.
            start.get_or_insert_with(Instant::now);
        }
        // A second copy of the last one would be right behind it.
        let last = self.number.load(Ordering::Relaxed);
        let again = self.answered(last, Duration::from_millis(1));
        start.filter(|_| again.is_none())
    }

    fn ask(&self) -> Option<u32> {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        // A refusal to an earlier datagram is told by the next call, once.
        let packet = (self.speech.ask)(number);
        let sent = self
            .socket
            .send(&packet)
            .or_else(|_| self.socket.send(&packet));
        sent.ok().map(|_| number)
    }

    fn answered(&self, number: u32, limit: Duration) -> Option<()> {
        let end = Instant::now() + limit;
        let right = (self.speech.answer)(&(self.speech.ask)(number));
        let mut bytes = [0; 2048];
        loop {
            let left = end.checked_duration_since(Instant::now())?;
            let left = left.max(Duration::from_micros(50));
            self.socket.set_read_timeout(Some(left)).ok()?;
            match self.socket.recv(&mut bytes) {
                Ok(length) if bytes.get(..length) == Some(&right[..]) => return Some(()),
                // An answer that comes late, or altered.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(echo) = self.echo.take() {
            // It ends within its read's limit; its outcome says nothing.
            let _ = echo.join();
        }
    }
}

fn packet(number: u32) -> Vec<u8> {
    let mut bytes = vec![0x5a; SIZE];
    if let Some(head) = bytes.first_chunk_mut() {
        *head = number.to_be_bytes();
    }
    bytes
}

/// A datagram socket in a named network namespace.
pub(crate) fn socket_in(namespace: &str, address: (Ipv4Addr, u16)) -> Outcome<UdpSocket> {
    let open = NetNamespace::named(namespace)?;
    let socket = open.within(|| Ok::<_, KernelError>(UdpSocket::bind(address)))?;
    Ok(socket?)
}
