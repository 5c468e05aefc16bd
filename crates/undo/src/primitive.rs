//! The closed set of effects, each with its inverse.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use firedrill_kernel::{ProcessIdentity, Signal, freezer};
use serde::{Deserialize, Serialize};

/// One effect on this host. What it says before it is applied is enough to undo it: names and
/// identities are chosen first, logged second, and used third.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Primitive {
    /// SIGSTOP; inverse: SIGCONT. Skipped where the process is stopped already.
    StopProcess { process: ProcessIdentity },
    /// A cgroup freezer; inverse: thaw, move back, remove the cgroup if it is our own.
    FreezeCgroup(Freeze),
    /// A signal that ends the process; inverse: the restart command, where there is one.
    KillProcess {
        process: ProcessIdentity,
        signal: Signal,
        restart: Option<RestartCommand>,
    },
    /// No effect; inverse: this command, run only when the owner is dead or lost its lease. A
    /// living owner runs its own rollbacks.
    RunRollbacks { argv: Vec<String> },
}

/// Processes to freeze together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    pub version: freezer::Version,
    pub cgroup: PathBuf,
    pub kind: FreezeKind,
    pub members: Vec<FrozenMember>,
}

/// Whose the frozen cgroup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreezeKind {
    /// Ours: created for the fault, the members moved in and later back.
    Own,
    /// It existed, and the members are all that it holds.
    Existing,
}

/// A process to freeze, and the cgroup it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenMember {
    pub process: ProcessIdentity,
    pub origin: PathBuf,
}

/// How to start a killed process again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartCommand {
    pub argv: Vec<String>,
    /// Where to run it; the guardian's directory (that of the command line) when absent.
    pub cwd: Option<PathBuf>,
    /// Added to the guardian's environment. Readable in the undo log by its owner: no secrets.
    pub env: BTreeMap<String, String>,
}

/// By what means an effect is had; the journal names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    Sigstop,
    FreezerV1,
    FreezerV2,
    Signal,
    Rollbacks,
}

impl Primitive {
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::StopProcess { .. } => Mechanism::Sigstop,
            Self::FreezeCgroup(freeze) => match freeze.version {
                freezer::Version::V1 => Mechanism::FreezerV1,
                freezer::Version::V2 => Mechanism::FreezerV2,
            },
            Self::KillProcess { .. } => Mechanism::Signal,
            Self::RunRollbacks { .. } => Mechanism::Rollbacks,
        }
    }

    /// The processes it touches.
    #[must_use]
    pub fn targets(&self) -> Vec<ProcessIdentity> {
        match self {
            Self::StopProcess { process } | Self::KillProcess { process, .. } => vec![*process],
            Self::FreezeCgroup(freeze) => freeze.members.iter().map(|m| m.process).collect(),
            Self::RunRollbacks { .. } => Vec::new(),
        }
    }

    /// Whether a reboot undoes it: then an entry of another boot is discarded.
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        !matches!(self, Self::RunRollbacks { .. })
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sigstop => "SIGSTOP",
            Self::FreezerV1 => "cgroup v1 freezer",
            Self::FreezerV2 => "cgroup v2 freezer",
            Self::Signal => "signal",
            Self::Rollbacks => "rollback command",
        })
    }
}
