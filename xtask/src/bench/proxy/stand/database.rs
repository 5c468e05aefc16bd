//! Databases behind the proxy, each with a directory of its own that goes with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::super::load::PROCESSOR;
use super::{Guarded, free, listening, pinned};
use crate::{wait, workspace};

/// The user of the database, and the name of it.
pub(in crate::bench::proxy) const USER: &str = "drill";
pub(in crate::bench::proxy) const DATABASE: &str = "postgres";

/// A server that ends with this. The process first, then its files.
#[derive(Debug)]
pub(super) struct Database {
    _process: Guarded,
    _home: tempfile::TempDir,
    pub(super) address: SocketAddr,
}

impl Database {
    fn start(
        mut command: Command,
        address: SocketAddr,
        home: tempfile::TempDir,
    ) -> anyhow::Result<Self> {
        let process = Guarded(command.spawn().context("cannot start it")?);
        listening(address)?;
        Ok(Self {
            _process: process,
            _home: home,
            address,
        })
    }
}

pub(super) fn redis() -> anyhow::Result<Database> {
    for program in ["redis-server", "redis-benchmark"] {
        let found = workspace::output(Command::new("which").arg(program));
        ensure!(found.is_some(), "no {program}; `apt-get install redis`");
    }
    let (home, address) = (tempfile::tempdir()?, free()?);
    let mut command = pinned(PROCESSOR, "redis-server");
    command
        .args(["--save", "", "--bind", "127.0.0.1", "--port"])
        .arg(address.port().to_string())
        .arg("--dir")
        .arg(home.path());
    Database::start(command, address, home)
}

/// One row in ten times 10,000 is asked for, as `pgbench --initialize` makes them.
pub(super) fn postgres() -> anyhow::Result<Database> {
    let [initdb, server, pgbench] = ["initdb", "postgres", "pgbench"].map(program);
    let (home, address) = (tempfile::tempdir()?, free()?);
    let data = home.path().join("data");
    let mut init = Command::new(initdb?);
    init.args(["--auth=trust", "--no-sync"])
        .arg(format!("--username={USER}"))
        .arg("-D")
        .arg(&data);
    as_its_user(&mut init, home.path())?;
    done(&mut init)?;
    let mut command = pinned(PROCESSOR, server?);
    command
        .args(["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-p"])
        .arg(address.port().to_string())
        .arg("-k")
        .arg(home.path())
        .arg("-D")
        .arg(&data);
    as_its_user(&mut command, home.path())?;
    let database = Database::start(command, address, home)?;
    let pgbench = pgbench?;
    // It listens before it lets anybody in.
    let mut filled = Ok(());
    wait::until(Duration::from_secs(30), || {
        let mut fill = Command::new(&pgbench);
        fill.args(["--initialize", "--quiet", "--username", USER, "--host"])
            .arg(address.ip().to_string())
            .args(["--port", &address.port().to_string(), DATABASE]);
        filled = done(&mut fill);
        filled.is_ok()
    });
    filled.map(|()| database)
}

/// A program of PostgreSQL's, which Debian keeps by version.
pub(in crate::bench::proxy) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let versions = versions.into_iter().flatten().flatten();
    let mut all = versions.map(|version| version.path().join("bin").join(name));
    let found = all.find(|file| file.exists());
    found.with_context(|| format!("no {name}; `apt-get install postgresql`"))
}

/// PostgreSQL does not run as root: the directory and the process are another's then.
fn as_its_user(command: &mut Command, home: &Path) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt as _;
    command.current_dir(home);
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let line = line.context("PostgreSQL does not run as root, and there is no user postgres")?;
    let number = |at: usize| line.split(':').nth(at).and_then(|n| n.parse::<u32>().ok());
    let (user, group) = number(2).zip(number(3)).context("no numbers of postgres")?;
    std::os::unix::fs::chown(home, Some(user), Some(group))?;
    command.uid(user).gid(group);
    Ok(())
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let program = command.get_program().display();
    ensure!(
        output.status.success(),
        "{program} did not end well: {said}"
    );
    Ok(())
}
