use std::time::Duration;

use firedrill_kernel::ProcessIdentity;
use serde::{Deserialize, Serialize};

use crate::primitive::Primitive;
use crate::residue::micros;
use crate::state::DrillId;

/// One line of the undo log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// The first: whose drill it is.
    Opened(Opened),
    /// Another guardian took over from a dead one.
    Resumed { guardian: ProcessIdentity },
    /// About to be applied; enough to undo it.
    Prepared { id: u64, effects: Vec<Primitive> },
    /// Applied. Missing, the effect may still be there.
    Applied { id: u64 },
    /// Undone.
    Done { id: u64 },
    /// Nothing more will be applied in this drill.
    Ended { ending: Ending },
}

/// Whose drill it is. `owner.boot` tells a later boot that volatile entries are void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Opened {
    /// Of the log's format; another one is not touched.
    pub format: u32,
    pub drill: DrillId,
    /// For people: the experiment's title, or the fault.
    pub label: String,
    pub owner: ProcessIdentity,
    pub guardian: ProcessIdentity,
    /// Seconds since the epoch.
    pub since: u64,
    #[serde(rename = "lease-us", with = "micros")]
    pub lease: Duration,
}

/// How a drill's right to apply faults ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Its owner said so.
    Finished,
    /// The lease ran out.
    Expired,
    /// Somebody asked the guardian to halt.
    Halted,
    /// The owner died, or closed its connection.
    OwnerDied,
    /// The guardian died; another recovered.
    GuardianDied,
}

/// The format this version writes and reads.
pub const FORMAT: u32 = 1;

impl Record {
    /// Its name in the log.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Resumed { .. } => "resumed",
            Self::Prepared { .. } => "prepared",
            Self::Applied { .. } => "applied",
            Self::Done { .. } => "done",
            Self::Ended { .. } => "ended",
        }
    }
}
