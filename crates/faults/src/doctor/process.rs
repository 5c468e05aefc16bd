//! Signals, freezers and controllers.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use firedrill_kernel::cgroup::{self, Controller};
use firedrill_kernel::clock::{DeadlineTimer, boottime};
use firedrill_kernel::freezer::{Hierarchy, Version};
use firedrill_kernel::{Capabilities, Capability, KernelError, Pidfd, ProcessIdentity, Signal};

use super::{Check, Subject, chain};

const FREEZER_FIX: &str = "pauses use SIGSTOP instead; for the freezer run as root, or in a \
                           delegated cgroup (systemd-run --user --scope -p Delegate=yes)";

const CONTROLLER_FIX: &str = "run as root; on cgroup v2 the parent must list the controller in \
                              cgroup.subtree_control";

pub(super) fn pidfd() -> Check {
    let outcome = with_own_child(|pidfd| {
        pidfd.send(Signal::Kill)?;
        pidfd.wait_for_exit(Duration::from_secs(5))
    });
    let outcome = match outcome {
        Ok(true) => Ok("signalled and awaited a child of this command"),
        Ok(false) => Err("a killed child did not end".to_owned()),
        Err(why) => Err(why),
    };
    let fix = "Linux 5.3 or newer is needed";
    Check::of(Subject::Safety, "pidfd", outcome, fix)
}

pub(super) fn deadline_timer() -> Check {
    let outcome = match DeadlineTimer::new().and_then(|timer| timer.set(boottime())) {
        Ok(()) => Ok("a timer on CLOCK_BOOTTIME, which runs on while the host sleeps"),
        Err(error) => Err(chain(&error)),
    };
    let fix = "a seccomp filter may forbid timerfd_create(CLOCK_BOOTTIME)";
    Check::of(Subject::Safety, "lease timer", outcome, fix)
}

pub(super) fn freezer(version: Version, name: &'static str) -> Check {
    let outcome = match Hierarchy::mounted() {
        Err(error) => Err(chain(&error)),
        Ok(mounted) => match mounted.into_iter().find(|found| found.version == version) {
            None => Err("not mounted".to_owned()),
            Some(hierarchy) => match hierarchy.operate() {
                Ok(()) => Ok("froze and thawed an empty cgroup of its own"),
                Err(error) => Err(chain(&error)),
            },
        },
    };
    Check::of(Subject::Processes, name, outcome, FREEZER_FIX)
}

pub(super) fn signal_others() -> Check {
    let outcome = match Capabilities::effective() {
        Ok(effective) if effective.have(Capability::Kill) => Ok("this command has CAP_KILL"),
        Ok(_) => Err("without CAP_KILL only processes of this user can be hit".to_owned()),
        Err(error) => Err(chain(&error)),
    };
    let name = "signal other users' processes";
    let fix = "run as the targets' user, or as root";
    Check::of(Subject::Processes, name, outcome, fix)
}

/// One check for each controller, in the first hierarchy where it works.
pub(super) fn controllers() -> Vec<Check> {
    Controller::ALL.into_iter().map(controller).collect()
}

fn controller(controller: Controller) -> Check {
    let name = match controller {
        Controller::Cpu => "cgroup cpu controller",
        Controller::CpuAccounting => "cgroup cpu accounting",
        Controller::Memory => "cgroup memory controller",
        Controller::Pids => "cgroup pids controller",
        Controller::Io => "cgroup io controller",
    };
    let outcome = match cgroup::Hierarchy::mounted(controller) {
        Err(error) => Err(chain(&error)),
        Ok(mounted) if mounted.is_empty() => Err("no mounted hierarchy has it".to_owned()),
        Ok(mounted) => operated(&mounted, controller),
    };
    match outcome {
        Ok(why) => Check::usable(Subject::Resources, name, why),
        Err(why) => Check::unusable(Subject::Resources, name, why, Some(CONTROLLER_FIX)),
    }
}

fn operated(mounted: &[cgroup::Hierarchy], controller: Controller) -> Result<String, String> {
    let mut refused = Vec::new();
    for hierarchy in mounted {
        let version = match hierarchy.version {
            Version::V1 => "v1",
            Version::V2 => "v2",
        };
        match hierarchy.operate(controller) {
            Ok(()) => {
                let mount = hierarchy.mount.display();
                return Ok(format!(
                    "{version}: limited an empty cgroup of its own below {mount}"
                ));
            }
            Err(error) => refused.push(format!("{version}: {}", chain(&error))),
        }
    }
    Err(refused.join("; "))
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
