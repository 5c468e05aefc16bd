//! Real engines for tests. What was found to be the least that works, also on a kernel without
//! bridges and netfilter modules, with cgroup v1, and as a root that may not raise limits:
//!
//! - Debian's packages `docker.io` (brings dockerd, containerd, runc and the command line) and
//!   `podman` (brings conmon), and a C compiler for the one program of the image;
//! - dockerd: data root, exec root, pid file and socket of its own; no bridge, no iptables, no
//!   forwarding; it finds a storage driver by itself (overlay2, else vfs);
//! - Podman: root, runroot, tmpdir and socket of its own; locks in files, because those in shared
//!   memory are one for the host; `runc`, because crun refuses hybrid v1 and v2 cgroups; ulimits
//!   below ours, because its defaults are above what a limited root may set;
//! - containers with `--network none` and a cgroup parent of the test's own;
//! - an image made of one static program by `import`.
//!
//! Left on the host by the engines, and not counted: the empty directories `/run/docker`,
//! `/run/containerd` and `/run/runc`.

#[path = "started/image.rs"]
mod image;
#[path = "started/residue.rs"]
mod residue;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_container::{Engine, Kind};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

/// An engine of our own. Taken away with everything of it by [`Started::end`], or when dropped.
pub(crate) struct Started {
    pub(crate) engine: Engine,
    directory: TempDir,
    process: Child,
}

pub(crate) const IMAGE: &str = "localhost/firedrill-wait:1";

const DOCKER: &str = "/usr/bin/docker";
const DOCKERD: &str = "/usr/sbin/dockerd";
const PODMAN: &str = "/usr/bin/podman";
const RUNC: &str = "/usr/sbin/runc";

const PODMAN_CONFIGURATION: &str = r#"[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
lock_type = "file"
events_logger = "file"
"#;

impl Started {
    /// # Errors
    /// With the reason why it cannot be started here.
    pub(crate) fn docker() -> Result<Self, String> {
        prerequisites(&[DOCKER, DOCKERD, RUNC], "docker.io")?;
        Self::start(Kind::Docker, |directory| {
            let mut command = Command::new(DOCKERD);
            command
                .arg("--host")
                .arg(format!("unix://{}", socket(directory).display()))
                .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
                .args(["--ip-forward=false", "--ip-masq=false"])
                .args(["--userland-proxy=false"]);
            for (option, name) in [
                ("data-root", "data"),
                ("exec-root", "exec"),
                ("pidfile", "pid"),
            ] {
                command.arg(format!("--{option}")).arg(directory.join(name));
            }
            command
        })
    }

    /// # Errors
    /// With the reason why it cannot be started here.
    pub(crate) fn podman() -> Result<Self, String> {
        prerequisites(&[PODMAN, RUNC], "podman and runc")?;
        Self::start(Kind::Podman, |directory| {
            let mut command = podman(directory);
            command
                .args(["system", "service", "--time=0"])
                .arg(format!("unix://{}", socket(directory).display()));
            command
        })
    }

    fn start(kind: Kind, command: impl FnOnce(&Path) -> Command) -> Result<Self, String> {
        let directory = tempfile::Builder::new()
            .prefix("firedrill-test-engine-")
            .tempdir()
            .unwrap();
        let path = directory.path();
        fs::write(path.join("containers.conf"), PODMAN_CONFIGURATION).unwrap();
        let log = File::create(path.join("log")).unwrap();
        let process = command(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let engine = Engine::at(kind, socket(path));
        let mut started = Self {
            engine,
            directory,
            process,
        };
        wait_until("the engine answers, or has ended", || {
            started.engine.version().is_ok() || started.process.try_wait().unwrap().is_some()
        });
        if started.process.try_wait().unwrap().is_some() {
            let log = fs::read_to_string(started.directory.path().join("log")).unwrap_or_default();
            return Err(format!(
                "{kind:?} does not start here: {}",
                last_lines(&log)
            ));
        }
        let archive = image::archive(started.directory.path());
        started.tell(&["import", archive.to_str().unwrap(), IMAGE]);
        Ok(started)
    }

    /// Starts a container of the image by the engine's own command line; its full id.
    pub(crate) fn run(&self, name: &str, options: &[&str]) -> String {
        let parent = self.cgroup_parent();
        let mut words = vec!["run", "--detach", "--network", "none", "--name", name];
        words.extend(["--cgroup-parent", parent.as_str()]);
        words.extend(options);
        words.extend([IMAGE, "/wait"]);
        self.tell(&words)
    }

    /// The engine's own command line: what it prints, trimmed.
    pub(crate) fn tell(&self, words: &[&str]) -> String {
        let output = self.command().args(words).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn cgroup_parent(&self) -> String {
        format!(
            "/{}",
            self.directory.path().file_name().unwrap().to_str().unwrap()
        )
    }

    /// Ends containers and engine, takes away what they left, and says what could not be.
    pub(crate) fn end(mut self) -> Vec<String> {
        self.tear_down();
        residue::of(self.directory.path())
    }

    fn command(&self) -> Command {
        let directory = self.directory.path();
        match self.engine.kind {
            Kind::Docker => {
                let mut command = Command::new(DOCKER);
                let host = format!("unix://{}", self.engine.socket.display());
                command
                    .args(["--host", &host])
                    .env("DOCKER_CONFIG", directory);
                command
            }
            Kind::Podman => podman(directory),
        }
    }

    fn tear_down(&mut self) {
        for container in self.engine.list(true).unwrap_or_default() {
            let mut command = self.command();
            let _ = command.args(["rm", "--force", &container.id]).output();
        }
        let pid = Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, Signal::TERM);
        let start = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if start.elapsed() > Duration::from_secs(20) {
                let _ = self.process.kill();
            }
            pause();
        }
        let start = Instant::now();
        // What watches over a container ends a moment after it.
        while !residue::of(self.directory.path()).is_empty()
            && start.elapsed() < Duration::from_secs(5)
        {
            residue::remove(self.directory.path());
            pause();
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // After `end` the engine has ended; a story that panicked has not got there.
        if matches!(self.process.try_wait(), Ok(None)) {
            self.tear_down();
        }
    }
}

/// Waits for what takes an engine an unknown, short time.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        pause();
    }
}

fn pause() {
    let limit = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    let _ = rustix::event::poll(&mut [], Some(&limit));
}

fn prerequisites(programs: &[&str], packages: &str) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("starting an engine takes root".into());
    }
    for program in programs {
        if !Path::new(program).exists() {
            return Err(format!("no {program}: install {packages}"));
        }
    }
    match Command::new("cc").arg("--version").output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("no cc to build the image's program: install gcc and libc6-dev".into())
        }
        _ => Ok(()),
    }
}

fn podman(directory: &Path) -> Command {
    let mut command = Command::new(PODMAN);
    for (option, name) in [("root", "data"), ("runroot", "exec"), ("tmpdir", "tmp")] {
        command.arg(format!("--{option}")).arg(directory.join(name));
    }
    command
        .args(["--cgroup-manager", "cgroupfs", "--runtime", RUNC])
        .env("CONTAINERS_CONF", directory.join("containers.conf"));
    command
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("engine.sock")
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(3).collect();
    lines.join(" | ")
}
