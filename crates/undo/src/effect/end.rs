use std::time::Duration;

use firedrill_kernel::power;

use super::{Effect, EffectError, Observed, OwnerState, Prepared};
use crate::primitive::{Ending, Primitive};
use crate::residue::Reverted;
use crate::state::DrillId;

/// The end of the host, which the next boot finds in the log.
#[derive(Debug)]
pub(crate) struct EndedHost(Ending);

impl EndedHost {
    pub(super) fn prepare(ending: Ending) -> Result<Prepared, EffectError> {
        if !power::is_the_host()? {
            return Err(EffectError::NotTheHost);
        }
        Ok(Prepared::ready(Self(ending)))
    }
}

impl Effect for EndedHost {
    fn primitive(&self) -> Primitive {
        Primitive::EndHost(self.0)
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        if self.0.sync {
            power::sync_disks();
        }
        Ok(power::end_host(self.0.end)?)
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        Reverted::default()
    }

    /// Whoever can still look sees that it is not there.
    fn observe(&mut self) -> Result<Observed, EffectError> {
        Ok(Observed::one(false, || "the end of the host".into()))
    }
}
