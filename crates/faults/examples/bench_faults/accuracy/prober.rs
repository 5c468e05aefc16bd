//! Numbered datagrams with their time of departure: an open-loop sender and two receivers.

use std::net::UdpSocket;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::sockopt;

use super::{PAST, THROUGH};
use crate::Outcome;
use crate::bed::{Bed, FAR};
use crate::flow::socket_in;

/// What arrived at one port, in the order of arrival.
pub(super) struct Arrivals(pub(super) Vec<Arrival>);

#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) number: u32,
    /// From the sender's call to the receiver's, on CLOCK_MONOTONIC.
    pub(super) took: Duration,
    pub(super) intact: bool,
}

/// How packets are sent.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) per_second: u32,
    pub(super) count: u32,
    pub(super) size: usize,
    /// Packets sent together.
    pub(super) burst: u32,
    /// Whether a twin of each leaves at the same moment past the fault.
    pub(super) paired: bool,
}

/// After the last packet, this long is waited for late ones.
const PATIENCE: Duration = Duration::from_millis(700);

/// Sends what the pace says, and gives what came through the fault and past it.
pub(super) fn send(bed: &Bed, pace: Pace) -> Outcome<(Arrivals, Arrivals)> {
    let epoch = Instant::now();
    let through = receiver(bed, THROUGH, epoch, pace.size)?;
    let past = receiver(bed, PAST, epoch, pace.size)?;
    let socket = socket_in(&bed.near, (crate::bed::NEAR, 0))?;
    // What a queue holds counts as unsent.
    sockopt::set_socket_send_buffer_size_force(&socket, 64 << 20)?;
    let mut bytes = vec![0x5a; pace.size];
    let _ahead = Ahead::here();
    let start = Instant::now();
    for number in 0..pace.count {
        if number % pace.burst == 0 {
            let due = Duration::from_secs(1) * number / pace.per_second;
            wait_until(start + due);
        }
        // By turns first, so that neither always goes behind the other.
        let ports = match (pace.paired, number % 2) {
            (false, _) => [Some(THROUGH), None],
            (true, 0) => [Some(THROUGH), Some(PAST)],
            (true, _) => [Some(PAST), Some(THROUGH)],
        };
        for port in ports.into_iter().flatten() {
            let now = epoch.elapsed().as_nanos() as u64;
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            bytes[4..12].copy_from_slice(&now.to_be_bytes());
            // A refused packet is a lost one.
            let _ = socket.send_to(&bytes, (FAR, port));
        }
    }
    let join = |thread: JoinHandle<Vec<Arrival>>| {
        thread
            .join()
            .map_err(|_| "a receiver ended before its time")
    };
    Ok((Arrivals(join(through)?), Arrivals(join(past)?)))
}

fn wait_until(due: Instant) {
    while let Some(left) = due.checked_duration_since(Instant::now()) {
        crate::processes::wait(left);
    }
}

/// This thread goes ahead of everything that is not realtime, where it may: what is measured is the
/// fault, not how busy the host is.
struct Ahead {
    thread: String,
    done: bool,
}

impl Ahead {
    fn here() -> Self {
        let thread = rustix::thread::gettid().as_raw_pid().to_string();
        let done = crate::bed::run("chrt", &["--fifo", "--pid", "20", &thread]).is_ok();
        Self { thread, done }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if self.done {
            // A thread that stays ahead only spoils what is measured next.
            let _ = crate::bed::run("chrt", &["--other", "--pid", "0", &self.thread]);
        }
    }
}

fn receiver(
    bed: &Bed,
    port: u16,
    epoch: Instant,
    size: usize,
) -> Outcome<JoinHandle<Vec<Arrival>>> {
    let socket: UdpSocket = socket_in(&bed.far, (FAR, port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    sockopt::set_socket_recv_buffer_size_force(&socket, 32 << 20)?;
    Ok(std::thread::spawn(move || {
        let _ahead = Ahead::here();
        let mut arrivals = Vec::new();
        let mut bytes = [0; 2048];
        while let Ok(length) = socket.recv(&mut bytes) {
            let now = epoch.elapsed();
            let packet = bytes.get(..length).unwrap_or_default();
            if let Some(arrival) = read(packet, now, size) {
                arrivals.push(arrival);
            }
        }
        arrivals
    }))
}

fn read(packet: &[u8], now: Duration, size: usize) -> Option<Arrival> {
    let (number, rest) = packet.split_first_chunk()?;
    let (sent, filling) = rest.split_first_chunk()?;
    let sent = Duration::from_nanos(u64::from_be_bytes(*sent));
    Some(Arrival {
        number: u32::from_be_bytes(*number),
        took: now.saturating_sub(sent),
        intact: packet.len() == size && filling.iter().all(|byte| *byte == 0x5a),
    })
}
