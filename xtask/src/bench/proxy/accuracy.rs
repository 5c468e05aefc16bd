//! What a toxic was asked for, beside what came: delays over twins that pass without a toxic, rates,
//! and shares with their interval.

mod drawn;
mod interval;
mod twins;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use super::Row;
use super::stand::{Ours, Protocol, Stand};

pub(super) const NAME: &str = "accuracy";

/// Whoever says nothing for so long says nothing any more.
const PATIENCE: Duration = Duration::from_secs(10);

const SHARES: [f64; 3] = [0.01, 0.1, 0.5];

/// Of all shares together, how likely one is outside of its interval by chance.
const ERROR_OF_THE_FAMILY: f64 = 1e-6;

/// Shows each row when it is had, and fails after the last if a share was not as asked.
pub(super) fn run(
    stand: &Stand,
    show: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for ms in [1, 20, 100] {
        for row in delay(stand, ms)? {
            show(&row)?;
        }
    }
    for kilobytes in [1_000, 20_000] {
        show(&rate(stand, kilobytes)?)?;
    }
    let mut wrong = Vec::new();
    for share in SHARES {
        let error = ERROR_OF_THE_FAMILY / SHARES.len() as f64;
        let share = drawn::share(stand, share, error)?;
        for row in share.rows() {
            show(&row)?;
        }
        wrong.extend(share.wrong());
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

fn row(bench: String, metric: &'static str, unit: &'static str, had: f64, asked: f64) -> Row {
    Row {
        bench,
        metric,
        value: had,
        unit,
        peer: "asked".into(),
        peer_value: asked,
        ratio: Some(had / asked),
    }
}

/// 10,000 requests a second through a toxic, and as many beside them through none.
fn delay(stand: &Stand, ms: u64) -> anyhow::Result<[Row; 2]> {
    let echo = twins::echo()?;
    let ours = stand.ours(&[echo, echo], Protocol::Tcp)?;
    ours.add_toxic(&json!({ "type": "latency", "attributes": { "latency": ms } }))?;
    let mut added = twins::added(ours.routes[0], ours.routes[1])?;
    added.sort_by(f64::total_cmp);
    let mean = added.iter().sum::<f64>() / added.len() as f64;
    let p99 = added[added.len() * 99 / 100];
    let asked = ms as f64 * 1e3;
    let bench = format!(
        "{NAME} of a delay of {ms} ms, {} requests/s",
        twins::PER_SECOND
    );
    Ok([
        row(bench.clone(), "mean added", "µs", mean, asked),
        row(bench, "p99 added", "µs", p99, asked),
    ])
}

/// Bytes a second of a server that sends as fast as it can.
fn rate(stand: &Stand, kilobytes: u64) -> anyhow::Result<Row> {
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
    let ours = stand.ours(&[source], Protocol::Tcp)?;
    ours.add_toxic(&json!({ "type": "bandwidth", "attributes": { "rate": kilobytes } }))?;
    let mut stream = TcpStream::connect(ours.routes[0])?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = vec![0; 1 << 20];
    let mut read_for = |time: Duration| -> anyhow::Result<f64> {
        let (begin, mut bytes) = (Instant::now(), 0);
        while begin.elapsed() < time {
            let more = stream.read(&mut buffer)?;
            ensure!(more > 0, "the connection ended after {bytes} bytes");
            bytes += more;
        }
        Ok(bytes as f64 / begin.elapsed().as_secs_f64())
    };
    read_for(WARM)?;
    let had = read_for(TIME)?;
    let asked = kilobytes as f64 * 1e3;
    let bench = format!("{NAME} of a rate of {kilobytes} KB/s");
    Ok(row(bench, "bytes a second", "B/s", had, asked))
}

impl Ours {
    /// Puts a toxic on the first route.
    fn add_toxic(&self, toxic: &Value) -> anyhow::Result<()> {
        let body = toxic.to_string();
        let mut stream = TcpStream::connect(self.api)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "POST /proxies/route0/toxics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
    }
}
