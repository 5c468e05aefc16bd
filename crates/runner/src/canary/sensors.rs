//! What tells of both arms: the proxy that divides them, or a source for each.

use firedrill_experiment::journal::{ArmsRecord, Verdict};
use firedrill_judge::canary::Batch;

use super::apart::Apart;
use super::ask::Arms;
use super::behind::Behind;
use super::sense::Sense;

pub(super) enum Sensors {
    Route(Box<OfRoute>),
    Apart(Box<Apart>),
}

/// The proxy's counts, and those of the fault's own route where that is another.
pub(super) struct OfRoute {
    pub(super) sense: Sense,
    pub(super) behind: Option<Behind>,
}

impl Sensors {
    /// What both arms did since the last look; none where that is not known yet.
    ///
    /// # Errors
    /// Why it cannot be believed.
    pub(super) fn look(&mut self, arms: &Arms) -> Result<Option<[Batch; 2]>, String> {
        match (self, arms) {
            (Self::Route(route), Arms::Route(shares)) => {
                tokio::task::block_in_place(|| route.sense.look(shares))?;
                let (control, experiment) = route.sense.batches();
                Ok(Some([control, experiment]))
            }
            (Self::Apart(apart), _) => apart.look(),
            (Self::Route(_), Arms::Apart(_)) => Ok(None),
        }
    }

    /// Adds what came since the last look to what is recorded.
    pub(super) fn add_to(&self, record: &mut ArmsRecord) {
        match self {
            Self::Route(route) => route.sense.add_to(record),
            Self::Apart(apart) => apart.add_to(record),
        }
    }

    /// The fault is in place from here on.
    pub(super) fn begin_anew(&mut self) {
        match self {
            Self::Route(route) => route.sense.begin_anew(),
            Self::Apart(apart) => {
                apart.turn();
            }
        }
    }

    /// Why this is not to be claimed.
    pub(super) fn doubt(&self, verdict: Verdict) -> Option<String> {
        match (self, verdict) {
            (Self::Apart(apart), Verdict::Held) => apart.doubt(false),
            (Self::Apart(apart), Verdict::Broken) => apart.doubt(true),
            _ => None,
        }
    }
}
