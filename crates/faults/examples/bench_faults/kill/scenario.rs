use std::fs;
use std::time::{Duration, Instant};

use firedrill_kernel::process;
use firedrill_undo::{Filter, LeftAlone, StateDir, active_drills, recover};
use rustix::process::Signal;

use crate::Outcome;
use crate::bed::Bed;
use crate::cases::{Case, Ends};
use crate::owner::{Owner, Plan};
use crate::processes::{kill, our_processes, rest, signal, wait, workers};
use crate::snapshot::Snapshot;

/// Who is killed or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Struck {
    /// The guardian by itself, and each that replaces it at the same step.
    Itself,
    Owner,
    Guardian,
    Both,
    /// Owner, guardian and workers at once.
    Cgroup,
    /// Beyond the lease, then continued.
    OwnerStopped,
    GuardianStopped,
    Worker,
    WorkerStopped,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// While the guardian stands at that step.
    Step(&'static str),
    After(Duration),
    /// Once the effect is seen.
    InForce,
}

/// When the effect ended, after the blow.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    After(Duration),
    /// It could not end by itself, or was not in force.
    Unseen,
    /// The drill was over before that step.
    Unreached,
}

pub(super) struct Report {
    pub(super) ended: Ended,
    pub(super) problems: Vec<String>,
}

/// The bed, and how many drills there were on it.
pub(super) struct Lab {
    bed: Bed,
    number: u32,
}

const LEASE: Duration = Duration::from_millis(400);
const HOLD: Duration = Duration::from_millis(60);

/// Only a hang fails by it.
const LIMIT: Duration = Duration::from_secs(10);

impl Lab {
    pub(super) fn new(bed: Bed) -> Self {
        Self { bed, number: 0 }
    }

    /// Why a case cannot be tried here, if it cannot.
    pub(super) fn prepare(&mut self, case: &Case, engine: &str) -> Outcome<Option<String>> {
        self.bed.prepare(case, engine)
    }

    /// How everything is before a case.
    pub(super) fn settle(&mut self, case: &Case) -> Outcome<Snapshot> {
        self.bed.targets(case.aim)?;
        Snapshot::settled(&self.bed)
    }

    /// One drill, one blow, and what is promised after it.
    pub(super) fn play(
        &mut self,
        case: &Case,
        struck: Struck,
        when: When,
        before: &Snapshot,
    ) -> Outcome<Report> {
        self.number += 1;
        let state = tempfile::tempdir()?;
        let step = match when {
            When::Step(step) => Some(step),
            When::After(_) | When::InForce => None,
        };
        let (stop_at, crash_at) = match struck {
            Struck::Itself => (None, step),
            _ => (step, None),
        };
        let plan = Plan {
            state: state.path(),
            drill: "kill",
            lease: LEASE,
            hold: if let When::InForce = when {
                LIMIT
            } else {
                HOLD
            },
            stop_at,
            crash_at,
            seed: u64::from(self.number),
        };
        let mut owner = Owner::start(&mut self.bed, case, &plan)?;
        let mut problems = Vec::new();
        let mut ended = Ended::Unseen;
        if struck != Struck::Itself {
            match self.await_moment(&mut owner, case, when)? {
                Some(guardian) => {
                    ended = self.strike(&mut owner, guardian, case, struck, &mut problems)?;
                }
                None => {
                    ended = Ended::Unreached;
                    let said = owner.line()?;
                    if said.contains("error") {
                        problems.push(format!("the owner said {said}"));
                    }
                }
            }
        }
        self.bury(owner, &mut problems)?;
        undo_the_rest(&StateDir::at(state.path()), &mut problems)?;
        if case.ends == Ends::Never {
            // What the victim does on a signal is its own affair, and may be yet to come.
            self.bed.replace_victim()?;
        }
        if self.bed.wait_undisturbed(case, case.slack())?.is_none() {
            problems.push("its effect is still there after the recovery".into());
        }
        problems.extend(before.differences(&self.bed)?);
        if !problems.is_empty() {
            // What one scenario left must not fail the next.
            self.bed.targets(case.aim)?;
        }
        Ok(Report { ended, problems })
    }

    /// The guardian, once it is time; nothing when the drill was over before.
    fn await_moment(&mut self, owner: &mut Owner, case: &Case, when: When) -> Outcome<Option<u32>> {
        match when {
            When::After(time) => wait(time),
            When::InForce => {
                owner.line()?;
                self.bed.wait_disturbed(case, LIMIT)?;
            }
            When::Step(_) => {}
        }
        let end = Instant::now() + LIMIT;
        let id = owner.child.id();
        while Instant::now() < end {
            let guardian = guardian_of(id)?;
            match (when, guardian) {
                (When::Step(_), Some((pid, true))) => return Ok(Some(pid)),
                (When::After(_) | When::InForce, Some((pid, _))) => return Ok(Some(pid)),
                _ if owner.child.try_wait()?.is_some() => return Ok(None),
                _ => rest(),
            }
        }
        Err("the guardian neither came to its step nor ended".into())
    }

    fn strike(
        &mut self,
        owner: &mut Owner,
        guardian: u32,
        case: &Case,
        struck: Struck,
        problems: &mut Vec<String>,
    ) -> Outcome<Ended> {
        let start = Instant::now();
        match struck {
            Struck::Itself => {}
            Struck::Owner => {
                owner.child.kill()?;
                signal(guardian, Signal::CONT)?;
            }
            Struck::Guardian => kill(guardian)?,
            Struck::Both => {
                kill(guardian)?;
                owner.child.kill()?;
            }
            Struck::Cgroup => self.kill_cgroup()?,
            Struck::OwnerStopped => {
                signal(owner.child.id(), Signal::STOP)?;
                signal(guardian, Signal::CONT)?;
            }
            Struck::GuardianStopped => signal(guardian, Signal::STOP)?,
            Struck::Worker => workers()?.into_iter().try_for_each(kill)?,
            Struck::WorkerStopped => {
                for worker in workers()? {
                    signal(worker, Signal::STOP)?;
                }
            }
        }
        let helpless = matches!(
            struck,
            Struck::Both | Struck::Cgroup | Struck::GuardianStopped
        );
        let ended = if case.ends == Ends::Never || case.ends == Ends::ByGuardian && helpless {
            Ended::Unseen
        } else {
            match self.bed.wait_undisturbed(case, LEASE + case.slack())? {
                Some(since) => Ended::After(since.saturating_duration_since(start)),
                None => {
                    problems.push(format!(
                        "its effect was still there {} ms after the lease",
                        case.slack().as_millis()
                    ));
                    Ended::Unseen
                }
            }
        };
        if matches!(struck, Struck::OwnerStopped | Struck::GuardianStopped) {
            wait((LEASE + Duration::from_millis(20)).saturating_sub(start.elapsed()));
        }
        for pid in [owner.child.id(), guardian] {
            signal(pid, Signal::CONT)?;
        }
        if matches!(struck, Struck::Worker | Struck::WorkerStopped) {
            owner.child.kill()?;
        }
        Ok(ended)
    }

    fn kill_cgroup(&self) -> Outcome<()> {
        if fs::write(self.bed.cgroup.join("cgroup.kill"), "1").is_ok() {
            return Ok(());
        }
        // Before Linux 5.14 only one by one.
        let procs = fs::read_to_string(self.bed.cgroup.join("cgroup.procs"))?;
        let pids = procs.lines().filter_map(|line| line.parse().ok());
        pids.into_iter().try_for_each(kill)
    }

    /// Waits until nobody of the drill is left.
    fn bury(&self, owner: Owner, problems: &mut Vec<String>) -> Outcome<()> {
        if !owner.bury(LIMIT)? {
            problems.push("the owner did not end".into());
        }
        let end = Instant::now() + LIMIT;
        for word in ["guardian", "worker"] {
            while !our_processes(word)?.is_empty() {
                if Instant::now() >= end {
                    problems.push(format!("a {word} outlived its drill"));
                    our_processes(word)?.into_iter().try_for_each(kill)?;
                }
                rest();
            }
        }
        Ok(())
    }
}

/// What `firedrill recover` does, and what it may leave alone: nothing but an empty directory, of a
/// drill that never came to its first record.
fn undo_the_rest(state: &StateDir, problems: &mut Vec<String>) -> Outcome<()> {
    let report = recover(state, &Filter::All)?;
    for (_, left) in report.left {
        if left != LeftAlone::BeingCreated {
            problems.push(format!("the drill was left alone: {left}"));
        }
    }
    for recovered in report.recovered {
        let residue = recovered.reverted.residue.iter();
        problems.extend(residue.map(|residue| format!("residue: {residue}")));
    }
    if !active_drills(state)?.is_empty() {
        problems.push("the drill is still in the log".into());
    }
    Ok(())
}

impl Struck {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Itself => "guardian-kills-itself",
            Self::Owner => "owner",
            Self::Guardian => "guardian",
            Self::Both => "both",
            Self::Cgroup => "cgroup",
            Self::OwnerStopped => "owner-stopped",
            Self::GuardianStopped => "guardian-stopped",
            Self::Worker => "worker",
            Self::WorkerStopped => "worker-stopped",
        }
    }
}

/// The guardian that this owner has now, and whether it is stopped.
fn guardian_of(owner: u32) -> Outcome<Option<(u32, bool)>> {
    for pid in process::list()?.into_iter().rev() {
        if let Some(stat) = process::stat(pid)?
            && stat.parent == owner
            && !stat.is_gone()
        {
            return Ok(Some((pid, stat.state.is_stopped())));
        }
    }
    Ok(None)
}
