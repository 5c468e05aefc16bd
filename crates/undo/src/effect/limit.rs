use std::time::Duration;

use firedrill_kernel::cgroup::{Limit, Swap};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::primitive::{CgroupLimit, Primitive};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;

/// A cgroup with a tighter limit than it had.
#[derive(Debug)]
pub(crate) struct LimitedCgroup {
    limit: CgroupLimit,
    before: Limit,
}

impl LimitedCgroup {
    pub(super) fn prepare(limit: CgroupLimit) -> Result<Prepared, EffectError> {
        let before = limit.cgroup.limit(limit.limit.kind())?;
        Ok(Prepared::ready(Self { limit, before }))
    }

    /// Without the limit before there is nothing to go back to; the log never holds such an entry.
    pub(super) fn resume(limit: CgroupLimit) -> Option<Self> {
        let before = limit.before.clone()?;
        Some(Self { limit, before })
    }
}

impl Effect for LimitedCgroup {
    fn primitive(&self) -> Primitive {
        Primitive::LimitCgroup(CgroupLimit {
            before: Some(self.before.clone()),
            ..self.limit.clone()
        })
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        match self.limit.cgroup.swap(&self.before, &self.limit.limit)? {
            Swap::Swapped(_) => Ok(()),
            Swap::Differs(_) => Err(EffectError::Changed {
                what: format!("the limit of {}", self.limit.cgroup.path.display()),
            }),
            Swap::Gone => Err(EffectError::Vanished {
                what: format!("the cgroup {}", self.limit.cgroup.path.display()),
            }),
        }
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        let cgroup = &self.limit.cgroup;
        match cgroup.swap(&self.limit.limit, &self.before) {
            Ok(Swap::Swapped(_)) => reverted.undone = 1,
            Ok(Swap::Gone) => {}
            // Never applied, or undone already.
            Ok(Swap::Differs(present)) if present == self.before => {}
            Ok(Swap::Differs(present)) => reverted.residue.push(Residue::Differs {
                what: format!("the limit of {}", cgroup.path.display()),
                difference: format!(
                    "somebody else set it to {present:?} during the fault; it was {:?}",
                    self.before
                ),
            }),
            Err(error) => reverted.residue.push(Residue::EffectLeft {
                effect: format!("the limit of {}", cgroup.path.display()),
                why: chain(&error),
            }),
        }
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let present = self.limit.cgroup.limit(self.limit.limit.kind())?;
        let there = present == self.limit.limit.as_kept();
        Ok(Observed::one(there, || {
            format!("the limit of {}", self.limit.cgroup.path.display())
        }))
    }
}
