//! What this host can do, and through which mechanism. Changes nothing that it does not take back
//! at once: it signals a child of its own and operates empty cgroups of its own.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use firedrill_kernel::clock::{DeadlineTimer, boottime};
use firedrill_kernel::freezer::{Hierarchy, Version};
use firedrill_kernel::stopped::StoppedProcesses;
use firedrill_kernel::{KernelError, Pidfd, ProcessIdentity, Signal, process};
use firedrill_undo::StateDir;
use serde::Serialize;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub mechanism: &'static str,
    pub usable: bool,
    /// What was seen.
    pub why: String,
    /// What to do about it, where something can be done.
    pub fix: Option<&'static str>,
}

/// Tries everything that faults, guardian and recovery use here.
#[must_use]
pub fn doctor(state: &StateDir) -> Vec<Check> {
    vec![
        pidfd(),
        deadline_timer(),
        freezer(Version::V1, "cgroup v1 freezer"),
        freezer(Version::V2, "cgroup v2 freezer"),
        signal_others(),
        state_directory(state.path()),
        stopped_processes(),
        cgroups_left(),
    ]
}

fn pidfd() -> Check {
    let outcome = with_own_child(|pidfd| {
        pidfd.send(Signal::Kill)?;
        pidfd.wait_for_exit(Duration::from_secs(5))
    });
    match outcome {
        Ok(true) => usable("pidfd", "signalled and awaited a child of this command"),
        Ok(false) => unusable("pidfd", "a killed child did not end", None),
        Err(why) => unusable("pidfd", &why, Some("Linux 5.3 or newer is needed")),
    }
}

fn deadline_timer() -> Check {
    let name = "lease timer";
    match DeadlineTimer::new().and_then(|timer| timer.set(boottime())) {
        Ok(()) => usable(
            name,
            "a timer on CLOCK_BOOTTIME, which runs on while the host sleeps",
        ),
        Err(error) => unusable(name, &chain(&error), None),
    }
}

fn freezer(version: Version, name: &'static str) -> Check {
    let mounted = match Hierarchy::mounted() {
        Ok(mounted) => mounted,
        Err(error) => return unusable(name, &chain(&error), None),
    };
    let Some(hierarchy) = mounted
        .into_iter()
        .find(|hierarchy| hierarchy.version == version)
    else {
        return unusable(name, "not mounted", Some(FREEZER_FIX));
    };
    match hierarchy.operate() {
        Ok(()) => usable(name, "froze and thawed an empty cgroup of its own"),
        Err(error) => unusable(name, &chain(&error), Some(FREEZER_FIX)),
    }
}

const FREEZER_FIX: &str = "pauses use SIGSTOP instead; for the freezer run as root, or in a \
                           delegated cgroup (systemd-run --user --scope -p Delegate=yes)";

/// CAP_KILL, in the bit numbering of capabilities(7).
const CAP_KILL: u32 = 5;

fn signal_others() -> Check {
    let name = "signal other users' processes";
    let effective = process::status_field(std::process::id(), "CapEff")
        .ok()
        .flatten()
        .and_then(|bits| u64::from_str_radix(&bits, 16).ok());
    match effective {
        Some(bits) if bits & (1 << CAP_KILL) != 0 => usable(name, "this command has CAP_KILL"),
        Some(_) => unusable(
            name,
            "without CAP_KILL only processes of this user can be hit",
            Some("run as the targets' user, or as root"),
        ),
        None => unusable(
            name,
            "the capabilities of this command cannot be read",
            None,
        ),
    }
}

fn state_directory(path: &Path) -> Check {
    let name = "undo log";
    match try_durable_write(path) {
        Ok(()) => usable(name, &format!("{} takes synced writes", path.display())),
        Err(error) => unusable(
            name,
            &format!("{}: {error}", path.display()),
            Some("set FIREDRILL_STATE_DIR to a directory on a local disk that this user can write"),
        ),
    }
}

fn try_durable_write(path: &Path) -> std::io::Result<()> {
    // What did not exist is not created for a look: its nearest existing parent is tried.
    let parent = path
        .ancestors()
        .find(|ancestor| ancestor.is_dir())
        .unwrap_or(path);
    let probe = parent.join(format!(".firedrill-doctor-{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)?;
    let written = file.write_all(&[0; 4096]).and_then(|()| file.sync_all());
    fs::remove_file(&probe)?;
    written?;
    fs::File::open(parent)?.sync_all()
}

/// Reported without touching them: they may be stopped on purpose.
fn stopped_processes() -> Check {
    let name = "stopped processes";
    match StoppedProcesses::now() {
        Ok(stopped) => {
            let list: Vec<String> = stopped.iter().map(describe).collect();
            if list.is_empty() {
                return usable(name, "none");
            }
            Check {
                mechanism: name,
                usable: true,
                why: format!("stopped by somebody, and left alone: {}", list.join(", ")),
                fix: Some("`kill -CONT PID` continues one, if nobody means it to be stopped"),
            }
        }
        Err(error) => unusable(name, &chain(&error), None),
    }
}

/// Cgroups of ours that outlived their drill; `recover` knows those that are in a log.
fn cgroups_left() -> Check {
    let name = "cgroups of ours";
    let mounted = match Hierarchy::mounted() {
        Ok(mounted) => mounted,
        Err(error) => return unusable(name, &chain(&error), None),
    };
    let left: Vec<String> = mounted.iter().flat_map(ours_below).collect();
    if left.is_empty() {
        return usable(name, "none");
    }
    Check {
        mechanism: name,
        usable: true,
        why: left.join(", "),
        fix: Some(
            "`firedrill status` shows the drills they belong to; `firedrill recover` removes \
                   those of dead drills",
        ),
    }
}

fn ours_below(hierarchy: &Hierarchy) -> Vec<String> {
    let Ok(entries) = fs::read_dir(&hierarchy.mount) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("firedrill-")
        })
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn describe(identity: &ProcessIdentity) -> String {
    let name = identity
        .stat()
        .ok()
        .flatten()
        .map(|stat| stat.comm)
        .unwrap_or_default();
    format!("{} ({name})", identity.pid)
}

fn with_own_child<T>(action: impl FnOnce(&Pidfd) -> Result<T, KernelError>) -> Result<T, String> {
    let mut child = Command::new("sleep")
        .arg("30")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("sleep: {error}"))?;
    let outcome = on_child(&child, action);
    // Already ended in the good case.
    let _ = child.kill();
    let _ = child.wait();
    outcome
}

fn on_child<T>(
    child: &Child,
    action: impl FnOnce(&Pidfd) -> Result<T, KernelError>,
) -> Result<T, String> {
    let gone = || "a child ended at once".to_owned();
    let identity = ProcessIdentity::of(child.id())
        .map_err(|error| chain(&error))?
        .ok_or_else(gone)?;
    let pidfd = Pidfd::open(&identity)
        .map_err(|error| chain(&error))?
        .ok_or_else(gone)?;
    action(&pidfd).map_err(|error| chain(&error))
}

fn usable(mechanism: &'static str, why: &str) -> Check {
    Check {
        mechanism,
        usable: true,
        why: why.into(),
        fix: None,
    }
}

fn unusable(mechanism: &'static str, why: &str, fix: Option<&'static str>) -> Check {
    Check {
        mechanism,
        usable: false,
        why: why.into(),
        fix,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doctor_leaves_the_state_directory_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::at(root.path().join("not/yet"));
        let checks = doctor(&state);
        assert_eq!(checks.len(), 8);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let pidfd = checks
            .iter()
            .find(|check| check.mechanism == "pidfd")
            .unwrap();
        assert!(pidfd.usable, "{pidfd:?}");
        let log = checks
            .iter()
            .find(|check| check.mechanism == "undo log")
            .unwrap();
        assert!(log.usable, "{log:?}");
    }
}
