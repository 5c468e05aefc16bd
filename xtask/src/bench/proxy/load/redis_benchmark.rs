//! Redis, by redis-benchmark.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::{Done, said};

/// Commands of a second; it is told how many, not how long.
const PER_SECOND: u64 = 25_000;

pub(super) fn run(address: SocketAddr, connections: u32, seconds: u64) -> anyhow::Result<Done> {
    let commands = seconds * PER_SECOND;
    let text = said("redis-benchmark", |benchmark| {
        benchmark
            .args(["-t", "set", "-d", "100", "--csv", "--precision", "3"])
            .args(["-h", &address.ip().to_string()])
            .args(["-p", &address.port().to_string()])
            .args(["-c", &connections.to_string()])
            .args(["-n", &commands.to_string()]);
    })?;
    done(&text, commands).with_context(|| format!("redis-benchmark said: {text}"))
}

/// From its table: the command, how many of it in a second, and milliseconds: mean, least, p50, p95,
/// p99, most. A command that got an error ends it early.
fn done(text: &str, commands: u64) -> anyhow::Result<Done> {
    let line = text.lines().find_map(|line| line.strip_prefix("\"SET\","));
    let fields = line.context("no line about SET")?.split(',');
    let fields: Result<Vec<f64>, _> = fields
        .map(|field| field.trim_matches('"').parse())
        .collect();
    let [per_second, _, _, p50, _, p99, _] = fields?[..] else {
        anyhow::bail!("not seven figures");
    };
    ensure!(per_second > 0.0, "nothing was answered");
    let commands = commands as f64;
    Ok(Done {
        requests: commands,
        bytes: 0.0,
        seconds: commands / per_second,
        p50: Duration::from_secs_f64(p50 / 1e3),
        p99: Duration::from_secs_f64(p99 / 1e3),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_its_table() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\"\n\
                    \"SET\",\"50000.00\",\"0.5\",\"0.1\",\"0.447\",\"0.6\",\"0.815\",\"1.4\"\n";
        let done = super::done(text, 100_000).unwrap();
        assert_eq!((done.requests, done.seconds), (100_000.0, 2.0));
        assert_eq!(done.p50, Duration::from_micros(447));
        assert_eq!(done.p99, Duration::from_micros(815));
        assert!(super::done("Error from server: LOADING", 1).is_err());
    }
}
