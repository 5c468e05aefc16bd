//! Memory of a connection that is open and says nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::stand::{Front, Protocol, Stand, Who};
use super::{Row, median};
use crate::wait;

pub(super) const NAME: &str = "idle connections";

/// Connections that are made together: one by one they would take as long as all ways there and back.
const TOGETHER: u64 = 100;

/// Ours beside each peer's: the medians of the rounds, and of their ratios.
pub(super) fn rows(fronts: &[Who], stand: &Stand, rounds: usize) -> anyhow::Result<Vec<Row>> {
    let proxies: Vec<Who> = fronts
        .iter()
        .copied()
        .filter(|who| *who != Who::Direct)
        .collect();
    let mut each = vec![Vec::new(); proxies.len()];
    for _ in 0..rounds {
        for (who, each) in proxies.iter().zip(&mut each) {
            let front = stand.front(*who, Protocol::Tcp)?;
            let bytes = of_each(&front, stand.connections);
            each.push(bytes.with_context(|| format!("{NAME} of {who}"))?);
        }
    }
    let ours = &each[0];
    let rows = proxies.iter().zip(&each).skip(1).map(|(who, theirs)| Row {
        bench: format!("{NAME}, {} of them", stand.connections),
        metric: "resident memory of each",
        value: median(ours.iter().copied()),
        unit: "bytes",
        peer: who.to_string(),
        peer_value: median(theirs.iter().copied()),
        ratio: Some(median(ours.iter().zip(theirs).map(|(o, t)| o / t))),
    });
    Ok(rows.collect())
}

/// Bytes of each of many connections, through which one request went.
fn of_each(front: &Front, connections: u64) -> anyhow::Result<f64> {
    // What is there once, whoever comes.
    drop(ask(front.address, 1)?);
    let before = settled(front)?;
    let mut open = Vec::new();
    while (open.len() as u64) < connections {
        let left = connections - open.len() as u64;
        open.extend(ask(front.address, left.min(TOGETHER))?);
    }
    let after = settled(front)?;
    Ok(after.saturating_sub(before) as f64 / connections as f64)
}

/// The resident memory, once it stays the same for a while.
fn settled(front: &Front) -> anyhow::Result<u64> {
    const WHILE: Duration = Duration::from_millis(300);
    const LOOKS: usize = 20;
    let mut last = front.resident()?;
    for _ in 0..LOOKS {
        wait::pause(WHILE);
        let now = front.resident()?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

/// So many new connections, each with a request that was answered.
fn ask(address: SocketAddr, connections: u64) -> anyhow::Result<Vec<TcpStream>> {
    let connect = |_| -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")?;
        Ok(stream)
    };
    let mut streams: Vec<_> = (0..connections).map(connect).collect::<Result<_, _>>()?;
    for stream in &mut streams {
        await_answer(stream)?;
    }
    Ok(streams)
}

fn await_answer(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut buffer = [0; 1024];
    let mut read = 0;
    // The head, and the 100 bytes behind it.
    while !buffer[..read].ends_with(b"xxxxxxxxxx") {
        let more = stream.read(&mut buffer[read..])?;
        ensure!(more > 0, "the connection ended");
        read += more;
    }
    Ok(())
}
