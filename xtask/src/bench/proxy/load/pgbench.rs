//! PostgreSQL, by pgbench.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::super::stand::database::{DATABASE, USER, program};
use super::{Done, said};

pub(super) fn run(address: SocketAddr, connections: u32, seconds: u64) -> anyhow::Result<Done> {
    // Of percentiles it says nothing, but it tells every transaction.
    let log = tempfile::tempdir()?;
    let pgbench = program("pgbench")?;
    let text = said(pgbench, |pgbench| {
        pgbench
            .args(["--no-vacuum", "--select-only", "--protocol=prepared"])
            .args(["--host", &address.ip().to_string()])
            .args(["--port", &address.port().to_string()])
            .args(["--client", &connections.to_string()])
            .args(["--time", &seconds.to_string()])
            .args(["--username", USER, "--log"])
            .arg(format!("--log-prefix={}/log", log.path().display()))
            .arg(DATABASE);
    })?;
    let done = done(&text, &transactions(log.path())?);
    done.with_context(|| format!("pgbench said: {text}"))
}

fn transactions(home: &Path) -> anyhow::Result<String> {
    let file = std::fs::read_dir(home)?.next().context("no log")??;
    Ok(std::fs::read_to_string(file.path())?)
}

/// From its summary, and from its log: the client, the transaction, and how many microseconds it
/// took, a line each.
fn done(summary: &str, log: &str) -> anyhow::Result<Done> {
    let after = |name| {
        summary
            .lines()
            .find_map(|line: &str| line.strip_prefix(name))
    };
    let failed = after("number of failed transactions: ").context("nothing about failures")?;
    ensure!(failed.starts_with("0 "), "transactions failed");
    let rate = after("tps = ").context("no rate")?;
    let rate: f64 = rate.split(' ').next().unwrap_or_default().parse()?;
    let took = log.lines().map(|line| {
        let field = line.split(' ').nth(2).context("no time in the log")?;
        Ok(field.parse::<u64>()?)
    });
    let mut took: Vec<u64> = took.collect::<anyhow::Result<_>>()?;
    ensure!(!took.is_empty(), "no transaction was done");
    took.sort_unstable();
    let percentile = |percent| Duration::from_micros(took[(took.len() - 1) * percent / 100]);
    Ok(Done {
        requests: took.len() as f64,
        bytes: 0.0,
        seconds: took.len() as f64 / rate,
        p50: percentile(50),
        p99: percentile(99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "\
number of transactions actually processed: 3
number of failed transactions: 0 (0.000%)
latency average = 0.2 ms
tps = 1.500000 (without initial connection time)
";

    #[test]
    fn percentiles_are_those_of_the_log() {
        let log = "0 1 300 0 1795445031 62577\n1 1 100 0 1795445031 62577\n0 2 200 0 1 2\n";
        let done = done(SUMMARY, log).unwrap();
        assert_eq!((done.requests, done.seconds), (3.0, 2.0));
        assert_eq!(done.p50, Duration::from_micros(200));
    }

    #[test]
    fn a_transaction_that_failed_spoils_all() {
        let log = "0 1 300 0 1795445031 62577\n";
        assert!(done(SUMMARY, log).is_ok());
        assert!(done(&SUMMARY.replace(": 0 (", ": 1 ("), log).is_err());
        assert!(done(SUMMARY, "").is_err());
    }
}
