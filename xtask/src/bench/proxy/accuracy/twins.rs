//! Requests in pairs that leave at the same moment, one through each of two routes: an open-loop
//! sender, a server that sends back, and a receiver, all without waiting for each other.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::wait;

/// Through each route.
pub(super) const PER_SECOND: u32 = 10_000;
const SECONDS: u32 = 4;
/// Of each route; a connection has a request every 4 ms, which is a burst of its own.
const CONNECTIONS: usize = 40;
/// After the last request, this long is waited for answers.
const PATIENCE: Duration = Duration::from_secs(2);

/// The number of a pair.
const RECORD: usize = 4;

/// How much longer each request took than its twin, in microseconds.
pub(super) fn added(through: SocketAddr, past: SocketAddr) -> anyhow::Result<Vec<f64>> {
    let connect = |address| -> anyhow::Result<Vec<TcpStream>> {
        let one = |_| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        (0..CONNECTIONS).map(one).collect()
    };
    let routes = [connect(through)?, connect(past)?];
    let total = (PER_SECOND * SECONDS) as usize;
    let epoch = Instant::now();
    let receivers = routes.each_ref().map(|route| -> anyhow::Result<_> {
        let mut streams = Vec::new();
        for stream in route {
            streams.push(stream.try_clone()?);
        }
        Ok(thread::spawn(move || receive(&streams, total, epoch)))
    });
    let sent = send(routes, epoch)?;
    let mut took = Vec::new();
    for receiver in receivers {
        let arrived = receiver?.join();
        let arrived = arrived.ok().context("a receiver ended before its time")??;
        took.push(arrived);
    }
    for (name, arrived) in ["through the toxic", "past it"].iter().zip(&took) {
        all_came(arrived).with_context(|| format!("of {total} requests {name}"))?;
    }
    // The first tenth finds connections and caches cold.
    let pairs = (total / 10..total).filter_map(|number| {
        let one = |route: usize| {
            let arrived: Duration = took[route][number]?;
            Some(arrived.saturating_sub(sent[route][number]))
        };
        Some((one(0)?.as_secs_f64() - one(1)?.as_secs_f64()) * 1e6)
    });
    Ok(pairs.collect())
}

/// Which ones did not come tells a connection that stopped from an end that came too late.
fn all_came(arrived: &[Option<Duration>]) -> anyhow::Result<()> {
    const SHOWN: usize = 5;
    let missing = arrived
        .iter()
        .enumerate()
        .filter(|(_, came)| came.is_none());
    let missing: Vec<usize> = missing.map(|(number, _)| number).collect();
    let shown: Vec<String> = missing
        .iter()
        .take(SHOWN)
        .map(|number| format!("{number} on connection {}", number % CONNECTIONS))
        .collect();
    ensure!(
        missing.is_empty(),
        "{} had no answer when nothing had come for {PATIENCE:?}; the first are {}, the last is {}",
        missing.len(),
        shown.join(", "),
        missing.last().copied().unwrap_or_default()
    );
    Ok(())
}

/// When each request left, by route.
fn send(mut routes: [Vec<TcpStream>; 2], epoch: Instant) -> anyhow::Result<[Vec<Duration>; 2]> {
    let mut sent = [Vec::new(), Vec::new()];
    let start = Instant::now();
    for number in 0..PER_SECOND * SECONDS {
        let due = start + Duration::from_secs(1) * number / PER_SECOND;
        if let Some(left) = due.checked_duration_since(Instant::now()) {
            wait::pause(left);
        }
        // By turns first, so that neither always goes behind the other.
        let order = if number % 2 == 0 { [0, 1] } else { [1, 0] };
        for route in order {
            sent[route].push(epoch.elapsed());
            let stream = &mut routes[route][number as usize % CONNECTIONS];
            stream.write_all(&number.to_be_bytes())?;
        }
    }
    Ok(sent)
}

/// When the answer to each request came.
fn receive(
    streams: &[TcpStream],
    total: usize,
    epoch: Instant,
) -> anyhow::Result<Vec<Option<Duration>>> {
    let mut arrived = vec![None; total];
    let mut rests = vec![Vec::new(); streams.len()];
    let mut left = total;
    each_readable(streams, |at, bytes| {
        let now = epoch.elapsed();
        rests[at].extend_from_slice(bytes);
        let whole = rests[at].len() / RECORD * RECORD;
        for record in rests[at].drain(..whole).collect::<Vec<_>>().chunks(RECORD) {
            let number = record
                .try_into()
                .map(u32::from_be_bytes)
                .unwrap_or(u32::MAX);
            if let Some(place) = arrived.get_mut(number as usize) {
                *place = Some(now);
                left -= 1;
            }
        }
        left > 0
    })?;
    Ok(arrived)
}

/// A server that sends back what it gets.
pub(super) fn echo() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> anyhow::Result<()> {
        let mut streams = Vec::new();
        for stream in listener.incoming().take(2 * CONNECTIONS) {
            let stream = stream?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        each_readable(&streams, |at, bytes| {
            (&streams[at]).write_all(bytes).is_ok()
        })
    });
    Ok(address)
}

/// Calls with what comes on any of these, until it says that it is enough, or nothing comes.
fn each_readable(
    streams: &[TcpStream],
    mut came: impl FnMut(usize, &[u8]) -> bool,
) -> anyhow::Result<()> {
    for stream in streams {
        stream.set_nonblocking(true)?;
    }
    let limit = Timespec::try_from(PATIENCE)?;
    let mut buffer = [0; 4096];
    // One that ends, as those of the route that is done first do, is not the end of the others.
    let mut open: Vec<usize> = (0..streams.len()).collect();
    while !open.is_empty() {
        let mut all: Vec<_> = open
            .iter()
            .map(|at| PollFd::new(&streams[*at], PollFlags::IN))
            .collect();
        if poll(&mut all, Some(&limit))? == 0 {
            return Ok(());
        }
        let ready = all.iter().zip(&open);
        let ready = ready.filter(|(one, _)| !one.revents().is_empty());
        let ready: Vec<usize> = ready.map(|(_, at)| *at).collect();
        for at in ready {
            match (&streams[at]).read(&mut buffer) {
                Ok(0) => open.retain(|one| *one != at),
                Ok(length) if came(at, &buffer[..length]) => {}
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
