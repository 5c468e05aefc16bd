//! Clients of Toxiproxy, of Kafka and of WebSockets, as their registries have them, against `firedrill proxy`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::End;
use super::proxy::Proxy;
use crate::{compat, workspace};

/// The Node client, pinned.
const NODE_CLIENT: &str = "toxiproxy-node-client@4.1.0";

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

/// confluent-kafka and kafka-python, with Tansu and librdkafka's own cluster behind the proxy.
pub(super) fn kafka() -> End {
    with_packages("kafka")
}

/// websockets, on both sides of the proxy.
pub(super) fn websocket() -> End {
    with_packages("websocket")
}

/// The script in a folder of `compat`, with the packages that it names there.
fn with_packages(name: &str) -> End {
    let Some(python) = compat::find_python() else {
        return End::Skipped("no Python 3 with venv".into());
    };
    if !python.is_new_enough() {
        return End::Skipped("Python is too old for the pinned packages".into());
    }
    let run = || {
        let scripts = workspace::root().join("compat").join(name);
        let python = compat::python_with(name, &scripts.join("requirements.txt"))?;
        let proxy = Proxy::start(&[])?;
        workspace::succeed(
            Command::new(python)
                .arg("-B")
                .arg(scripts.join("client.py"))
                .arg(proxy.port()?.to_string()),
        )
    };
    match run() {
        Ok(()) => End::Passed,
        Err(error) => End::Failed(format!("{error:#}")),
    }
}

fn all(node: bool) -> anyhow::Result<()> {
    let chaos = compat::real_tool()?;
    let python = chaos.with_file_name("python");
    let scripts = workspace::root().join("compat/toxiproxy");
    let proxy = Proxy::start(&[])?;
    let port = proxy.port()?.to_string();
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
