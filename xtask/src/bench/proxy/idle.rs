//! Memory of a connection that is open and says nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::Row;
use super::stand::{Front, Kind, Server};
use crate::wait;

pub(super) const NAME: &str = "idle connections";

/// As many as there are descriptors for: a proxy has two for each, and often 20,000 in all.
const CONNECTIONS: usize = 9_000;

/// Ours beside each peer's, and beside nobody's what there is to be compared.
pub(super) fn rows(
    fronts: &[Kind],
    server: &Server,
    firedrill: &Path,
    home: &Path,
) -> anyhow::Result<Vec<Row>> {
    let mut each = Vec::new();
    for kind in fronts.iter().filter(|kind| **kind != Kind::Direct) {
        let front = Front::start(*kind, server, firedrill, home)?;
        each.push((*kind, of_each(&front)?));
    }
    let (_, ours) = each.first().copied().context("nobody to measure")?;
    let rows = each.iter().skip(1).map(|(kind, theirs)| Row {
        bench: NAME.into(),
        metric: "resident memory of each",
        value: ours,
        unit: "bytes",
        peer: kind.name(),
        peer_value: *theirs,
        ratio: ours / theirs,
    });
    Ok(rows.collect())
}

/// Bytes of each of many connections, through which one request went.
fn of_each(front: &Front) -> anyhow::Result<f64> {
    // What is there once, whoever comes.
    drop(ask(front.address)?);
    let before = front.resident()?;
    let mut open = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        open.push(ask(front.address)?);
    }
    let settled = || front.resident().is_ok_and(|now| now > before);
    wait::until(Duration::from_secs(1), settled);
    let after = front.resident()?;
    Ok(after.saturating_sub(before) as f64 / CONNECTIONS as f64)
}

fn ask(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut buffer = [0; 1024];
    let mut read = 0;
    // The head, and the 100 bytes behind it.
    while !buffer[..read].ends_with(b"xxxxxxxxxx") {
        let more = stream.read(&mut buffer[read..])?;
        anyhow::ensure!(more > 0, "the connection ended");
        read += more;
    }
    Ok(stream)
}
