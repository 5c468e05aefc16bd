use std::time::Duration;

use firedrill_kernel::clock::boottime;
use firedrill_worker::{Job, WorkerConfig, WorkerError, WorkerHandle};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::primitive::{Primitive, Work};
use crate::residue::{Residue, Reverted};
use crate::snapshot::session_left;
use crate::state::DrillId;
use crate::{Measurement, Quantity};

/// A worker of ours that holds the fault. It dies with its guardian, and at its deadline.
#[derive(Debug)]
pub(crate) struct HeldByWorker {
    work: Work,
    /// The deadline it was last told, on BOOTTIME.
    asked: Duration,
    /// Absent before it is applied, and in a recovery: then it died with its guardian.
    worker: Option<WorkerHandle>,
    /// When it was last told a new deadline that it has not confirmed yet.
    unconfirmed_since: Option<Duration>,
    refused: Option<String>,
}

/// How long a worker may take to say what it achieved.
const MEASURE_LIMIT: Duration = Duration::from_millis(500);

/// One that does not confirm a renewal for this long is stopped or stuck, and is killed: what a
/// dead worker held is free again.
const SILENCE_LIMIT: Duration = Duration::from_secs(1);

/// How long a killed worker may take to be gone; much memory takes its time.
const DYING_LIMIT: Duration = Duration::from_secs(5);

impl HeldByWorker {
    pub(super) fn prepare(work: Work) -> Result<Prepared, EffectError> {
        if matches!(work.job, Job::Memory(_)) && !is_spared_by_oom_killer() {
            return Err(EffectError::GuardianNotSpared);
        }
        Ok(Prepared::ready(Self::resume(work)))
    }

    pub(super) fn resume(work: Work) -> Self {
        Self {
            work,
            asked: Duration::ZERO,
            worker: None,
            unconfirmed_since: None,
            refused: None,
        }
    }

    /// Kills a worker that has not answered for too long.
    fn watch(&mut self, worker: &mut WorkerHandle, asked: Duration) {
        match worker.last_beat() {
            Ok(confirmed) if confirmed >= asked => self.unconfirmed_since = None,
            _ => {
                let since = *self.unconfirmed_since.get_or_insert_with(boottime);
                if boottime().saturating_sub(since) >= SILENCE_LIMIT {
                    self.refused = worker.kill().err().map(|error| chain(&error));
                }
            }
        }
    }
}

impl Effect for HeldByWorker {
    fn primitive(&self) -> Primitive {
        Primitive::RunWorker(self.work.clone())
    }

    fn apply(&mut self, deadline: Duration) -> Result<(), EffectError> {
        let mut config = WorkerConfig {
            place: self.work.place.clone(),
            ..WorkerConfig::new()
        };
        // Nothing may keep this process from looking at the deadline.
        let left = deadline.saturating_sub(boottime());
        config.start_limit = config.start_limit.min(left);
        self.worker = Some(WorkerHandle::spawn(&config, &self.work.job, deadline)?);
        self.asked = deadline;
        Ok(())
    }

    fn renew(&mut self, deadline: Duration) {
        let Some(mut worker) = self.worker.take() else {
            return;
        };
        self.watch(&mut worker, self.asked);
        // One that has ended is seen when it is observed.
        let _ = worker.extend(deadline);
        self.asked = deadline;
        self.worker = Some(worker);
    }

    fn release(&mut self) {
        if let Some(worker) = &self.worker {
            self.refused = worker.kill().err().map(|error| chain(&error));
        }
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        let Some(worker) = &mut self.worker else {
            return reverted;
        };
        match worker.reap(DYING_LIMIT) {
            Ok(true) => {
                reverted.residue = session_left(worker.identity().pid);
                self.worker = None;
                reverted.undone = 1;
            }
            outcome => {
                let why = self.refused.take().unwrap_or_else(|| match outcome {
                    Err(error) => chain(&error),
                    Ok(_) => format!("it has not ended within {} s", DYING_LIMIT.as_secs()),
                });
                reverted.residue.push(Residue::EffectLeft {
                    effect: format!("worker {}", worker.identity().pid),
                    why,
                });
            }
        }
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let Some(worker) = &mut self.worker else {
            return Ok(Observed::one(false, || "the worker".into()));
        };
        let measured = match worker.measure(MEASURE_LIMIT) {
            Ok(measured) => measured,
            Err(error @ (WorkerError::Died | WorkerError::Failed { .. })) => {
                return Ok(Observed::one(false, || {
                    format!("the worker: {}", chain(&error))
                }));
            }
            Err(error) => return Err(error.into()),
        };
        let mut observed = Observed::one(true, String::new);
        observed.idle = measured.iter().filter_map(without_effect).collect();
        observed.measured = measured;
        Ok(observed)
    }
}

/// What a figure says that stayed at nothing.
fn without_effect(figure: &Measurement) -> Option<String> {
    if figure.achieved > 0.0 {
        return None;
    }
    let why = match figure.quantity {
        Quantity::PacketsMatched => "no packet met it",
        Quantity::ShareAnswered => "no question was for its names",
        Quantity::CpuShare => "it got no processor time",
        Quantity::BytesPerSecond if figure.requested.is_none() => "nothing was read or written",
        Quantity::MemoryHeld => "it holds no memory",
        _ => return None,
    };
    Some(why.into())
}

/// Of this process.
fn is_spared_by_oom_killer() -> bool {
    std::fs::read_to_string("/proc/self/oom_score_adj").is_ok_and(|score| score.trim() == "-1000")
}
