//! Carries out what the engine asks, and tells it what came of it.
//!
//! The engine lives on the task that drives it; calls, controls, streams and faults are tasks
//! of their own that answer over one channel. Time is counted from the drill's start.

use std::collections::BTreeMap;
use std::time::Duration;

use firedrill_engine::effect::{Armed, Level, Outcome, Progress, Signal};
use firedrill_engine::{CallId, Effect, Engine, Event, Plan};
use firedrill_experiment::call::Call;
use firedrill_experiment::journal::{Interruption, Journal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::control::Controls;
use crate::fault::Faults;
use crate::kpi::Streams;
use crate::lifecycle::Lifecycle;
use crate::margin::Trials;
use crate::provider::{Canceller, Providers, canceller};
use crate::rollback::Rollbacks;

/// What a drill acts through.
#[derive(Debug)]
pub struct Ports {
    pub providers: Providers,
    pub controls: Controls,
    pub faults: Faults,
    pub rollbacks: Rollbacks,
    /// What is held in the place of one fault, where the drill is a margin's.
    pub trials: Option<Trials>,
}

/// For whoever looks on.
#[derive(Debug)]
pub enum Notice<'a> {
    Progress(&'a Progress),
    Log(Level, &'a str),
}

/// Runs the drill to its end; signals from outside interrupt it as the engine decides.
pub async fn drive(
    plan: Plan,
    ports: Ports,
    mut signals: mpsc::UnboundedReceiver<Signal>,
    mut look: impl FnMut(Duration, Notice<'_>),
) -> Box<Journal> {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let seed = plan.identity.seed;
    let experiment = serde_json::Value::Object(plan.experiment.raw.clone());
    let lifecycle = Lifecycle::new(experiment, ports.controls.clone());
    let mut engine = Engine::new(plan);
    let mut driver = Driver {
        began: Instant::now(),
        streams: Streams::new(seed, events.clone()).asking_as(&ports.providers),
        events,
        ports,
        cancellers: BTreeMap::new(),
        wake: None,
        unarmed: None,
    };
    let mut event = None;
    let mut interruptible = true;
    loop {
        let now = driver.began.elapsed();
        let mut finished = None;
        driver.wake = None;
        for effect in engine.step(now, event.take()) {
            match effect {
                Effect::Progress(progress) => {
                    lifecycle.note(&progress);
                    look(now, Notice::Progress(&progress));
                }
                Effect::Log(level, text) => look(now, Notice::Log(level, &text)),
                Effect::Finished(journal) => finished = Some(journal),
                effect => driver.carry_out(effect),
            }
        }
        if let Some(journal) = finished {
            lifecycle.end().await;
            driver.end().await;
            return journal;
        }
        let wake = driver.began + driver.wake.unwrap_or(Duration::from_secs(3600));
        event = tokio::select! {
            event = inbox.recv() => event,
            signal = signals.recv(), if interruptible => {
                // Nobody may be left to interrupt; the drill goes on.
                interruptible = signal.is_some();
                signal.map(Event::Interrupted)
            }
            () = tokio::time::sleep_until(wake) => None,
        };
        if let Some(Event::CallEnded { id, .. }) = &event {
            driver.cancellers.remove(id);
        }
    }
}

struct Driver {
    began: Instant,
    events: mpsc::UnboundedSender<Event>,
    ports: Ports,
    streams: Streams,
    cancellers: BTreeMap<CallId, Canceller>,
    wake: Option<Duration>,
    /// Why nothing may be begun.
    unarmed: Option<String>,
}

impl Driver {
    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Call {
                id,
                activity,
                call,
                background,
            } => self.call(id, activity, call, background),
            Effect::Cancel { id } => {
                if let Some(canceller) = self.cancellers.get(&id) {
                    canceller.cancel(Interruption::cancelled("the drill was stopped"));
                }
            }
            Effect::Control { id, request } => {
                let (controls, events) = (self.ports.controls.clone(), self.events.clone());
                tokio::spawn(async move {
                    let reply = controls.apply(request).await;
                    let _ = events.send(Event::ControlEnded { id, reply });
                });
            }
            Effect::WakeAt(time) => self.wake = Some(time),
            Effect::StartKpi { kpi, source } => {
                self.streams.start(kpi, &source, self.began.elapsed());
            }
            Effect::StopKpi { kpi } => self.streams.stop(kpi),
            Effect::ArmRollbacks(armed) => self.arm(armed),
            Effect::DisarmRollbacks => self.ports.rollbacks.disarm(&self.ports.faults),
            Effect::Progress(_) | Effect::Log(..) | Effect::Finished(_) => {}
        }
    }

    fn call(&mut self, id: CallId, activity: String, call: Call, background: bool) {
        if let Some(why) = &self.unarmed {
            return self.refuse(id, &call, why.clone());
        }
        let (canceller, cancel) = canceller();
        self.cancellers.insert(id, canceller);
        let events = self.events.clone();
        if let Call::Fault(fault) = call {
            let (faults, began) = (self.ports.faults.clone(), self.began);
            let trials = self.ports.trials.clone();
            tokio::spawn(async move {
                let told = events.clone();
                let applied = move || {
                    let _ = told.send(Event::FaultApplied { id });
                };
                let report = match trials.filter(|trials| trials.are_of(&activity)) {
                    Some(trials) => trials.hold(&fault, cancel, began, applied).await,
                    None => faults.run(&fault, cancel, began, applied).await,
                };
                let outcome = crate::fault::outcome(&activity, &report);
                let _ = events.send(Event::FaultEnded { id, report });
                let _ = events.send(Event::CallEnded { id, outcome });
            });
            return;
        }
        let providers = self.ports.providers.clone();
        tokio::spawn(async move {
            let outcome = match background {
                true => providers.call_in_background(&call, cancel).await,
                false => providers.call(&call, cancel).await,
            };
            let _ = events.send(Event::CallEnded { id, outcome });
        });
    }

    /// No action without its rollback: what cannot be made durable stops the drill before it acts.
    fn arm(&mut self, armed: Armed) {
        let Err(why) = self.ports.rollbacks.arm(armed, &self.ports.faults) else {
            return;
        };
        if !self.ports.rollbacks.are_armed() {
            self.unarmed = Some(format!(
                "the rollbacks could not be made durable, so nothing was begun: {why}"
            ));
            let _ = self.events.send(Event::Interrupted(Signal::Halt));
        }
    }

    /// The answer to a call that must not go out.
    fn refuse(&self, id: CallId, call: &Call, reason: String) {
        let interruption = Interruption {
            kind: "refused".into(),
            name: None,
            reason: reason.clone(),
        };
        if let Call::Fault(fault) = call {
            let _ = self.events.send(Event::FaultEnded {
                id,
                report: crate::fault::refused(fault, reason),
            });
        }
        let _ = self.events.send(Event::CallEnded {
            id,
            outcome: Outcome::Interrupted(interruption),
        });
    }

    async fn end(self) {
        self.ports.faults.finish().await;
    }
}
