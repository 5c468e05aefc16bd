//! Faults of ours, from selection to the report: the runner asks, the guardian acts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use firedrill_engine::effect::{Failure, FaultReport, Outcome, Signal};
use firedrill_experiment::call::FaultCall;
use firedrill_experiment::document::{BlastRadius, UndoClass};
use firedrill_experiment::journal::Measured;
use firedrill_faults::CompileError;
use firedrill_faults::switching::hosts::{self, Addresses};
use firedrill_undo::{
    Applied, Ended, Ending, Guardian, GuardianError, Measurement, Observed, Primitive, Residue,
    Reverted, Watch,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::aim::{Aim, Newcomers};
use crate::in_force::{Admission, InForce};
use crate::provider::Cancel;
use crate::spare::Spare;

/// How long a fault may take to show its effect.
const EFFECT_LIMIT: Duration = Duration::from_secs(2);
/// How often the guardian is listened to; renewals are as frequent.
const BEAT: Duration = Duration::from_millis(200);
/// How often to look for what appeared and matches, and for what names mean now.
const COVER_EVERY: Duration = Duration::from_secs(1);
/// How long to wait for a resolver before the next look; it is not asked twice at once.
const LOOK_UP_LIMIT: Duration = Duration::from_millis(500);

/// The way to the guardian; without one, every fault is refused. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Faults(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    guardian: Guardian,
    radius: BlastRadius,
    seed: u64,
    in_force: InForce,
    spare: Mutex<Spare>,
    rollbacks: Mutex<Option<u64>>,
    ended: watch::Sender<Option<Loss>>,
    finishing: AtomicBool,
}

/// A fault in place.
struct Stay {
    /// In the guardian's log: the first, and one for each time that something appeared.
    ids: Vec<u64>,
    admission: Admission,
    skipped: usize,
    until: Instant,
    /// Host names being looked up: one resolver at a time, however slow it is.
    looking: Option<JoinHandle<Result<Addresses, CompileError>>>,
}

/// The guardian undid everything without being asked.
#[derive(Debug, Clone)]
struct Loss {
    why: String,
    reverted: Reverted,
}

impl Faults {
    /// No guardian, no faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// Listens to the guardian and renews its lease until [`Faults::finish`]. What ends the drill
    /// from that side arrives as [`Signal::Halt`].
    pub fn new(
        guardian: Guardian,
        radius: BlastRadius,
        seed: u64,
        signals: mpsc::UnboundedSender<Signal>,
    ) -> Self {
        let inner = Arc::new(Inner {
            guardian,
            radius,
            seed,
            in_force: InForce::default(),
            spare: Mutex::default(),
            rollbacks: Mutex::new(None),
            ended: watch::Sender::new(None),
            finishing: AtomicBool::new(false),
        });
        let listener = Arc::clone(&inner);
        std::thread::spawn(move || listener.listen(&signals));
        Self(Some(inner))
    }

    /// From now on, no fault meets the traffic of these.
    pub fn spare(&self, spare: Spare) {
        if let Some(inner) = &self.0 {
            *inner.spare.lock().unwrap_or_else(PoisonError::into_inner) = spare;
        }
    }

    /// Applies the fault, holds it for its time, takes it back. Never leaves one in place.
    pub(crate) async fn run(
        &self,
        call: &FaultCall,
        mut cancel: Cancel,
        began: Instant,
        applied: impl FnOnce(),
    ) -> FaultReport {
        let mut report = blank(call);
        let Some(inner) = &self.0 else {
            report.refused = Some("there is no guardian to undo it".into());
            return report;
        };
        let (mut aim, admission) = match inner.aim(call) {
            Ok(aimed) => aimed,
            Err(why) => {
                report.refused = Some(why);
                return report;
            }
        };
        report.undo_class = aim.undo_class();
        report.targets = aim.names();
        let primitives = match aim.compile() {
            Ok(primitives) => primitives,
            Err(error) => {
                report.refused = Some(crate::chain(&error));
                return report;
            }
        };
        if cancel.reason().is_some() {
            report.refused = Some("the drill was stopped before it began".into());
            return report;
        }
        let placed = match inner.ask(move |guardian| guardian.apply(primitives)).await {
            Ok(placed) => placed,
            Err(error) => {
                report.refused = Some(crate::chain(&error));
                return report;
            }
        };
        report.applied = Some(began.elapsed());
        report.mechanism = mechanism(&placed);
        report.inject = placed.injected_in;
        applied();
        let id = placed.id;
        let seen = tokio::select! {
            seen = inner.ask(move |guardian| guardian.observe_until(id, EFFECT_LIMIT)) => seen,
            _ = cancel.cancelled() => inner.ask(move |guardian| guardian.observe(id)).await,
        };
        let mut stay = Stay {
            ids: vec![id],
            admission,
            skipped: placed.skipped.len(),
            until: Instant::now() + call.duration,
            looking: None,
        };
        inner.stay(&mut stay, &mut aim, &mut report, cancel).await;
        inner.look(&stay, seen.ok(), &mut report).await;
        for id in stay.ids.iter().rev() {
            inner.take_back(*id, &mut report).await;
        }
        report.reverted = Some(began.elapsed());
        report
    }

    /// Puts something in place that is no fault, and is undone as one is; how to take it back.
    pub(crate) async fn put(&self, primitives: Vec<Primitive>) -> Result<u64, String> {
        let Some(inner) = &self.0 else {
            return Err("there is no guardian to undo it".into());
        };
        let placed = inner.ask(move |guardian| guardian.apply(primitives)).await;
        placed
            .map(|placed| placed.id)
            .map_err(|error| crate::chain(&error))
    }

    /// Takes it back; what is left of it, in words. Nothing is, where the guardian ended the drill.
    pub(crate) async fn take_back(&self, id: u64) -> Vec<String> {
        let Some(inner) = &self.0 else {
            return Vec::new();
        };
        let mut report = blank(&FaultCall::default());
        inner.take_back(id, &mut report).await;
        report.residue
    }

    /// Makes the command durable: it runs when this process is dead or has lost its lease.
    pub(crate) fn register_rollbacks(&self, argv: Vec<String>) -> Result<(), GuardianError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let applied = inner
            .guardian
            .apply(vec![Primitive::RunRollbacks { argv }])?;
        *inner
            .rollbacks
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(applied.id);
        Ok(())
    }

    pub(crate) fn forget_rollbacks(&self) {
        let Some(inner) = &self.0 else { return };
        let id = inner
            .rollbacks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(id) = id {
            // A guardian that ended has nothing left to forget.
            let _ = inner.guardian.revert(id);
        }
    }

    /// Ends the drill in the guardian's log.
    pub async fn finish(&self) {
        let Some(inner) = &self.0 else { return };
        inner.finishing.store(true, Ordering::SeqCst);
        let _ = inner.ask(Guardian::finish).await;
    }
}

impl Inner {
    /// What it would hit, let in beside everything in force until the admission is dropped.
    fn aim(&self, call: &FaultCall) -> Result<(Aim, Admission), String> {
        let aim = Aim::take(call, &self.radius, self.seed)?.sparing(self.spared());
        let admission = self.in_force.admit(&self.radius, aim.taken())?;
        Ok((aim, admission))
    }

    /// The guardian's socket blocks; the runtime must not.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Guardian) -> Result<T, GuardianError> + Send + 'static,
    ) -> Result<T, GuardianError> {
        let inner = Arc::clone(self);
        let answer = tokio::task::spawn_blocking(move || question(&inner.guardian)).await;
        answer.unwrap_or(Err(GuardianError::Confused))
    }

    /// Keeps the fault for its time, and extends it to what appears meanwhile and matches.
    async fn stay(
        self: &Arc<Self>,
        stay: &mut Stay,
        aim: &mut Aim,
        report: &mut FaultReport,
        mut cancel: Cancel,
    ) {
        let mut ended = self.ended.subscribe();
        while Instant::now() < stay.until {
            tokio::select! {
                () = tokio::time::sleep_until(stay.until.min(Instant::now() + COVER_EVERY)) => {}
                _ = cancel.cancelled() => return,
                _ = ended.wait_for(Option::is_some) => return,
            }
            if Instant::now() < stay.until && aim.covers_newcomers() {
                let admit = |footprint| stay.admission.change(&self.radius, footprint);
                let appeared = aim.newcomers(admit);
                self.cover(appeared, stay, report).await;
                let moved = stay.moved(aim).await;
                self.cover(moved, stay, report).await;
            }
        }
    }

    async fn cover(
        self: &Arc<Self>,
        found: Result<Option<Newcomers>, String>,
        stay: &mut Stay,
        report: &mut FaultReport,
    ) {
        let Newcomers { names, primitives } = match found {
            Ok(Some(newcomers)) => newcomers,
            Ok(None) => return,
            Err(why) => {
                let note = format!("what appeared meanwhile was left alone: {why}");
                if !report.notes.contains(&note) {
                    report.notes.push(note);
                }
                return;
            }
        };
        if primitives.is_empty() {
            report.targets.extend(names);
            return;
        }
        match self.ask(move |guardian| guardian.apply(primitives)).await {
            Ok(placed) => {
                report.targets.extend(names);
                stay.ids.push(placed.id);
                stay.skipped += placed.skipped.len();
            }
            Err(error) => report.notes.push(format!(
                "{} appeared meanwhile and was not hit: {}",
                names.join(", "),
                crate::chain(&error)
            )),
        }
    }

    /// What the fault achieved, just before it is taken back.
    async fn look(
        self: &Arc<Self>,
        stay: &Stay,
        first: Option<Observed>,
        report: &mut FaultReport,
    ) {
        let in_place = first
            .as_ref()
            .is_some_and(|seen| seen.requested > 0 && seen.is_complete());
        let mut last = Observed::default();
        for id in stay.ids.clone() {
            if let Ok(seen) = self.ask(move |guardian| guardian.observe(id)).await {
                last.merge(seen);
            }
        }
        // Of several parts some may meet nothing: the other side of a partition drops it first.
        let met = last.measured.iter().any(|figure| figure.achieved > 0.0);
        report.observed = in_place && (last.idle.is_empty() || met);
        let seen = if last.requested == 0 {
            first
        } else {
            Some(last)
        };
        let Some(seen) = seen else { return };
        report.measured = seen.measured.iter().map(measured).collect();
        report.achieved = Some(in_words(&seen, stay.skipped, &report.notes));
    }

    async fn take_back(self: &Arc<Self>, id: u64, report: &mut FaultReport) {
        match self.ask(move |guardian| guardian.revert(id)).await {
            Ok(reverted) => note(report, &reverted),
            Err(_) => {
                // It ended on its own side, and undid everything there: wait for its word.
                let mut ended = self.ended.subscribe();
                let heard =
                    tokio::time::timeout(EFFECT_LIMIT, ended.wait_for(Option::is_some)).await;
                match heard
                    .ok()
                    .and_then(Result::ok)
                    .and_then(|loss| loss.clone())
                {
                    Some(loss) => {
                        note(report, &loss.reverted);
                        report.achieved = Some(format!(
                            "{}; {}",
                            report.achieved.take().unwrap_or_default(),
                            loss.why
                        ));
                    }
                    None => report
                        .residue
                        .push("the guardian does not answer; run `firedrill recover`".into()),
                }
            }
        }
    }

    fn spared(&self) -> Vec<SocketAddr> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.addresses.clone()
    }

    fn listen(&self, signals: &mpsc::UnboundedSender<Signal>) {
        loop {
            let (loss, signal) = match self.guardian.watch(BEAT) {
                Ok(Watch::Quiet) => match self.guardian.renew() {
                    // Stopped or stuck: what it should undo, another one has to.
                    Err(GuardianError::NoReply { .. })
                        if !self.finishing.load(Ordering::SeqCst) =>
                    {
                        (self.replace_guardian(), Signal::Halt)
                    }
                    // A refusal to renew comes with the notice of the end, which follows.
                    _ => continue,
                },
                // An expired lease has played the rollbacks already; twice would be once too often.
                Ok(Watch::Ended(ended)) if ended.ending == Ending::Expired => {
                    (loss(ended), Signal::Expired)
                }
                Ok(Watch::Ended(ended)) => (loss(ended), Signal::Halt),
                Ok(Watch::Died) | Err(_) if self.finishing.load(Ordering::SeqCst) => return,
                Ok(Watch::Died) | Err(_) => (self.replace_guardian(), Signal::Halt),
            };
            if !self.finishing.load(Ordering::SeqCst) {
                self.ended.send_replace(Some(loss));
                let _ = signals.send(signal);
            }
            return;
        }
    }

    fn replace_guardian(&self) -> Loss {
        match self.guardian.recover_after_guardian_death() {
            Ok(reverted) => Loss {
                why: "its guardian died, and a new one undid it".into(),
                reverted,
            },
            Err(error) => Loss {
                why: format!(
                    "its guardian died, and no new one could be started ({error}): run `firedrill recover`"
                ),
                reverted: Reverted::default(),
            },
        }
    }
}

impl Stay {
    /// What covers new addresses of host names, once the resolver has answered.
    async fn moved(&mut self, aim: &mut Aim) -> Result<Option<Newcomers>, String> {
        let names = aim.hosts();
        if names.is_empty() {
            return Ok(None);
        }
        let looking = self
            .looking
            .get_or_insert_with(|| tokio::task::spawn_blocking(move || hosts::look_up(&names)));
        let Ok(answer) = tokio::time::timeout(LOOK_UP_LIMIT, looking).await else {
            return Ok(None);
        };
        self.looking = None;
        match answer {
            Ok(Ok(now)) => aim.moved(&now),
            // A name that means nothing now may mean something at the next look.
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }
}

fn loss(ended: Ended) -> Loss {
    Loss {
        why: format!("the guardian ended it: {:?}", ended.ending).to_lowercase(),
        reverted: ended.reverted,
    }
}

fn note(report: &mut FaultReport, reverted: &Reverted) {
    report.revert = Some(report.revert.unwrap_or_default() + reverted.took);
    for residue in &reverted.residue {
        match residue {
            // Somebody else's work on the same host: told, and not held against the drill.
            Residue::ChangedMeanwhile { .. } => {
                let achieved = report.achieved.get_or_insert_default();
                if !achieved.is_empty() {
                    achieved.push_str("; ");
                }
                achieved.push_str(&residue.to_string());
            }
            ours => report.residue.push(ours.to_string()),
        }
    }
}

fn in_words(seen: &Observed, skipped: usize, notes: &[String]) -> String {
    let mut words: Vec<String> = seen.measured.iter().map(ToString::to_string).collect();
    if words.is_empty() || !seen.is_complete() {
        words.insert(
            0,
            format!("{} of {} in place", seen.achieved, seen.requested),
        );
    }
    words.extend(seen.idle.iter().cloned());
    if skipped > 0 {
        words.push(format!(
            "{skipped} had ended or were stopped before, and were left alone"
        ));
    }
    words.extend(notes.iter().cloned());
    words.join("; ")
}

fn measured(figure: &Measurement) -> Measured {
    Measured {
        quantity: figure.quantity.name().into(),
        unit: figure.quantity.unit().into(),
        requested: figure.requested,
        achieved: figure.achieved,
        low: figure.low,
        high: figure.high,
        samples: figure.samples,
    }
}

fn mechanism(placed: &Applied) -> String {
    let names: Vec<_> = placed.mechanisms.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// The report of a fault that nothing is known of yet.
pub(crate) fn blank(call: &FaultCall) -> FaultReport {
    FaultReport {
        fault: call.name.clone(),
        mechanism: String::new(),
        undo_class: UndoClass::Reversible,
        targets: Vec::new(),
        requested: format!(
            "{} on {} for {}",
            call.name,
            call.target,
            firedrill_experiment::units::format_duration(call.duration)
        ),
        achieved: None,
        measured: Vec::new(),
        notes: Vec::new(),
        observed: false,
        applied: None,
        reverted: None,
        inject: Duration::ZERO,
        revert: None,
        residue: Vec::new(),
        refused: None,
    }
}

/// The report of a fault that never began.
pub(crate) fn refused(call: &FaultCall, why: String) -> FaultReport {
    FaultReport {
        refused: Some(why),
        ..blank(call)
    }
}

/// What the journal shows as the activity's output.
pub(crate) fn outcome(activity: &str, report: &FaultReport) -> Outcome {
    if let Some(why) = &report.refused {
        return Outcome::Failed(Failure::raised(
            "firedrill.Refused",
            format!("`{activity}`: {why}"),
        ));
    }
    Outcome::Succeeded(json!({
        "fault": report.fault,
        "mechanism": report.mechanism,
        "targets": report.targets,
        "observed": report.observed,
        "achieved": report.achieved,
        "residue": report.residue.iter().map(|what| Value::String(what.clone())).collect::<Vec<_>>(),
    }))
}
