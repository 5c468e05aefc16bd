use std::path::PathBuf;
use std::time::Duration;

use firedrill_container::{Change, EngineError, Standing, State, Unpaused};
use firedrill_kernel::freezer::{self, Cgroup, Hierarchy, Version};
use firedrill_kernel::{KernelError, Presence};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, SkipReason, Skipped, chain};
use crate::primitive::{ContainerRun, Primitive};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;

/// A container paused through its engine.
#[derive(Debug)]
pub(crate) struct PausedContainer {
    run: ContainerRun,
    hold: Hold,
}

/// Whether there is a pause of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Ours,
    /// Somebody else paused it between the look and the pause.
    Theirs,
    /// The engine did not answer: it may pause it yet.
    Unanswered,
}

/// What an engine may take to pause: less than a lease, which other faults in force depend on.
const TO_PAUSE: Duration = Duration::from_secs(4);

/// What it may take to answer while undoing. It takes some milliseconds; one that takes longer is
/// dead or hangs, and then the cgroup is thawed without it.
const TO_UNDO: Duration = Duration::from_secs(2);

impl PausedContainer {
    pub(super) fn prepare(run: ContainerRun) -> Result<Prepared, EffectError> {
        let skipped = |why| {
            let process = run.process;
            Ok(Prepared::Skipped(Skipped { process, why }))
        };
        let details = match run.container.standing_within(TO_UNDO)? {
            Standing::Gone | Standing::Restarted(_) => return skipped(SkipReason::Vanished),
            Standing::Same(details) => details,
        };
        if details.paused || details.frozen == Some(true) {
            return skipped(SkipReason::StoppedBefore);
        }
        if details.state != State::Running {
            return skipped(SkipReason::Vanished);
        }
        Ok(Prepared::ready(Self {
            run,
            hold: Hold::Ours,
        }))
    }

    pub(super) fn resume(run: ContainerRun) -> Self {
        Self {
            run,
            hold: Hold::Ours,
        }
    }

    /// The engine unpaused it: is it as it was?
    fn compare(&self, reverted: &mut Reverted) {
        let what = self.run.in_words();
        match self.run.container.standing_within(TO_UNDO) {
            Ok(Standing::Same(details)) if details.state == State::Running && !details.paused => {
                reverted.undone = 1;
            }
            Ok(Standing::Same(details)) => reverted.residue.push(Residue::Differs {
                what,
                difference: format!("it was running, and is {}", details.state),
            }),
            Ok(Standing::Restarted(_) | Standing::Gone) => {
                reverted.vanished.push(self.run.process);
            }
            // It said that it did; whether more differs is not known.
            Err(_) => reverted.undone = 1,
        }
    }

    /// Without the engine, which is dead, hangs, or refuses.
    fn thaw(&self, refusal: &EngineError, reverted: &mut Reverted) {
        let what = self.run.in_words();
        match thaw_directly(&self.run) {
            Ok(Thawed::Gone) => reverted.vanished.push(self.run.process),
            Ok(_) if self.hold == Hold::Unanswered => {
                reverted.residue.push(Residue::EffectLeft {
                    effect: format!("the pause of {what}"),
                    why: format!(
                        "its engine has not answered, and may pause it yet: {}",
                        chain(refusal)
                    ),
                });
            }
            Ok(Thawed::Running) => reverted.undone = 1,
            Ok(Thawed::ByUs) => {
                reverted.undone = 1;
                reverted.residue.push(Residue::Differs {
                    what,
                    difference: format!(
                        "it runs, because its cgroup was thawed directly; its engine, which may \
                         still show it as paused, did not do it: {}",
                        chain(refusal)
                    ),
                });
            }
            Err((cgroup, error)) => reverted.residue.push(Residue::StillFrozen {
                cgroup,
                why: format!("{}; and the engine: {}", chain(&error), chain(refusal)),
            }),
        }
    }
}

impl Effect for PausedContainer {
    fn primitive(&self) -> Primitive {
        Primitive::PauseContainer(self.run.clone())
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        let engine = self.run.container.engine().within(TO_PAUSE);
        match engine.pause(&self.run.container.id) {
            Ok(Change::Done) => Ok(()),
            Ok(Change::Already) => {
                self.hold = Hold::Theirs;
                Err(EffectError::Changed {
                    what: self.run.in_words(),
                })
            }
            Err(error) => {
                if matches!(
                    error,
                    EngineError::Late { .. } | EngineError::Connection { .. }
                ) {
                    self.hold = Hold::Unanswered;
                }
                Err(error.into())
            }
        }
    }

    /// All of the undo is here: only the engine can end its own pause, and it is asked after every
    /// release of other effects, since it may hang.
    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        if self.hold == Hold::Theirs {
            return reverted;
        }
        match self.run.container.unpause_within(TO_UNDO) {
            Ok(Unpaused::ByUs | Unpaused::Before) => self.compare(&mut reverted),
            Ok(Unpaused::Restarted | Unpaused::Gone) => reverted.vanished.push(self.run.process),
            Err(error) => self.thaw(&error, &mut reverted),
        }
        reverted
    }

    /// The kernel is asked, which knows it even when the engine is dead.
    fn observe(&mut self) -> Result<Observed, EffectError> {
        let mut paused = false;
        let freezers = freezers(&self.run)?;
        for (version, cgroup) in &freezers {
            paused |= freezer::is_told_to_freeze(*version, cgroup)?;
        }
        // An engine whose freezer is not to be seen from here.
        if freezers.is_empty() {
            paused = match self.run.container.standing_within(TO_UNDO)? {
                Standing::Same(details) => details.paused,
                Standing::Restarted(_) | Standing::Gone => false,
            };
        }
        Ok(Observed::one(paused, || self.run.in_words()))
    }
}

/// What came of doing it without the engine.
enum Thawed {
    ByUs,
    /// Nothing of it was frozen.
    Running,
    /// Its first process has ended, and the run with it.
    Gone,
}

fn thaw_directly(run: &ContainerRun) -> Result<Thawed, (PathBuf, KernelError)> {
    let nowhere = |error| (PathBuf::from("/proc"), error);
    if run.process.presence().map_err(nowhere)? == Presence::Gone {
        return Ok(Thawed::Gone);
    }
    let mut thawed = Thawed::Running;
    for (version, cgroup) in freezers(run).map_err(nowhere)? {
        let failed = |error| (cgroup.clone(), error);
        if freezer::is_told_to_freeze(version, &cgroup).map_err(failed)? {
            Cgroup::open(version, &cgroup)
                .and_then(|freezer| freezer.thaw())
                .map_err(failed)?;
            thawed = Thawed::ByUs;
        }
    }
    Ok(thawed)
}

/// The cgroups of the run in which it can be frozen, innermost first. Engines name a container's
/// cgroup by its id; what is above belongs to others too.
fn freezers(run: &ContainerRun) -> Result<Vec<(Version, PathBuf)>, KernelError> {
    let mut found = Vec::new();
    if run.process.presence()? == Presence::Gone {
        return Ok(found);
    }
    let id = run.container.id.as_str();
    for hierarchy in Hierarchy::mounted()? {
        let Some(cgroup) = hierarchy.cgroup_of(run.process.pid)? else {
            continue;
        };
        let own = cgroup
            .ancestors()
            .take_while(|path| path.to_string_lossy().contains(id));
        found.extend(own.map(|path| (hierarchy.version, path.to_owned())));
    }
    Ok(found)
}
