//! HTTP/2, by h2load.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::{Done, said};

pub(super) fn run(
    address: SocketAddr,
    connections: u32,
    streams: u32,
    seconds: u64,
) -> anyhow::Result<Done> {
    // It tells no percentiles, but every request.
    let log = tempfile::NamedTempFile::new()?;
    let text = said("h2load", |h2load| {
        h2load
            .args(["--threads", "1", "--clients", &connections.to_string()])
            .args(["--max-concurrent-streams", &streams.to_string()])
            .args(["--duration", &seconds.to_string()])
            .arg(format!("--log-file={}", log.path().display()))
            .arg(format!("http://{address}/small"));
    })?;
    let requests = std::fs::read_to_string(log.path())?;
    let done = done(&text, &requests, seconds);
    done.with_context(|| format!("h2load said: {text}"))
}

/// From its summary, and from its log: when a request began, its status, and how many microseconds
/// it took, a line each.
fn done(summary: &str, log: &str, seconds: u64) -> anyhow::Result<Done> {
    let ended = summary
        .lines()
        .find(|line| line.starts_with("requests: "))
        .context("no line about requests")?;
    for none in [" 0 failed", " 0 errored", " 0 timeout"] {
        ensure!(ended.contains(none), "requests failed");
    }
    let traffic = summary
        .lines()
        .find(|line| line.starts_with("traffic: "))
        .and_then(|line| line.split(['(', ')']).nth(1));
    let bytes = traffic.context("no traffic")?.parse()?;
    let mut took = Vec::new();
    for line in log.lines() {
        let mut fields = line.split('\t').skip(1);
        let status = fields.next().context("no status in the log")?;
        ensure!(status == "200", "a request got status {status}");
        let microseconds: u64 = fields.next().context("no time in the log")?.parse()?;
        took.push(microseconds);
    }
    ensure!(!took.is_empty(), "no request was answered");
    took.sort_unstable();
    let percentile = |percent| Duration::from_micros(took[(took.len() - 1) * percent / 100]);
    Ok(Done {
        requests: took.len() as f64,
        bytes,
        seconds: seconds as f64,
        p50: percentile(50),
        p99: percentile(99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "\
finished in 2.01s, 1.50 req/s, 2.16MB/s
requests: 3 total, 4 started, 3 done, 3 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 3 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 4.32MB (4529764) total, 2.07MB (2174332) headers (space savings 38.42%), 1.90MB data
";

    #[test]
    fn percentiles_are_those_of_the_log() {
        let log = "1795445031062577\t200\t300\n1795445031062572\t200\t100\n1\t200\t200\n";
        let done = done(SUMMARY, log, 2).unwrap();
        assert_eq!((done.requests, done.seconds), (3.0, 2.0));
        assert_eq!(done.bytes, 4_529_764.0);
        assert_eq!(done.p50, Duration::from_micros(200));
    }

    #[test]
    fn a_request_that_failed_spoils_all() {
        let answered = "1\t200\t300\n";
        let errored = SUMMARY.replace("0 errored", "10 errored");
        assert!(done(&errored, answered, 2).is_err());
        assert!(done(SUMMARY, "1\t502\t300\n", 2).is_err());
        assert!(done(SUMMARY, "", 2).is_err());
        assert!(done(SUMMARY, answered, 2).is_ok());
    }
}
