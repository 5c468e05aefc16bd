use std::time::{Duration, Instant};

use firedrill_kernel::{KernelError, Pidfd, ProcessIdentity, Signal};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, SkipReason, Skipped, chain};
use crate::primitive::Primitive;
use crate::residue::{Residue, Reverted};
use crate::state::{DrillId, wait};

/// A process stopped by SIGSTOP.
#[derive(Debug)]
pub(crate) struct StoppedProcess {
    process: ProcessIdentity,
    /// `None` when it was gone at the time a recovery took it up.
    pidfd: Option<Pidfd>,
    refused: Option<KernelError>,
}

/// How long a continued process may still read as stopped.
const SETTLE: Duration = Duration::from_millis(100);

impl StoppedProcess {
    pub(super) fn prepare(process: ProcessIdentity) -> Result<Prepared, EffectError> {
        let skipped = |why| Ok(Prepared::Skipped(Skipped { process, why }));
        let Some(pidfd) = Pidfd::open(&process)? else {
            return skipped(SkipReason::Vanished);
        };
        match process.stat()? {
            None => skipped(SkipReason::Vanished),
            Some(stat) if stat.state.is_stopped() => skipped(SkipReason::StoppedBefore),
            Some(_) => Ok(Prepared::ready(Self {
                process,
                pidfd: Some(pidfd),
                refused: None,
            })),
        }
    }

    pub(super) fn resume(process: ProcessIdentity) -> Result<Self, KernelError> {
        Ok(Self {
            process,
            pidfd: Pidfd::open(&process)?,
            refused: None,
        })
    }
}

impl Effect for StoppedProcess {
    fn primitive(&self) -> Primitive {
        Primitive::StopProcess {
            process: self.process,
        }
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        if let Some(pidfd) = &self.pidfd {
            pidfd.send(Signal::Stop)?;
        }
        Ok(())
    }

    fn release(&mut self) {
        if let Some(pidfd) = &self.pidfd {
            self.refused = pidfd.send(Signal::Cont).err();
        }
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        let process = self.process;
        if let Some(error) = self.refused.take() {
            let why = chain(&error);
            reverted
                .residue
                .push(Residue::CannotContinue { process, why });
            return reverted;
        }
        let start = Instant::now();
        loop {
            match process.stat() {
                Ok(None) => {
                    reverted.vanished.push(process);
                    return reverted;
                }
                Ok(Some(stat)) if stat.state.is_stopped() && start.elapsed() < SETTLE => {
                    wait(Duration::from_millis(1));
                }
                Ok(Some(stat)) if stat.state.is_stopped() => {
                    reverted.residue.push(Residue::StillStopped { process });
                    return reverted;
                }
                Ok(Some(_)) => {
                    reverted.undone = 1;
                    return reverted;
                }
                Err(error) => {
                    let why = chain(&error);
                    reverted
                        .residue
                        .push(Residue::CannotContinue { process, why });
                    return reverted;
                }
            }
        }
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let stopped = self
            .process
            .stat()?
            .is_some_and(|stat| stat.state.is_stopped());
        Ok(Observed::of(self.process, stopped))
    }
}
