//! What a toxic was asked for, beside what came: delays over twins that pass without a toxic, rates,
//! and shares with their interval.

mod twins;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::Row;
use super::stand::{Ours, Server};

pub(super) const NAME: &str = "accuracy";

/// Requests whose answers are drawn.
const DRAWN: usize = 20_000;

/// Deviations of a normal distribution outside of which one in a million lies, shared by all rows.
const FAMILY: f64 = 5.2;

pub(super) fn rows(firedrill: &Path, server: &Server) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for ms in [1, 20, 100] {
        rows.extend(delay(firedrill, ms)?);
    }
    for kilobytes in [1_000, 20_000] {
        rows.push(rate(firedrill, kilobytes)?);
    }
    for share in [0.01, 0.1, 0.5] {
        rows.push(drawn(firedrill, server, share)?);
    }
    Ok(rows)
}

fn row(bench: String, metric: &'static str, unit: &'static str, had: f64, asked: f64) -> Row {
    Row {
        bench,
        metric,
        value: had,
        unit,
        peer: "asked",
        peer_value: asked,
        ratio: had / asked,
    }
}

/// 10,000 requests a second through a toxic, and as many beside them through none.
fn delay(firedrill: &Path, ms: u64) -> anyhow::Result<Vec<Row>> {
    let echo = twins::echo()?;
    let ours = Ours::start(firedrill, &[echo, echo], "tcp")?;
    ours.add_toxic(
        0,
        &json!({ "type": "latency", "attributes": { "latency": ms } }),
    )?;
    let mut added = twins::added(ours.routes[0], ours.routes[1])?;
    added.sort_by(f64::total_cmp);
    let mean = added.iter().sum::<f64>() / added.len() as f64;
    let p99 = added[added.len() * 99 / 100];
    let asked = ms as f64 * 1e3;
    let bench = format!(
        "{NAME} of a delay of {ms} ms, {} requests/s",
        twins::PER_SECOND
    );
    Ok(vec![
        row(bench.clone(), "mean added", "µs", mean, asked),
        row(bench, "p99 added", "µs", p99, asked),
    ])
}

/// Bytes a second of a server that sends as fast as it can.
fn rate(firedrill: &Path, kilobytes: u64) -> anyhow::Result<Row> {
    const WARM: Duration = Duration::from_millis(500);
    const TIME: Duration = Duration::from_secs(3);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let source = listener.local_addr()?;
    thread::spawn(move || {
        let block = [0x5a; 64 << 10];
        while let Ok((mut stream, _)) = listener.accept() {
            while stream.write_all(&block).is_ok() {}
        }
    });
    let ours = Ours::start(firedrill, &[source], "tcp")?;
    let toxic = json!({ "type": "bandwidth", "attributes": { "rate": kilobytes } });
    ours.add_toxic(0, &toxic)?;
    let mut stream = TcpStream::connect(ours.routes[0])?;
    let mut buffer = vec![0; 1 << 20];
    let mut read_for = |time: Duration| -> std::io::Result<f64> {
        let (begin, mut bytes) = (Instant::now(), 0);
        while begin.elapsed() < time {
            bytes += stream.read(&mut buffer)?;
        }
        Ok(bytes as f64 / begin.elapsed().as_secs_f64())
    };
    read_for(WARM)?;
    let had = read_for(TIME)?;
    let asked = kilobytes as f64 * 1e3;
    let bench = format!("{NAME} of a rate of {kilobytes} KB/s");
    Ok(row(bench, "bytes a second", "B/s", had, asked))
}

/// The share of requests that are answered by a toxic: within its interval, and the same again.
fn drawn(firedrill: &Path, server: &Server, share: f64) -> anyhow::Result<Row> {
    let once = || -> anyhow::Result<Vec<bool>> {
        let ours = Ours::start(firedrill, &[server.address], "http")?;
        ours.add_toxic(0, &json!({ "type": "http_abort", "toxicity": share }))?;
        aborted(ours.routes[0])
    };
    let first = once()?;
    ensure!(first == once()?, "the same seed gave other decisions");
    let had = first.iter().filter(|hit| **hit).count() as f64 / DRAWN as f64;
    let deviation = (share * (1.0 - share) / DRAWN as f64).sqrt();
    let away = (had - share).abs() / deviation;
    ensure!(
        away < FAMILY,
        "{had} of {share} is {away:.1} deviations away"
    );
    let bench = format!(
        "{NAME} of a share of {} %, {DRAWN} requests, twice alike",
        share * 100.0
    );
    Ok(row(
        bench,
        "share of requests",
        "%",
        had * 100.0,
        share * 100.0,
    ))
}

/// Which of many requests on one connection got another answer.
fn aborted(address: SocketAddr) -> anyhow::Result<Vec<bool>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut all = Vec::with_capacity(DRAWN);
    for _ in 0..DRAWN {
        writer.write_all(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("no status")?.to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header == "\r\n" {
                break;
            }
            let lower = header.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        all.push(status == "503");
    }
    Ok(all)
}

impl Ours {
    /// Puts a toxic on the route of this number.
    fn add_toxic(&self, route: usize, toxic: &Value) -> anyhow::Result<()> {
        let body = toxic.to_string();
        let mut stream = TcpStream::connect(self.api)?;
        write!(
            stream,
            "POST /proxies/route{route}/toxics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
    }
}
