//! Requests that a share of gets another answer, and whether it is the same ones again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::interval::binomial;
use super::{NAME, PATIENCE};
use crate::bench::proxy::Row;
use crate::bench::proxy::stand::{Protocol, Stand};

/// Requests whose answers are drawn.
const DRAWN: usize = 20_000;

/// Requests that leave together: one by one they would take as long as 20,000 ways there and back.
const TOGETHER: usize = 50;

/// What came of a share that was asked for, twice with one seed.
#[derive(Debug)]
pub(super) struct Share {
    asked: f64,
    hits: usize,
    /// Requests that were decided alike both times.
    alike: usize,
    /// The least and the most of hits that chance explains.
    interval: (usize, usize),
}

/// Both times a proxy of its own, which knows nothing of the other but the seed.
pub(super) fn share(stand: &Stand, asked: f64, error: f64) -> anyhow::Result<Share> {
    let once = || -> anyhow::Result<Vec<bool>> {
        let ours = stand.ours(&[stand.address(Protocol::Http)?], Protocol::Http)?;
        ours.add_toxic(&json!({ "type": "http_abort", "toxicity": asked }))?;
        aborted(ours.routes[0])
    };
    let (first, again) = (once()?, once()?);
    Ok(Share {
        asked,
        hits: first.iter().filter(|hit| **hit).count(),
        alike: first.iter().zip(&again).filter(|(a, b)| a == b).count(),
        interval: binomial(DRAWN, asked, error),
    })
}

impl Share {
    pub(super) fn rows(&self) -> [Row; 4] {
        let bench = format!(
            "{NAME} of a share of {} %, {DRAWN} requests",
            self.asked * 100.0
        );
        let row = |metric, value: f64, peer: &str, peer_value: f64| Row {
            bench: bench.clone(),
            metric,
            value,
            unit: "requests",
            peer: peer.into(),
            peer_value,
            ratio: Some(value / peer_value),
        };
        let hits = self.hits as f64;
        let (least, most) = self.interval;
        [
            row("hit", hits, "asked", self.asked * DRAWN as f64),
            row("hit", hits, "at least by chance", least as f64),
            row("hit", hits, "at most by chance", most as f64),
            row(
                "decided alike with the same seed",
                self.alike as f64,
                "asked",
                DRAWN as f64,
            ),
        ]
    }

    /// What was not as asked.
    pub(super) fn wrong(&self) -> Vec<String> {
        let Self {
            asked,
            hits,
            alike,
            interval: (least, most),
        } = self;
        let mut wrong = Vec::new();
        if hits < least || hits > most {
            wrong.push(format!(
                "{hits} of {DRAWN} requests were hit, and not {least} to {most}, where {asked} was asked"
            ));
        }
        if *alike != DRAWN {
            wrong.push(format!(
                "only {alike} of {DRAWN} decisions were the same again with the same seed"
            ));
        }
        wrong
    }
}

/// Which of many requests on one connection got another answer.
fn aborted(address: SocketAddr) -> anyhow::Result<Vec<bool>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut all = Vec::with_capacity(DRAWN);
    while all.len() < DRAWN {
        writer.write_all(&b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n".repeat(TOGETHER))?;
        for _ in 0..TOGETHER {
            let number = all.len();
            let status = answer(&mut reader).with_context(|| format!("request {number}"))?;
            all.push(match status.as_str() {
                "503" => true,
                "200" => false,
                other => bail!("request {number} got status {other}"),
            });
        }
    }
    Ok(all)
}

/// The status of one answer, which is read to its end.
fn answer(reader: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let line = line(reader)?;
    let status = line.split(' ').nth(1).context("no status")?.to_owned();
    let mut length = 0;
    loop {
        let header = self::line(reader)?;
        if header == "\r\n" {
            break;
        }
        let lower = header.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    Ok(status)
}

fn line(reader: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    let length = reader.read_line(&mut line)?;
    anyhow::ensure!(length > 0, "the connection ended");
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_outside_of_its_interval_and_another_decision_are_wrong() {
        let share = |hits, alike| Share {
            asked: 0.5,
            hits,
            alike,
            interval: (9_600, 10_400),
        };
        assert!(share(9_600, DRAWN).wrong().is_empty());
        assert!(share(10_400, DRAWN).wrong().is_empty());
        assert_eq!(share(9_599, DRAWN).wrong().len(), 1);
        assert_eq!(share(10_401, DRAWN - 1).wrong().len(), 2);
    }
}
