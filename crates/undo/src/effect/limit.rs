use std::time::Duration;

use firedrill_kernel::cgroup::{Cgroup, Limit, Swap};
use firedrill_kernel::clock::boottime;

use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::primitive::{CgroupLimit, Primitive};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;
use crate::{Measurement, Quantity};

/// A cgroup with a tighter limit than it had.
#[derive(Debug)]
pub(crate) struct LimitedCgroup {
    limit: CgroupLimit,
    before: Limit,
    /// What its quota is measured from; absent for other limits.
    begun: Option<Usage>,
}

/// Processor time of a cgroup up to a point in time.
#[derive(Clone, Copy, Debug)]
struct Usage {
    at: Duration,
    /// Absent on v1 where another hierarchy counts it.
    used: Option<Duration>,
    throttled: Duration,
}

/// A shorter time says nothing: a quota is for a period, which is a tenth of a second.
const MEASURED_LEAST: Duration = Duration::from_millis(500);

impl LimitedCgroup {
    pub(super) fn prepare(limit: CgroupLimit) -> Result<Prepared, EffectError> {
        let before = limit.cgroup.limit(limit.limit.kind())?;
        Ok(Prepared::ready(Self {
            limit,
            before,
            begun: None,
        }))
    }

    /// Without the limit before there is nothing to go back to; the log never holds such an entry.
    pub(super) fn resume(limit: CgroupLimit) -> Option<Self> {
        let before = limit.before.clone()?;
        Some(Self {
            limit,
            before,
            begun: None,
        })
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
            Swap::Swapped(_) => {
                if let Limit::Cpu(_) = self.limit.limit {
                    self.begun = Usage::of(&self.limit.cgroup);
                }
                Ok(())
            }
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
        let mut observed = Observed::one(there, || {
            format!("the limit of {}", self.limit.cgroup.path.display())
        });
        if let (Limit::Cpu(quota), Some(begun)) = (&self.limit.limit, self.begun)
            && let Some(now) = Usage::of(&self.limit.cgroup)
            && now.at.saturating_sub(begun.at) >= MEASURED_LEAST
        {
            if now.throttled <= begun.throttled {
                observed
                    .idle
                    .push("it never wanted more than its quota".into());
            }
            let asked = quota
                .quota_us
                .map(|us| us as f64 / quota.period_us.max(1) as f64);
            let share = now.share_since(&begun);
            observed
                .measured
                .extend(share.map(|share| Measurement::exact(Quantity::CpuShare, asked, share)));
        }
        Ok(observed)
    }
}

impl Usage {
    fn of(cgroup: &Cgroup) -> Option<Self> {
        Some(Self {
            at: boottime(),
            used: cgroup.cpu_usage().ok(),
            throttled: cgroup.throttled().ok()?,
        })
    }

    fn share_since(&self, before: &Self) -> Option<f64> {
        let used = self.used?.saturating_sub(before.used?);
        let time = self.at.saturating_sub(before.at);
        Some(used.as_secs_f64() / time.as_secs_f64())
    }
}
