//! The load: wrk, and what it tells.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

/// The processor of the load and of the server.
pub(super) const PROCESSOR: &str = "1";

#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) connections: u32,
    pub(super) path: &'static str,
    /// Whether a connection has many requests, or one.
    pub(super) keep: bool,
}

#[derive(Debug)]
pub(super) struct Done {
    pub(super) requests: f64,
    pub(super) bytes: f64,
    pub(super) seconds: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

/// Figures as wrk's `done` hook gives them: a line of our own, without units to be parsed.
const SCRIPT: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write
               + summary.errors.status + summary.errors.timeout
  io.write(string.format("figures %d %d %d %d %d %d\n", summary.requests, summary.bytes,
    summary.duration, latency:percentile(50), latency:percentile(99), errors))
end
"#;

pub(super) fn run(address: SocketAddr, load: Load, seconds: u64) -> anyhow::Result<Done> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), SCRIPT)?;
    let output = Command::new("taskset")
        .args(["-c", PROCESSOR, "wrk", "--threads", "1", "--connections"])
        .arg(load.connections.to_string())
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(script.path())
        .args([
            "--header",
            if load.keep {
                "X: y"
            } else {
                "Connection: close"
            },
        ])
        .arg(format!("http://{address}{}", load.path))
        .output()
        .context("cannot start wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
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
