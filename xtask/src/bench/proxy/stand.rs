//! nginx behind, a proxy in front of it, each a process of ours that ends with its guard.

pub(super) mod database;
pub(super) mod peer;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{wait, workspace};
use database::Database;

/// The processor of the proxy.
const PROCESSOR: &str = "0";

/// Bytes of the large answer.
const BULK: usize = 1 << 20;

/// Who stands in front of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Firedrill,
    /// That looks for more before it sleeps.
    BusyFiredrill,
    /// That does not read the protocol.
    FiredrillOnBytes,
    Haproxy,
    Envoy,
    FaultCli,
    /// Nobody.
    Direct,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Firedrill => "firedrill",
            Self::BusyFiredrill => "firedrill, busy",
            Self::FiredrillOnBytes => "firedrill, tcp",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::FaultCli => "fault-cli",
            Self::Direct => "direct",
        })
    }
}

/// What a proxy reads of what it leads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Http,
    /// In clear text from the first byte, on both sides.
    Http2,
    Redis,
    Postgres,
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

/// What all requests end at, and where files of a run are.
#[derive(Debug)]
pub(super) struct Stand {
    _server: Guarded,
    http: SocketAddr,
    http2: SocketAddr,
    redis: Option<Database>,
    postgres: Option<Database>,
    home: PathBuf,
    firedrill: PathBuf,
    /// Connections that every proxy takes at the same time.
    pub(super) connections: u64,
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

/// What nothing can be measured without.
pub(super) fn check_programs() -> anyhow::Result<()> {
    for program in ["nginx", "wrk", "h2load", "taskset"] {
        let found = workspace::output(Command::new("which").arg(program));
        ensure!(
            found.is_some(),
            "no {program}; `apt-get install nginx-light wrk nghttp2-client`"
        );
    }
    Ok(())
}

impl Stand {
    pub(super) fn start(home: &Path, firedrill: &Path) -> anyhow::Result<Self> {
        let root = home.join("root");
        std::fs::create_dir_all(&root)?;
        std::fs::write(root.join("small"), "x".repeat(100))?;
        std::fs::write(root.join("bulk"), "x".repeat(BULK))?;
        let (http, http2) = (free()?, free()?);
        let config = home.join("nginx.conf");
        std::fs::write(&config, nginx(home, &root, http, http2))?;
        let connections = connections()?;
        let process = pinned(super::load::PROCESSOR, "nginx")
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(home.join("nginx.log"))
            .spawn();
        let process = Guarded(process.context("cannot start nginx")?);
        listening(http)?;
        listening(http2)?;
        Ok(Self {
            _server: process,
            http,
            http2,
            redis: None,
            postgres: None,
            home: home.to_owned(),
            firedrill: firedrill.to_owned(),
            connections,
        })
    }

    /// The server's own address.
    pub(super) fn address(&self, protocol: Protocol) -> anyhow::Result<SocketAddr> {
        let database = match protocol {
            Protocol::Tcp | Protocol::Http => return Ok(self.http),
            Protocol::Http2 => return Ok(self.http2),
            Protocol::Redis => &self.redis,
            Protocol::Postgres => &self.postgres,
        };
        let database = database.as_ref().context("its server was not started")?;
        Ok(database.address)
    }

    /// Starts what speaks this, unless it runs.
    ///
    /// # Errors
    ///
    /// What is missing, or did not start.
    pub(super) fn serve(&mut self, protocol: Protocol) -> anyhow::Result<()> {
        match protocol {
            Protocol::Tcp | Protocol::Http | Protocol::Http2 => {}
            Protocol::Redis => self.redis = Some(database::redis()?),
            Protocol::Postgres => self.postgres = Some(database::postgres()?),
        }
        Ok(())
    }

    pub(super) fn front(&self, who: Who, protocol: Protocol) -> anyhow::Result<Front> {
        let server = self.address(protocol)?;
        let listen = free()?;
        let mut command = match who {
            Who::Firedrill => self.firedrill(listen, protocol)?,
            Who::BusyFiredrill => {
                let mut command = self.firedrill(listen, protocol)?;
                command.args(["--busy-poll", "200us"]);
                command
            }
            Who::FiredrillOnBytes => self.firedrill_as(listen, protocol, Protocol::Tcp)?,
            Who::Haproxy => peer::haproxy(self, listen, protocol)?,
            Who::Envoy => peer::envoy(self, listen, protocol)?,
            Who::FaultCli => peer::fault_cli(self, listen, protocol)?,
            Who::Direct => {
                return Ok(Front {
                    process: None,
                    address: server,
                });
            }
        };
        let process = command.spawn();
        let process = Guarded(process.with_context(|| format!("cannot start {who}"))?);
        listening(listen).with_context(|| format!("{who} does not run"))?;
        Ok(Front {
            process: Some(process),
            address: listen,
        })
    }

    /// Ours with a route to each of these, and decisions that are the same each time.
    pub(super) fn ours(
        &self,
        upstreams: &[SocketAddr],
        protocol: Protocol,
    ) -> anyhow::Result<Ours> {
        let api = free()?;
        let mut command = pinned(PROCESSOR, &self.firedrill);
        command.args(["proxy", "--threads", "1", "--seed", "7", "--api"]);
        command.arg(api.to_string());
        let mut routes = Vec::new();
        for (number, upstream) in upstreams.iter().enumerate() {
            let listen = free()?;
            let name = format!("route{number}");
            command.args(["--route", &route(&name, listen, *upstream, protocol)]);
            routes.push(listen);
        }
        let process = Guarded(command.spawn().context("cannot start the proxy")?);
        // The last that it does before it answers; asking the routes would use up connections.
        listening(api)?;
        Ok(Ours {
            _process: process,
            api,
            routes,
        })
    }

    fn firedrill(&self, listen: SocketAddr, protocol: Protocol) -> anyhow::Result<Command> {
        self.firedrill_as(listen, protocol, protocol)
    }

    /// In front of what speaks the one, reading it as the other.
    fn firedrill_as(
        &self,
        listen: SocketAddr,
        protocol: Protocol,
        read_as: Protocol,
    ) -> anyhow::Result<Command> {
        let mut command = pinned(PROCESSOR, &self.firedrill);
        command
            .args(["proxy", "--threads", "1", "--api"])
            .arg(free()?.to_string())
            .arg("--route")
            .arg(route("bench", listen, self.address(protocol)?, read_as));
        Ok(command)
    }
}

fn route(name: &str, listen: SocketAddr, upstream: SocketAddr, protocol: Protocol) -> String {
    let protocol = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Http => "http",
        Protocol::Http2 => "http2",
        Protocol::Redis => "redis",
        Protocol::Postgres => "postgres",
    };
    format!("{name}={listen},{upstream},protocol={protocol}")
}

impl Front {
    /// What it has used so far, all threads, user and kernel.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let Some(stat) = self.read("stat")? else {
            return Ok(Duration::ZERO);
        };
        // Behind the name, which may hold anything; proc_pid_stat(5), fields 14 and 15.
        let behind = stat.rsplit_once(") ").context("no name")?.1;
        let fields: Vec<&str> = behind.split(' ').collect();
        Ok(ticks(
            fields[11].parse::<u64>()? + fields[12].parse::<u64>()?,
        ))
    }

    /// How long its processor has had nothing to do so far, or was not ours to have; none where there is
    /// no proxy.
    pub(super) fn idle(&self) -> anyhow::Result<Option<Duration>> {
        if self.process.is_none() {
            return Ok(None);
        }
        let stat = std::fs::read_to_string("/proc/stat")?;
        let name = format!("cpu{PROCESSOR} ");
        let line = stat.lines().find_map(|line| line.strip_prefix(&name));
        let line = line.context("no such processor in /proc/stat")?;
        let fields: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
        // proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
        let [_, _, _, idle, iowait, _, _, steal, ..] = fields?[..] else {
            anyhow::bail!("too few fields in /proc/stat: {line}");
        };
        Ok(Some(ticks(idle + iowait + steal)))
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

fn ticks(ticks: u64) -> Duration {
    let each = rustix::param::clock_ticks_per_second();
    Duration::from_secs_f64(ticks as f64 / each as f64)
}

/// `taskset` becomes the program: the process is the one that was started.
fn pinned(processor: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", processor]).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null());
    command
}

/// One process, which is what it is started as; files from memory, no log. Over HTTP/2
/// a body that `sendfile` takes is a segment of its own, which waits 40 ms for the acknowledgement of
/// its head.
fn nginx(home: &Path, root: &Path, http: SocketAddr, http2: SocketAddr) -> String {
    let home = home.display();
    let root = root.display();
    format!(
        "daemon off; master_process off; worker_processes 1; pid {home}/nginx.pid;\n\
         error_log {home}/nginx.log;\n\
         events {{ worker_connections 30000; }}\n\
         http {{\n  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;\n\
         \x20 keepalive_timeout 1h; open_file_cache max=100;\n\
         \x20 client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;\n\
         \x20 fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi;\n\
         \x20 scgi_temp_path {home}/scgi;\n\
         \x20 server {{ listen {http} backlog=4096; root {root}; }}\n\
         \x20 server {{ listen {http2} http2 backlog=4096; root {root}; sendfile off; }}\n}}\n"
    )
}

/// As many as are wanted, or there are descriptors for: a proxy has two for each, and some of its own.
fn connections() -> anyhow::Result<u64> {
    const WANTED: u64 = 10_000;
    const OWN: u64 = 2_000;
    let most = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: most,
        maximum: most,
    };
    // What is started from here inherits it.
    setrlimit(Resource::Nofile, all)?;
    let fit = most.map_or(WANTED, |most| most.saturating_sub(OWN) / 2);
    ensure!(fit > 0, "at most {fit} descriptors: too few for a proxy");
    Ok(fit.min(WANTED))
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
