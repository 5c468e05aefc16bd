use std::time::{Duration, Instant};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::primitive::{Primitive, ServiceStop};
use crate::residue::{Residue, Reverted};
use crate::state::{DrillId, wait};
use crate::systemd::{ServiceError, ServiceManager};

/// A unit that its manager was told to stop.
#[derive(Debug)]
pub(crate) struct StoppedService {
    stop: ServiceStop,
    /// Connected before the fault, so that its undo opens nothing.
    manager: Option<ServiceManager>,
}

/// How long a unit may take to be active again before it is called residue: an owner waits for the
/// answer a little longer.
const START_LIMIT: Duration = Duration::from_secs(8);

const LOOK_EVERY: Duration = Duration::from_millis(20);

impl StoppedService {
    pub(super) fn prepare(stop: ServiceStop) -> Result<Prepared, EffectError> {
        let mut manager = ServiceManager::at(&stop.manager)?;
        let state = manager.active_state(&stop.unit)?;
        if state != "active" {
            let unit = stop.unit;
            return Err(EffectError::NotActive { unit, state });
        }
        Ok(Prepared::ready(Self {
            stop,
            manager: Some(manager),
        }))
    }

    pub(super) fn resume(stop: ServiceStop) -> Self {
        Self {
            stop,
            manager: None,
        }
    }

    /// The connection, a new one where the old one has failed.
    fn manager(&mut self) -> Result<&mut ServiceManager, ServiceError> {
        let manager = match self.manager.take() {
            Some(manager) => manager,
            None => ServiceManager::at(&self.stop.manager)?,
        };
        Ok(self.manager.insert(manager))
    }

    fn state(&mut self) -> Result<String, ServiceError> {
        let unit = self.stop.unit.clone();
        self.manager()?.active_state(&unit)
    }

    /// Starts what is inactive, and waits until it is active; whether there was anything to do.
    fn start_again(&mut self) -> Result<bool, ServiceError> {
        let unit = self.stop.unit.clone();
        if is_up(&self.state()?) {
            return Ok(false);
        }
        self.manager()?.start(&unit)?;
        let begun = Instant::now();
        let mut reset = false;
        loop {
            let state = self.state()?;
            if is_up(&state) {
                return Ok(true);
            }
            if state == "failed" && !reset {
                // Our stops and starts count against the unit's limit of starts.
                reset = true;
                self.manager()?.reset_failed(&unit)?;
                self.manager()?.start(&unit)?;
            }
            if begun.elapsed() >= START_LIMIT {
                return Err(ServiceError::NotActive { unit, state });
            }
            wait(LOOK_EVERY);
        }
    }
}

/// Active, or about to be, without us.
fn is_up(state: &str) -> bool {
    matches!(state, "active" | "reloading" | "refreshing")
}

impl Effect for StoppedService {
    fn primitive(&self) -> Primitive {
        Primitive::StopService(self.stop.clone())
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        let unit = self.stop.unit.clone();
        Ok(self.manager()?.stop(&unit)?)
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        let first = self.start_again();
        let started = match first {
            Ok(_) | Err(ServiceError::NotActive { .. }) => first,
            Err(_) => {
                // The manager may have been executed anew, which closes its connections.
                self.manager = None;
                self.start_again()
            }
        };
        match started {
            Ok(started) => reverted.undone = usize::from(started),
            Err(error) => reverted.residue.push(Residue::EffectLeft {
                effect: format!("the stop of {}", self.stop.unit),
                why: chain(&error),
            }),
        }
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let state = self.state()?;
        let down = matches!(state.as_str(), "inactive" | "failed");
        let unit = &self.stop.unit;
        Ok(Observed::one(down, || format!("{unit} is {state}")))
    }
}
