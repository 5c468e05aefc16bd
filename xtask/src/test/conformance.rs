//! A conformance suite for HTTP/2 (httpwg, from its registry) against a server by itself, and against
//! `firedrill proxy` before it: what passes without the proxy has to pass through it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use super::End;
use super::packages::is_program;
use super::proxy::Proxy;
use crate::{wait, workspace};

/// The suite, pinned.
const SUITE: [&str; 3] = ["httpwg-cli", "--version", "0.2.5"];

/// Tests that this server passes: with fewer, little would be compared.
const PASSED_LEAST: usize = 100;

/// Milliseconds that the suite waits for an answer: at first, and for what did not pass at first.
const PATIENCE: [&str; 2] = ["250", "5000"];

/// The server's process; it ends with this.
struct Server {
    process: Child,
    address: SocketAddr,
    _files: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

pub(super) fn http2() -> End {
    if !is_program("nghttpd") {
        return End::Skipped("no nghttpd".into());
    }
    let suite = match installed() {
        Ok(suite) => suite,
        Err(error) => return End::Failed(format!("{error:#}")),
    };
    match compared(&suite) {
        Ok(()) => End::Passed,
        Err(error) => End::Failed(format!("{error:#}")),
    }
}

fn installed() -> anyhow::Result<PathBuf> {
    let home = workspace::target().join("compat/httpwg");
    let suite = home.join("bin/httpwg");
    if !suite.exists() {
        let mut install = workspace::cargo(["install", "--quiet", "--debug", "--locked"]);
        install.args(SUITE).arg("--root").arg(&home);
        workspace::succeed(install.env("CARGO_TARGET_DIR", home.join("build")))?;
        std::fs::remove_dir_all(home.join("build"))?;
    }
    Ok(suite)
}

fn compared(suite: &Path) -> anyhow::Result<()> {
    let server = Server::start()?;
    let direct = run(suite, &server.address.to_string(), None)?;
    println!("directly: {} pass", direct.len());
    let enough = direct.len() >= PASSED_LEAST;
    ensure!(enough, "{PASSED_LEAST} of them were expected");
    let proxies = tempfile::NamedTempFile::new()?;
    let header = |stream: &str| {
        let attributes = json!({ "change": "set", "name": "x-drill", "value": "1" });
        json!({ "type": "http_header", "stream": stream, "attributes": attributes })
    };
    let proxy = |name: &str, toxics| {
        json!({
            "name": name, "listen": "127.0.0.1:0", "upstream": server.address.to_string(),
            "protocol": "http2", "toxics": toxics,
        })
    };
    let changed = [header("upstream"), header("downstream")];
    let all = json!([proxy("plain", json!([])), proxy("changed", json!(changed))]);
    std::fs::write(proxies.path(), all.to_string())?;
    let proxy = Proxy::start(&["--config".as_ref(), proxies.path().as_os_str()])?;
    for name in ["plain", "changed"] {
        let address = proxy.address(name)?;
        let through = run(suite, &address, None)?;
        println!("through {name}: {} pass", through.len());
        for test in direct.difference(&through) {
            // A busy host is late; a proxy that breaks the protocol is wrong again.
            let again = run(suite, &address, Some(test))?;
            let passes = again.contains(test);
            ensure!(passes, "directly, and not through {name}: {test}");
        }
    }
    Ok(())
}

impl Server {
    /// A server of one small page, without TLS.
    fn start() -> anyhow::Result<Self> {
        let files = tempfile::tempdir()?;
        std::fs::write(files.path().join("index.html"), "hello\n")?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let process = Command::new("nghttpd")
            .args(["--no-tls", "--address=127.0.0.1", "--htdocs"])
            .arg(files.path())
            .arg(address.port().to_string())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start nghttpd")?;
        let server = Self {
            process,
            address,
            _files: files,
        };
        let listens = || TcpStream::connect(address).is_ok();
        let is_there = wait::until(Duration::from_secs(20), listens);
        ensure!(is_there, "nghttpd does not listen");
        Ok(server)
    }
}

/// The tests of the suite that pass: of all, or of those with this in their names.
fn run(suite: &Path, address: &str, only: Option<&str>) -> anyhow::Result<BTreeSet<String>> {
    let patience = PATIENCE[usize::from(only.is_some())];
    let mut command = Command::new(suite);
    command
        .args(["--address", address, "--connect-timeout", "5000"])
        .args(["--frame-timeout", patience])
        // One after the other: all at once are many connections that wait for each other.
        .env("SEQUENTIAL", "1");
    if let Some(only) = only {
        command.args(["--filter", only]);
    }
    let output = command.output().context("cannot start the suite")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(told.contains("Passed"), "the suite did not run: {told}");
    let passed = told
        .lines()
        .filter_map(|line| line.split_once("Test passed: "));
    Ok(passed.map(|(_, name)| name.trim().to_owned()).collect())
}
