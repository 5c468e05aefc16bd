use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_kernel::cgroup::{Cgroup, Controller, Hierarchy};
use firedrill_kernel::signals::start_unblocked;
use firedrill_kernel::{KernelError, Pidfd, Presence, ProcessIdentity, Signal, process};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, SkipReason, Skipped, chain};
use crate::primitive::{Primitive, RestartCommand};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;

/// A process that was sent a signal to end it.
#[derive(Debug)]
pub(crate) struct KilledProcess {
    process: ProcessIdentity,
    signal: Signal,
    restart: Option<RestartCommand>,
    pidfd: Option<Pidfd>,
}

/// In the environment of what we restart, so that a second undo finds the first one's work.
const MARK: &str = "FIREDRILL_RESTART";

/// A SIGKILL that was sent may take this long to end its process.
const DYING: Duration = Duration::from_millis(500);

/// A program that was started has its environment within this time, on a busy machine too.
const SETTLING: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

impl KilledProcess {
    pub(super) fn prepare(
        process: ProcessIdentity,
        signal: Signal,
        restart: Option<RestartCommand>,
    ) -> Result<Prepared, EffectError> {
        let Some(pidfd) = Pidfd::open(&process)? else {
            return Ok(Prepared::Skipped(Skipped {
                process,
                why: SkipReason::Vanished,
            }));
        };
        let restart = match restart {
            Some(command) => Some(RestartCommand {
                cgroups: cgroups_of(process.pid)?,
                ..command
            }),
            None => None,
        };
        Ok(Prepared::ready(Self {
            process,
            signal,
            restart,
            pidfd: Some(pidfd),
        }))
    }

    pub(super) fn resume(
        process: ProcessIdentity,
        signal: Signal,
        restart: Option<RestartCommand>,
    ) -> Result<Self, KernelError> {
        Ok(Self {
            process,
            signal,
            restart,
            pidfd: Pidfd::open(&process)?,
        })
    }

    /// `None` when the target was never killed.
    fn restart_once(
        &self,
        drill: &DrillId,
        restart: &RestartCommand,
    ) -> Result<Option<ProcessIdentity>, String> {
        if let Some(pidfd) = &self.pidfd {
            // It may be dying of the signal just now.
            let ended = pidfd.wait_for_exit(DYING).map_err(|error| chain(&error))?;
            if !ended {
                return Ok(None);
            }
        }
        let mark = format!("{MARK}={drill}/{}", self.process);
        if let Some(running) = find_by_environment(&mark) {
            // Whoever started it may have died before it was moved.
            restart.move_home(running.pid);
            return Ok(Some(running));
        }
        let (program, arguments) = restart
            .argv
            .split_first()
            .ok_or_else(|| "the restart command is empty".to_owned())?;
        let mut command = Command::new(program);
        start_unblocked(&mut command)
            .args(arguments)
            .envs(&restart.env)
            .env(MARK, format!("{drill}/{}", self.process))
            .env_remove("FIREDRILL_SPARE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        if let Some(cwd) = &restart.cwd {
            command.current_dir(cwd);
        }
        let child = command
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        restart.move_home(child.id());
        ProcessIdentity::of(child.id())
            .map_err(|error| chain(&error))?
            .map(Some)
            .ok_or_else(|| format!("{program} ended at once"))
    }
}

impl RestartCommand {
    /// To where the target was. It runs in any case; where it may not be moved, it is where the
    /// guardian is.
    fn move_home(&self, pid: u32) {
        for cgroup in self.cgroups.iter().filter(|cgroup| cgroup.exists()) {
            let _ = cgroup.adopt(pid);
        }
    }
}

impl Effect for KilledProcess {
    fn primitive(&self) -> Primitive {
        Primitive::KillProcess {
            process: self.process,
            signal: self.signal,
            restart: self.restart.clone(),
        }
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        if let Some(pidfd) = &self.pidfd {
            pidfd.send(self.signal)?;
        }
        Ok(())
    }

    fn restore(&mut self, drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        let Some(restart) = &self.restart else {
            return reverted;
        };
        match self.restart_once(drill, restart) {
            Ok(Some(process)) => {
                reverted.restarted.push(process);
                reverted.undone = 1;
            }
            Ok(None) => {}
            Err(why) => reverted.residue.push(Residue::NotRestarted {
                process: self.process,
                why,
            }),
        }
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let gone = self.process.presence()? == Presence::Gone;
        Ok(Observed::of(self.process, gone))
    }
}

/// The cgroup of a process in every hierarchy that is mounted.
fn cgroups_of(pid: u32) -> Result<Vec<Cgroup>, KernelError> {
    let mut cgroups = Vec::new();
    for controller in Controller::ALL {
        for hierarchy in Hierarchy::mounted(controller)? {
            let cgroup = hierarchy.cgroup_of(controller, pid)?;
            cgroups.extend(cgroup.filter(|found| !cgroups.contains(found)));
        }
    }
    Ok(cgroups)
}

/// Looks again while a process is about to get its environment: it may be the one.
fn find_by_environment(mark: &str) -> Option<ProcessIdentity> {
    let limit = Instant::now() + SETTLING;
    loop {
        let processes = process::list().ok()?;
        let is_unsettled = |pid: &&u32| process::is_between_programs(**pid).unwrap_or(false);
        // Before the environments: what is settled by now has one.
        let unsettled = processes.iter().find(is_unsettled);
        let found = processes.iter().find_map(|pid| {
            let environment = process::environment(*pid).ok()??;
            let is_marked = environment.iter().any(|variable| variable == mark);
            is_marked.then(|| ProcessIdentity::of(*pid).ok()?)?
        });
        let (None, Some(pid), true) = (found, unsettled, Instant::now() < limit) else {
            return found;
        };
        if let Ok(Some(process)) = ProcessIdentity::of(*pid)
            && let Ok(Some(pidfd)) = Pidfd::open(&process)
        {
            let _ended = pidfd.wait_for_exit(LOOK_AGAIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_started_is_found_however_soon_one_looks() {
        for number in 0..200 {
            let mark = format!("FIREDRILL_TEST_MARK={}/{number}", std::process::id());
            let (name, value) = mark.split_once('=').unwrap();
            let mut started = Command::new("sleep")
                .arg("300")
                .env(name, value)
                .spawn()
                .unwrap();
            let found = find_by_environment(&mark);
            started.kill().unwrap();
            started.wait().unwrap();
            assert_eq!(found.map(|process| process.pid), Some(started.id()));
        }
    }
}
