//! `firedrill proxy`, as a process of its own.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use serde_json::Value;

use crate::workspace;

/// The proxy's process; it ends with this.
pub(super) struct Proxy {
    process: Child,
    /// What it said when it ran.
    pub(super) told: Value,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Proxy {
    /// A proxy with these words behind those that give its interface a port.
    pub(super) fn start(words: &[&OsStr]) -> anyhow::Result<Self> {
        let build = ["build", "--quiet", "--package", "firedrill"];
        workspace::succeed(&mut workspace::cargo(build))?;
        let mut process = Command::new(workspace::target().join("debug/firedrill"))
            .args(["proxy", "--api", "127.0.0.1:0", "--output", "json"])
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the proxy")?;
        let out = process.stdout.take().context("no standard output")?;
        let mut text = String::new();
        // One JSON document, over as many lines as it likes; then the proxy runs on.
        for line in BufReader::new(out).lines() {
            text += &line?;
            if let Ok(told) = serde_json::from_str(&text) {
                return Ok(Self { process, told });
            }
        }
        let _gone = process.kill();
        anyhow::bail!("the proxy did not say where it listens: {text}")
    }

    /// The port of its interface.
    pub(super) fn port(&self) -> anyhow::Result<u16> {
        let address = self.told["api"].as_str().unwrap_or_default();
        Ok(address.rsplit_once(':').context("no address")?.1.parse()?)
    }

    /// Where one of its proxies listens.
    pub(super) fn address(&self, name: &str) -> anyhow::Result<String> {
        let proxies = self.told["proxies"].as_array();
        let proxy = proxies.into_iter().flatten().find(|p| p["name"] == name);
        let address = proxy.and_then(|proxy| proxy["listen"].as_str());
        Ok(address.with_context(|| format!("no proxy {name}"))?.into())
    }
}
