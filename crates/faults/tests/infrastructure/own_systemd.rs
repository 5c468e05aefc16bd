//! A service manager of our own: systemd as a user's manager, in a mount namespace in which it finds
//! a host that systemd runs, and in cgroups of its own. It takes the cgroup in which it starts for
//! its own: it would move every process of the root cgroup, and remove everybody's empty cgroups when
//! it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Its arguments are the `cgroup.procs` to enter; cpuset of cgroup v1 cannot be entered as it is.
const SCRIPT: &str = "for procs in \"$@\"; do echo $$ > $procs; done; \
                      mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system && \
                      exec /lib/systemd/systemd --user";

/// Its units are `nap.service`, which it starts by itself, and `loose.service`, which nothing starts.
pub(crate) struct OwnSystemd {
    child: Child,
    root: TempDir,
    cgroups: Vec<PathBuf>,
}

impl OwnSystemd {
    /// Its services sleep for that many seconds.
    ///
    /// # Errors
    /// Where there is no systemd that runs so.
    pub(crate) fn start(seconds: &str) -> Result<Self, String> {
        let root = tempfile::Builder::new().prefix("firedrill-test-").tempdir();
        let root = root.unwrap();
        let units = root.path().join("config/systemd/user");
        fs::create_dir_all(units.join("default.target.wants")).unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        let unit = format!(
            "[Service]\nExecStart=/bin/sleep {seconds}\n[Install]\nWantedBy=default.target\n"
        );
        fs::write(units.join("nap.service"), &unit).unwrap();
        fs::write(units.join("loose.service"), &unit).unwrap();
        fs::write(units.join("default.target"), "[Unit]\n").unwrap();
        let wanted = units.join("default.target.wants/nap.service");
        std::os::unix::fs::symlink(units.join("nap.service"), wanted).unwrap();
        let name = root.path().file_name().unwrap().to_string_lossy();
        let cgroups = cgroups_named(&name)?;
        let child = Command::new("unshare")
            .args(["-m", "sh", "-c", SCRIPT, "sh"])
            .args(cgroups.iter().map(|cgroup| cgroup.join("cgroup.procs")))
            .env("XDG_RUNTIME_DIR", root.path().join("run"))
            .env("HOME", root.path())
            .env("XDG_CONFIG_HOME", root.path().join("config"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.map_err(|error| format!("no unshare: {error}"))?;
        let mut systemd = Self {
            child,
            root,
            cgroups,
        };
        let mut ended = false;
        let listens = until(|| {
            ended = systemd.child.try_wait().unwrap().is_some();
            ended || systemd.socket().exists()
        });
        if ended || !listens {
            return Err("no systemd that runs as a user's manager here".into());
        }
        Ok(systemd)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.root.path().join("run/systemd/private")
    }

    /// What systemctl says: a client that is not ours.
    pub(crate) fn systemctl(&self, words: &[&str]) -> String {
        let output = Command::new("systemctl")
            .arg("--user")
            .args(words)
            .env("XDG_RUNTIME_DIR", self.root.path().join("run"))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for OwnSystemd {
    fn drop(&mut self) {
        // The orderly end of a user's manager, with everything that it started.
        self.systemctl(&["exit"]);
        until(|| self.child.try_wait().is_ok_and(|ended| ended.is_some()));
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.cgroups.iter().for_each(|cgroup| remove(cgroup));
    }
}

/// New ones of that name, below every root.
fn cgroups_named(name: &str) -> Result<Vec<PathBuf>, String> {
    let mut made = Vec::new();
    for root in roots() {
        let cgroup = root.join(name);
        if let Err(error) = fs::create_dir(&cgroup) {
            made.iter().for_each(|cgroup: &PathBuf| remove(cgroup));
            return Err(format!("no cgroup of its own: {error}"));
        }
        made.push(cgroup);
    }
    Ok(made)
}

/// The cgroups that everybody is below: one, or one for each controller of cgroup v1.
fn roots() -> Vec<PathBuf> {
    let mount = Path::new("/sys/fs/cgroup");
    if mount.join("cgroup.controllers").exists() {
        return vec![mount.to_owned()];
    }
    let entries = fs::read_dir(mount).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

/// With those that it has made below; one that still holds a process stays.
fn remove(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
}

/// Waits for what only a hang would keep from coming; whether it came.
fn until(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    let pause = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 25_000_000,
    };
    while !condition() {
        if start.elapsed() > Duration::from_secs(30) {
            return false;
        }
        let _ = rustix::event::poll(&mut [], Some(&pause));
    }
    true
}
