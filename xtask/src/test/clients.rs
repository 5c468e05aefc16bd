//! Toxiproxy's clients, as their registries have them, against `firedrill proxy`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::End;
use crate::{compat, workspace};

/// The Node client, pinned.
const NODE_CLIENT: &str = "toxiproxy-node-client@4.1.0";

/// The proxy's process; it ends with this.
struct Proxy {
    process: Child,
    port: u16,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// toxiproxy-python, chaostoolkit-toxiproxy and toxiproxy-node-client.
pub(super) fn toxiproxy() -> End {
    let Some(python) = compat::find_python() else {
        return End::Skipped("no Python 3 with venv".into());
    };
    if !python.is_new_enough() {
        return End::Skipped("Python is too old for the pinned Chaos Toolkit".into());
    }
    let node = workspace::output(Command::new("npm").arg("--version")).is_some();
    match all(node) {
        Ok(()) if node => End::Passed,
        Ok(()) => End::Skipped("no npm for the Node client; the Python clients passed".into()),
        Err(error) => End::Failed(format!("{error:#}")),
    }
}

fn all(node: bool) -> anyhow::Result<()> {
    let chaos = compat::real_tool()?;
    let python = chaos.with_file_name("python");
    let scripts = workspace::root().join("compat/toxiproxy");
    let proxy = Proxy::start()?;
    let port = proxy.port.to_string();
    workspace::succeed(
        Command::new(python)
            .arg("-B")
            .arg(scripts.join("client.py"))
            .arg(&port),
    )?;
    experiment(&chaos, &scripts, &port)?;
    if node {
        workspace::succeed(
            Command::new("node")
                .arg(scripts.join("client.js"))
                .arg(node_client()?)
                .arg(&port),
        )?;
    }
    Ok(())
}

impl Proxy {
    fn start() -> anyhow::Result<Self> {
        let build = ["build", "--quiet", "--package", "firedrill"];
        workspace::succeed(&mut workspace::cargo(build))?;
        let words = ["proxy", "--api", "127.0.0.1:0", "--output", "json"];
        let mut process = Command::new(workspace::target().join("debug/firedrill"))
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the proxy")?;
        let out = process.stdout.take().context("no standard output")?;
        let mut text = String::new();
        // One JSON document, over as many lines as it likes; then the proxy runs on.
        for line in BufReader::new(out).lines() {
            text += &line?;
            if let Ok(told) = serde_json::from_str::<Value>(&text) {
                let address = told["api"].as_str().unwrap_or_default();
                let port = address.rsplit_once(':').context("no address")?.1.parse()?;
                return Ok(Self { process, port });
            }
        }
        let _gone = process.kill();
        anyhow::bail!("the proxy did not say where it listens: {text}")
    }
}

/// Chaos Toolkit itself, through its extension: every step has to do what it says.
fn experiment(chaos: &Path, scripts: &Path, port: &str) -> anyhow::Result<()> {
    let home = workspace::target().join("compat/toxiproxy");
    std::fs::create_dir_all(&home)?;
    let output = Command::new(chaos)
        .args(["--no-version-check", "--no-log-file", "run"])
        .arg(scripts.join("experiment.json"))
        .env("TOXIPROXY_URL", format!("http://127.0.0.1:{port}"))
        .current_dir(&home)
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let journal =
        std::fs::read(home.join("journal.json")).with_context(|| format!("no journal: {told}"))?;
    let journal: Value = serde_json::from_slice(&journal)?;
    ensure!(journal["status"] == "completed", "not completed: {told}");
    let run = journal["run"].as_array().context("no run")?;
    ensure!(run.len() == 8, "{} steps of 8 were run: {told}", run.len());
    for step in run {
        // The extension answers false where the interface did not do it.
        let done = step["status"] == "succeeded" && step["output"] != false;
        ensure!(done, "a step failed: {step}");
    }
    Ok(())
}

/// The folder of the Node client's package.
fn node_client() -> anyhow::Result<std::path::PathBuf> {
    let home = workspace::target().join("compat/node");
    std::fs::create_dir_all(&home)?;
    let install = ["install", "--silent", "--no-fund", "--no-audit", "--prefix"];
    workspace::succeed(
        Command::new("npm")
            .args(install)
            .arg(&home)
            .arg(NODE_CLIENT),
    )?;
    Ok(home.join("node_modules/toxiproxy-node-client"))
}
