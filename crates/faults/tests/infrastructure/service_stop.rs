//! A service manager of this test's own: systemd as a user's manager, in a mount namespace in which
//! it finds a host that systemd runs.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use firedrill_faults::Target;
use firedrill_undo::ServiceManager;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::drill::{Drill, compile, wait_for};

const STOP: &str = "infrastructure.service-stop";

const UNIT: &str = "[Service]\nExecStart=/bin/sleep 600\n[Install]\nWantedBy=default.target\n";

const SCRIPT: &str = "mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system && \
                      exec /lib/systemd/systemd --user";

struct Manager {
    child: Child,
    root: TempDir,
}

impl Manager {
    /// `None`, and said, where there is no systemd that runs so.
    fn start() -> Option<Self> {
        if Command::new("systemctl").arg("--version").output().is_err() {
            eprintln!("skipped: no systemctl to ask beside us");
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        let units = root.path().join("config/systemd/user");
        std::fs::create_dir_all(units.join("default.target.wants")).unwrap();
        std::fs::create_dir(root.path().join("run")).unwrap();
        std::fs::write(units.join("nap.service"), UNIT).unwrap();
        std::fs::write(units.join("loose.service"), UNIT).unwrap();
        std::fs::write(units.join("default.target"), "[Unit]\n").unwrap();
        let wanted = units.join("default.target.wants/nap.service");
        std::os::unix::fs::symlink(units.join("nap.service"), wanted).unwrap();
        let child = Command::new("unshare")
            .args(["-m", "sh", "-c", SCRIPT])
            .env("XDG_RUNTIME_DIR", root.path().join("run"))
            .env("HOME", root.path())
            .env("XDG_CONFIG_HOME", root.path().join("config"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut manager = Self {
            child: child.ok()?,
            root,
        };
        let mut ended = false;
        wait_for("the manager listens, or has ended", || {
            ended = manager.child.try_wait().unwrap().is_some();
            ended || manager.socket().exists()
        });
        if ended {
            eprintln!("skipped: no systemd that runs as a user's manager here");
            return None;
        }
        Some(manager)
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("run/systemd/private")
    }

    fn arguments(&self, unit: &str) -> Value {
        json!({"unit": unit, "manager": self.socket()})
    }

    fn ask(&self) -> ServiceManager {
        ServiceManager::at(&self.socket()).unwrap()
    }

    /// What systemctl says: a client that is not ours.
    fn systemctl(&self, words: &[&str]) -> String {
        let output = Command::new("systemctl")
            .arg("--user")
            .args(words)
            .env("XDG_RUNTIME_DIR", self.root.path().join("run"))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // The orderly end of a user's manager, with everything that it started.
        self.systemctl(&["exit"]);
        let mut waited = 0;
        while waited < 200 && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            crate::drill::pause(std::time::Duration::from_millis(25));
            waited += 1;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_active_unit_is_stopped_and_started_again() {
    let Some(manager) = Manager::start() else {
        return;
    };
    wait_for("the unit is active", || {
        manager.systemctl(&["is-active", "nap"]) == "active"
    });
    let placed = Drill::begin().apply(STOP, &manager.arguments("nap.service"), Target::Host);
    assert!(placed.observe().is_complete());
    assert_eq!(manager.systemctl(&["is-active", "nap"]), "inactive");
    assert_eq!(placed.revert().undone, 1);
    assert_eq!(manager.systemctl(&["is-active", "nap"]), "active");
    // Started by somebody else meanwhile: nothing is left to undo.
    let placed = Drill::begin().apply(STOP, &manager.arguments("nap.service"), Target::Host);
    assert!(placed.observe().is_complete());
    manager.ask().start("nap.service").unwrap();
    wait_for("the unit is active", || {
        manager.systemctl(&["is-active", "nap"]) == "active"
    });
    let id = placed.applied.id;
    assert!(!placed.drill.guardian.observe(id).unwrap().is_complete());
    assert_eq!(placed.revert().undone, 0);
}

#[test]
fn what_is_not_active_or_would_not_come_back_is_refused() {
    let Some(manager) = Manager::start() else {
        return;
    };
    let host = [Target::Host];
    let refused = |unit: &str| {
        let error = compile(STOP, &manager.arguments(unit), &host).unwrap_err();
        error.to_string()
    };
    assert!(refused("loose.service").contains("not active"));
    assert!(refused("unheard-of.service").contains("not active"));
    manager.ask().start("loose.service").unwrap();
    wait_for("it is active", || {
        manager.ask().active_state("loose.service").unwrap() == "active"
    });
    assert!(refused("loose.service").contains("after a reboot"));
    let mut accepted = manager.arguments("loose.service");
    accepted["not-enabled"] = true.into();
    assert_eq!(compile(STOP, &accepted, &host).unwrap().len(), 1);
}
