//! Cgroups, mounts and processes of a test's own.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use firedrill_kernel::ProcessIdentity;
use firedrill_kernel::cgroup::{Cgroup, Controller, Hierarchy};
use firedrill_kernel::mounts;
use tempfile::TempDir;

/// A cgroup that is removed at the end; `None`, and said, where the controller cannot be used.
pub(crate) struct OwnCgroup(pub(crate) Cgroup);

/// A small tmpfs.
pub(crate) struct OwnMount(TempDir);

/// A process that is killed at the end.
pub(crate) struct OwnProcess(Child);

impl OwnCgroup {
    pub(crate) fn with(controller: Controller) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(hierarchy) = Hierarchy::usable(controller).unwrap() else {
            eprintln!("skipped: no usable {controller:?} controller");
            return None;
        };
        let me = std::process::id();
        let parent = hierarchy.parent_for(controller, me).unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("firedrill-test-{me}-{count}");
        Some(Self(parent.create_child(&name).unwrap()))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path.clone()
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        let _ = self.0.remove();
    }
}

impl OwnMount {
    /// `None`, and said, without the right to mount.
    pub(crate) fn tmpfs(options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "firedrill-test"])
            .arg(directory.path())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("skipped: mounting needs CAP_SYS_ADMIN");
            return None;
        }
        Some(Self(directory))
    }

    pub(crate) fn path(&self) -> String {
        self.0.path().to_string_lossy().into_owned()
    }

    pub(crate) fn space(&self) -> mounts::Space {
        mounts::space(self.0.path()).unwrap()
    }
}

impl Drop for OwnMount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

impl OwnProcess {
    pub(crate) fn shell(script: &str) -> Self {
        let child = Command::new("sh").args(["-c", script]).spawn();
        Self(child.unwrap())
    }

    pub(crate) fn identity(&self) -> ProcessIdentity {
        ProcessIdentity::of(self.0.id()).unwrap().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The number of the signal that ended it, once it has ended.
    pub(crate) fn ended_by(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        self.0.wait().unwrap().signal()
    }

    /// Waits for its end.
    pub(crate) fn succeeds(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for OwnProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
