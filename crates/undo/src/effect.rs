//! A primitive in force: applying it, taking it back, looking at it.
//!
//! Taking back has two steps. [`Held::release`] is one system call per target on a descriptor that
//! is open already: it allocates, forks and opens nothing, so it works on a starved host.
//! [`Held::restore`] does what may need more (moving back, restarting), after every release.

mod freeze;
mod kill;
mod rollbacks;
mod stop;

use firedrill_kernel::{KernelError, ProcessIdentity};
use serde::{Deserialize, Serialize};

use crate::primitive::Primitive;
use crate::residue::Reverted;
use crate::state::DrillId;

use freeze::FrozenCgroup;
use kill::KilledProcess;
use rollbacks::Rollbacks;
use stop::StoppedProcess;

/// A primitive with the descriptors that taking it back needs.
#[derive(Debug)]
pub(crate) enum Held {
    Stop(StoppedProcess),
    Freeze(FrozenCgroup),
    Kill(KilledProcess),
    Rollbacks(Rollbacks),
}

/// What came of preparing a primitive.
#[derive(Debug)]
pub(crate) enum Prepared {
    Ready(Held),
    Skipped(Skipped),
}

/// A target left alone, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub process: ProcessIdentity,
    pub why: SkipReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// It ended before it was touched.
    Vanished,
    /// It was stopped or frozen before: continuing it would not be an undo.
    StoppedBefore,
}

/// Why a primitive could not be applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EffectError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("{process} is not a process of this pid namespace")]
    OtherNamespace { process: ProcessIdentity },
    #[error("the cgroup {} holds process {pid}, which is not a target", cgroup.display())]
    Bystander {
        cgroup: std::path::PathBuf,
        pid: u32,
    },
}

/// Why something is undone; it decides whether the owner's rollbacks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerState {
    /// It is there, and runs its own rollbacks.
    Present,
    /// Dead, or its lease ran out: it must not act any more.
    Lost,
}

/// How much of an effect is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Targets that were asked for.
    pub requested: usize,
    /// Targets on which the effect is seen.
    pub achieved: usize,
    /// Targets on which it is not.
    pub missing: Vec<ProcessIdentity>,
}

impl Held {
    /// Opens what applying and undoing need; changes nothing.
    pub(crate) fn prepare(primitive: Primitive) -> Result<Prepared, EffectError> {
        for process in primitive.targets() {
            if process.presence()? == firedrill_kernel::Presence::ElsewhereUnknown {
                return Err(EffectError::OtherNamespace { process });
            }
        }
        match primitive {
            Primitive::StopProcess { process } => StoppedProcess::prepare(process),
            Primitive::FreezeCgroup(freeze) => FrozenCgroup::prepare(freeze),
            Primitive::KillProcess {
                process,
                signal,
                restart,
            } => KilledProcess::prepare(process, signal, restart),
            Primitive::RunRollbacks { argv } => {
                Ok(Prepared::Ready(Self::Rollbacks(Rollbacks::new(argv))))
            }
        }
    }

    /// Takes up a primitive from the log of another process, to undo it.
    pub(crate) fn resume(primitive: Primitive) -> Result<Self, KernelError> {
        Ok(match primitive {
            Primitive::StopProcess { process } => Self::Stop(StoppedProcess::resume(process)?),
            Primitive::FreezeCgroup(freeze) => Self::Freeze(FrozenCgroup::resume(freeze)),
            Primitive::KillProcess {
                process,
                signal,
                restart,
            } => Self::Kill(KilledProcess::resume(process, signal, restart)?),
            Primitive::RunRollbacks { argv } => Self::Rollbacks(Rollbacks::new(argv)),
        })
    }

    /// The primitive as it goes to the log: without what was skipped.
    pub(crate) fn primitive(&self) -> Primitive {
        match self {
            Self::Stop(stop) => stop.primitive(),
            Self::Freeze(freeze) => freeze.primitive(),
            Self::Kill(kill) => kill.primitive(),
            Self::Rollbacks(rollbacks) => rollbacks.primitive(),
        }
    }

    pub(crate) fn apply(&mut self) -> Result<(), EffectError> {
        match self {
            Self::Stop(stop) => stop.apply(),
            Self::Freeze(freeze) => freeze.apply(),
            Self::Kill(kill) => kill.apply(),
            Self::Rollbacks(_) => Ok(()),
        }
    }

    /// Takes the effect back as far as one system call can. Errors are kept for [`Self::restore`].
    pub(crate) fn release(&mut self) {
        match self {
            Self::Stop(stop) => stop.release(),
            Self::Freeze(freeze) => freeze.release(),
            Self::Kill(_) | Self::Rollbacks(_) => {}
        }
    }

    /// Takes back the rest, and compares.
    pub(crate) fn restore(&mut self, drill: &DrillId, owner: OwnerState) -> Reverted {
        match self {
            Self::Stop(stop) => stop.compare(),
            Self::Freeze(freeze) => freeze.restore(),
            Self::Kill(kill) => kill.restore(drill),
            Self::Rollbacks(rollbacks) => rollbacks.restore(owner),
        }
    }

    pub(crate) fn observe(&self) -> Result<Observed, KernelError> {
        match self {
            Self::Stop(stop) => stop.observe(),
            Self::Freeze(freeze) => freeze.observe(),
            Self::Kill(kill) => kill.observe(),
            Self::Rollbacks(_) => Ok(Observed::default()),
        }
    }

    /// Whether it stays until the owner is lost: a halt leaves rollbacks to the living owner.
    pub(crate) fn waits_for_owner(&self) -> bool {
        matches!(self, Self::Rollbacks(_))
    }
}

impl Observed {
    pub(crate) fn merge(&mut self, other: Self) {
        self.requested += other.requested;
        self.achieved += other.achieved;
        self.missing.extend(other.missing);
    }

    /// Whether the effect is on every target.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.achieved == self.requested
    }

    fn of(process: ProcessIdentity, achieved: bool) -> Self {
        Self {
            requested: 1,
            achieved: usize::from(achieved),
            missing: if achieved { Vec::new() } else { vec![process] },
        }
    }
}

/// An error and its causes, in one line, for a report that outlives the process.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
