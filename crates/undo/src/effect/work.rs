use std::time::{Duration, Instant};

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
    /// Absent before it is applied, and in a recovery: then it died with its guardian.
    worker: Option<WorkerHandle>,
    ended: bool,
    /// The oldest deadline that it has not confirmed yet.
    unconfirmed: Option<Renewal>,
    refused: Option<String>,
    /// When it was told to let go of what it holds for others.
    told: Option<Instant>,
}

/// What a worker was told, both on BOOTTIME.
#[derive(Clone, Copy, Debug)]
struct Renewal {
    told_at: Duration,
    deadline: Duration,
}

/// How long a worker may take to let go of packets; then it is killed, and they are lost.
const LET_GO_LIMIT: Duration = Duration::from_millis(100);

/// How long a worker may take to say what it achieved.
const MEASURE_LIMIT: Duration = Duration::from_millis(500);

/// One that does not confirm a renewal for this long, or for [`SILENT_SHARE`] of a shorter lease, is
/// stopped or stuck, and is killed: what a dead worker held is free again.
const SILENCE_LIMIT: Duration = Duration::from_secs(1);

/// Of a lease that is renewed at each third of it: one that stops right after a renewal misses the
/// next, which is seen at the one after that, when two thirds of the lease are over.
const SILENT_SHARE: u32 = 4;

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
            worker: None,
            ended: false,
            unconfirmed: None,
            refused: None,
            told: None,
        }
    }

    /// Ends a worker that has let go. It has started no other process, so it is enough that it runs
    /// no more; the kernel takes back its queue afterwards.
    fn ended_without_waiting(&mut self) -> bool {
        if !matches!(self.work.job, Job::Queue(_)) {
            return false;
        }
        let Some(worker) = self.worker.take() else {
            return false;
        };
        self.refused = worker.kill().err().map(|error| chain(&error));
        if worker.is_ending() {
            worker.reap_later();
            return true;
        }
        self.worker = Some(worker);
        false
    }

    /// The worker, unless its end was noted.
    pub(super) fn running(&self) -> Option<&WorkerHandle> {
        self.worker.as_ref().filter(|_| !self.ended)
    }

    /// It has ended by itself: nobody waits for that any more.
    pub(super) fn note_end(&mut self) {
        self.ended = true;
    }

    /// Kills a worker that has not answered for too long.
    fn watch(&mut self, worker: &mut WorkerHandle) {
        let Some(renewal) = self.unconfirmed else {
            return;
        };
        match worker.last_beat() {
            Ok(confirmed) if confirmed >= renewal.deadline => self.unconfirmed = None,
            _ => {
                if boottime().saturating_sub(renewal.told_at) >= renewal.silence_limit() {
                    self.refused = worker.kill().err().map(|error| chain(&error));
                }
            }
        }
    }
}

impl Renewal {
    fn silence_limit(self) -> Duration {
        let lease = self.deadline.saturating_sub(self.told_at);
        SILENCE_LIMIT.min(lease / SILENT_SHARE)
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
        Ok(())
    }

    fn renew(&mut self, deadline: Duration) {
        let Some(mut worker) = self.worker.take() else {
            return;
        };
        self.watch(&mut worker);
        // One that has ended is seen when it is observed.
        let _ = worker.extend(deadline);
        let told_at = boottime();
        self.unconfirmed
            .get_or_insert(Renewal { told_at, deadline });
        self.worker = Some(worker);
    }

    fn release(&mut self) {
        let Some(worker) = &self.worker else { return };
        if self.work.job.holds_for_others() && worker.release().is_ok() {
            self.told = Some(Instant::now());
        } else {
            self.refused = worker.kill().err().map(|error| chain(&error));
        }
    }

    fn settle(&mut self) {
        let (Some(worker), Some(told)) = (&mut self.worker, self.told.take()) else {
            return;
        };
        // Whether it let go or not, it is killed when it is restored.
        let _ = worker.await_released(LET_GO_LIMIT.saturating_sub(told.elapsed()));
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        if self.ended_without_waiting() {
            reverted.undone = 1;
            return reverted;
        }
        let Some(worker) = &mut self.worker else {
            return reverted;
        };
        if self.work.job.holds_for_others() {
            // Whether it has let go or not.
            self.refused = worker.kill().err().map(|error| chain(&error));
        }
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
        Quantity::ConnectionsProxied => "no connection met it",
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
