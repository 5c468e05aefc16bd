//! Starting workers, file systems and cgroups of a test's own, and waiting.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_kernel::cgroup::{Cgroup, Controller};
use firedrill_kernel::clock::boottime;
use firedrill_kernel::{Presence, ProcessIdentity};
use firedrill_worker::{Job, WorkerConfig, WorkerError, WorkerHandle};
use rustix::fs::StatVfs;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The example of this crate, beside this test.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let program = profile.join("examples/worker");
    assert!(program.exists(), "build the examples of this crate first");
    program
}

pub(crate) fn config() -> WorkerConfig {
    WorkerConfig {
        exe: program(),
        start_limit: LIMIT,
        ..WorkerConfig::new()
    }
}

pub(crate) fn start(job: &Job) -> Result<WorkerHandle, WorkerError> {
    WorkerHandle::spawn(&config(), job, boottime() + LIMIT)
}

/// Why a job was refused.
pub(crate) fn refusal(outcome: Result<WorkerHandle, WorkerError>) -> String {
    match outcome {
        Err(WorkerError::Failed { why }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn pause(time: Duration) {
    let time = rustix::event::Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap(),
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    let _ = rustix::event::poll(&mut [], Some(&time));
}

/// Waits for as long as a starved machine may take.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "not within a minute: {what}");
        pause(Duration::from_millis(20));
    }
}

pub(crate) fn is_gone(process: &ProcessIdentity) -> bool {
    process.presence().unwrap() == Presence::Gone
}

pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

/// A small file system in a mount namespace of its own, held by a process that sleeps.
pub(crate) struct FileSystem {
    holder: Child,
    directory: tempfile::TempDir,
}

impl FileSystem {
    pub(crate) fn tmpfs(options: &str) -> Self {
        Self::mount(&format!("mount -t tmpfs -o {options} none mnt"))
    }

    pub(crate) fn ext4(megabytes: u32) -> Self {
        Self::mount(&format!(
            "truncate -s {megabytes}M image && mkfs.ext4 -q -m 0 image && mount -o loop image mnt"
        ))
    }

    /// It cannot reserve room: what is to be taken has to be written.
    pub(crate) fn without_fallocate(megabytes: u32) -> Self {
        Self::mount(&format!(
            "truncate -s {megabytes}M image && mkfs.ext4 -q -m 0 -O ^extent,^64bit image \
             && mount -o loop image mnt"
        ))
    }

    fn mount(how: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("mnt")).unwrap();
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c"])
            .arg(format!("{how} && echo mounted && exec sleep 600"))
            .current_dir(directory.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = holder.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "{how}");
        Self { holder, directory }
    }

    /// As the worker sees it.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("mnt")
    }

    pub(crate) fn start(&self, job: &Job) -> Result<WorkerHandle, WorkerError> {
        let mut config = config();
        config.exe = PathBuf::from("/usr/bin/nsenter");
        config.command = vec![
            "--target".into(),
            self.holder.id().to_string().into(),
            "--mount".into(),
            program().into(),
            "worker".into(),
        ];
        WorkerHandle::spawn(&config, job, boottime() + LIMIT)
    }

    /// What the kernel says of it, read from outside the namespace.
    pub(crate) fn stat(&self) -> StatVfs {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let path = self.path();
        rustix::fs::statvfs(root.join(path.strip_prefix("/").unwrap())).unwrap()
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        let stat = self.stat();
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A cgroup of a test's own; `None`, with the reason printed, where there is no such controller.
pub(crate) struct OwnCgroup(Cgroup);

impl OwnCgroup {
    pub(crate) fn create(controller: Controller, name: &str) -> Option<Self> {
        let Some(own) = Cgroup::of(std::process::id(), controller).unwrap() else {
            eprintln!("skipped: no {controller:?} controller here");
            return None;
        };
        let name = format!("firedrill-test-{name}-{}", std::process::id());
        match own.create_child(&name) {
            Ok(cgroup) if cgroup.has(controller) => Some(Self(cgroup)),
            Ok(cgroup) => {
                cgroup.remove().unwrap();
                eprintln!("skipped: the {controller:?} controller is not passed on here");
                None
            }
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    pub(crate) fn cgroup(&self) -> &Cgroup {
        &self.0
    }

    pub(crate) fn start(&self, job: &Job) -> Result<WorkerHandle, WorkerError> {
        let mut config = config();
        config.place = vec![self.path().to_owned()];
        WorkerHandle::spawn(&config, job, boottime() + LIMIT)
    }

    fn path(&self) -> &Path {
        &self.0.path
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        eventually("an empty cgroup is removed", || self.0.remove().is_ok());
    }
}
