//! What an undo did, and what it could not.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use firedrill_kernel::ProcessIdentity;
use serde::{Deserialize, Serialize};

/// The result of an undo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverted {
    /// From the request (or the owner's death, or the deadline) until every effect was gone.
    #[serde(rename = "took-us", with = "micros")]
    pub took: Duration,
    /// Effects that were taken back.
    pub undone: usize,
    /// Targets that had ended by themselves: there was nothing to take back.
    pub vanished: Vec<ProcessIdentity>,
    /// What the restart commands started.
    pub restarted: Vec<ProcessIdentity>,
    /// Differences from the state before.
    pub residue: Vec<Residue>,
}

/// One difference between the host before the fault and after its undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "residue", rename_all = "kebab-case")]
pub enum Residue {
    /// A target that is still stopped.
    StillStopped { process: ProcessIdentity },
    /// A target that could not be signalled.
    CannotContinue {
        process: ProcessIdentity,
        why: String,
    },
    /// A cgroup that is still frozen.
    StillFrozen { cgroup: PathBuf, why: String },
    /// A target that could not go back to the cgroup it came from.
    NotMovedBack {
        process: ProcessIdentity,
        origin: PathBuf,
        why: String,
    },
    /// A cgroup of ours that could not be removed.
    CgroupLeft { cgroup: PathBuf, why: String },
    /// A killed target whose restart command did not start.
    NotRestarted {
        process: ProcessIdentity,
        why: String,
    },
    /// What could not be looked at after the undo: whether something of ours is gone, or something
    /// of others as it was.
    Unknown { whether: String, why: String },
    /// An effect that could not be taken back.
    EffectLeft { effect: String, why: String },
    /// Something that is not as it was before.
    Differs { what: String, difference: String },
    /// What the fault touched was changed by somebody else while it was in place; reported, never
    /// put back.
    ChangedMeanwhile { what: String, difference: String },
    /// The owner's rollbacks did not run to their end.
    RollbacksFailed { why: String },
    /// Of a target's process group or descent, and stopped during the fault by somebody else;
    /// reported, never continued.
    StoppedMeanwhile { process: ProcessIdentity },
}

impl Residue {
    /// Whether our own effect is still there, or may be, so that its log entry must stay open.
    #[must_use]
    pub fn keeps_the_entry_open(&self) -> bool {
        match self {
            Self::CannotContinue { .. }
            | Self::StillFrozen { .. }
            | Self::NotMovedBack { .. }
            | Self::EffectLeft { .. }
            | Self::Unknown { .. } => true,
            Self::StillStopped { .. }
            | Self::CgroupLeft { .. }
            | Self::NotRestarted { .. }
            | Self::Differs { .. }
            | Self::ChangedMeanwhile { .. }
            | Self::RollbacksFailed { .. }
            | Self::StoppedMeanwhile { .. } => false,
        }
    }

    /// Whether a later recovery, with somebody to tell, should do it again.
    pub(crate) fn is_worth_another_try(&self) -> bool {
        matches!(
            self,
            Self::NotRestarted { .. } | Self::RollbacksFailed { .. }
        )
    }
}

impl Reverted {
    /// Adds the result of another entry; the longer time counts.
    pub fn merge(&mut self, other: Self) {
        self.took = self.took.max(other.took);
        self.undone += other.undone;
        self.vanished.extend(other.vanished);
        self.restarted.extend(other.restarted);
        self.residue.extend(other.residue);
    }
}

impl fmt::Display for Residue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StillStopped { process } => {
                write!(f, "process {} is still stopped", process.pid)
            }
            Self::CannotContinue { process, why } => {
                write!(f, "process {} could not be continued: {why}", process.pid)
            }
            Self::StillFrozen { cgroup, why } => {
                write!(f, "cgroup {} is still frozen: {why}", cgroup.display())
            }
            Self::NotMovedBack {
                process,
                origin,
                why,
            } => write!(
                f,
                "process {} could not go back to {}: {why}",
                process.pid,
                origin.display()
            ),
            Self::CgroupLeft { cgroup, why } => {
                write!(f, "cgroup {} could not be removed: {why}", cgroup.display())
            }
            Self::NotRestarted { process, why } => {
                write!(f, "process {} was not started again: {why}", process.pid)
            }
            Self::EffectLeft { effect, why } => {
                write!(f, "{effect} could not be taken back: {why}")
            }
            Self::Unknown { whether, why } => {
                write!(f, "it is not known whether {whether}: {why}")
            }
            Self::Differs { what, difference } => {
                write!(f, "{what} is not as it was: {difference}")
            }
            Self::ChangedMeanwhile { what, difference } => {
                write!(f, "{what} is not as it was before the fault: {difference}")
            }
            Self::RollbacksFailed { why } => write!(f, "the rollbacks failed: {why}"),
            Self::StoppedMeanwhile { process } => write!(
                f,
                "process {} was stopped by somebody else during the fault",
                process.pid
            ),
        }
    }
}

/// Durations as whole microseconds.
pub(crate) mod micros {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}
