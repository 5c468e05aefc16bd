//! HTTP/1.1, by wrk.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::{Done, said};

/// Figures as wrk's `done` hook gives them: a line of our own, without units to be parsed.
const SCRIPT: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write
               + summary.errors.status + summary.errors.timeout
  io.write(string.format("figures %d %d %d %d %d %d\n", summary.requests, summary.bytes,
    summary.duration, latency:percentile(50), latency:percentile(99), errors))
end
"#;

pub(super) fn run(
    address: SocketAddr,
    connections: u32,
    path: &str,
    keep: bool,
    seconds: u64,
) -> anyhow::Result<Done> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), SCRIPT)?;
    let header = if keep { "X: y" } else { "Connection: close" };
    let text = said("wrk", |wrk| {
        wrk.args(["--threads", "1", "--connections"])
            .arg(connections.to_string())
            .args(["--duration", &format!("{seconds}s"), "--script"])
            .arg(script.path())
            .args(["--header", header])
            .arg(format!("http://{address}{path}"));
    })?;
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let figures = line.with_context(|| format!("no figures from wrk: {text}"))?;
    let figures: Result<Vec<f64>, _> = figures.split(' ').map(str::parse).collect();
    let figures = figures.context("figures that are no numbers")?;
    let [requests, bytes, microseconds, p50, p99, errors] = figures[..] else {
        anyhow::bail!("not six figures: {text}");
    };
    ensure!(errors == 0.0, "{errors} requests failed: {text}");
    ensure!(requests > 0.0, "no request was answered: {text}");
    Ok(Done {
        requests,
        bytes,
        seconds: microseconds / 1e6,
        p50: Duration::from_micros(p50 as u64),
        p99: Duration::from_micros(p99 as u64),
    })
}
