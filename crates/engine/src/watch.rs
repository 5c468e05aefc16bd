//! What is watched while the drill runs: KPI streams, faults, and the phases between them.
//!
//! Phases: the baseline ends when the first disturbance begins; the transition follows for as
//! long as the document allows; the fault phase ends with the last revert; the recovery lasts
//! until every KPI is well again, or its limit is over.

mod describe;
mod guards;
mod phases;
mod sensors;

pub(crate) use phases::Problem;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use firedrill_experiment::call::{FaultCall, KpiSource};
use firedrill_experiment::document::{
    Activity, ActivityKind, Expectation, Experiment, Kpi, KpiGuardrail, Provider, Recovery,
    UndoClass,
};
use firedrill_experiment::journal::{ActionRecord, Phase};
use firedrill_judge::{HarmWatch, Window};

use crate::drill::{Drill, announce};
use crate::effect::{CallId, Effect, FaultReport, Level, Progress};
use crate::guard::KpiGuard;
use crate::machine::{Core, News};
use crate::stop::Stop;

/// Recovery is timed even where the document sets no limit.
const RECOVERY_LIMIT: Duration = Duration::from_secs(30);
/// How long a KPI must stay well to count as recovered.
const WELL_FOR: Duration = Duration::from_secs(1);
/// Requests that begin this close before a fault may still be under way when it comes.
const IN_FLIGHT: Duration = Duration::from_millis(200);
/// How long the streams may take, beyond their own time-out, to say what they saw.
const SENSOR_GRACE: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(crate) struct Watch(Rc<State>);

struct State {
    core: Core,
    kpis: Vec<Kpi>,
    expect: Expectation,
    recovery: Option<Recovery>,
    baseline: Duration,
    bad_events_max: Option<u64>,
    /// Of the KPIs, and after them those that guardrails have of their own.
    streams: RefCell<Vec<Stream>>,
    guardrails: Vec<KpiGuardrail>,
    guards: RefCell<Vec<KpiGuard>>,
    /// The baseline is over: from here on, what cannot be seen stops the drill.
    is_past_baseline: Cell<bool>,
    faults: RefCell<BTreeMap<CallId, Fault>>,
    actions: RefCell<Vec<ActionRecord>>,
    opaque_began: Cell<Option<Duration>>,
    opaque_over: Cell<Option<Duration>>,
    watching_since: Cell<Option<Duration>>,
    recovered_after: Cell<Option<Duration>>,
    /// Why it did not come back.
    lost: RefCell<Option<String>>,
    harm: RefCell<Option<String>>,
}

struct Stream {
    source: Option<KpiSource>,
    windows: Vec<Window>,
    ended: bool,
    trouble: Option<String>,
    /// When its counters began anew.
    resets: Vec<Duration>,
    /// When it last said something.
    heard: Duration,
    /// Absent for a guardrail's own.
    harm: Option<Harms>,
}

/// Proof of harm, in the terms of each phase.
struct Harms {
    transition: HarmWatch,
    fault: HarmWatch,
}

struct Fault {
    activity: String,
    call: FaultCall,
    applied: Option<Duration>,
    report: Option<FaultReport>,
    counts_exposure: bool,
    exposure: Option<u64>,
}

impl Watch {
    pub(crate) fn new(core: Core, experiment: &Experiment) -> Self {
        let expect = experiment.expect;
        let kpis = experiment.kpis.iter();
        let kpis = kpis.map(|kpi| Some(phases::harms(kpi, &expect)));
        let own = guards::own_streams(&experiment.kpi_guardrails).map(|_| None);
        let streams = kpis.chain(own).map(|harm| Stream {
            source: None,
            windows: Vec::new(),
            ended: true,
            trouble: None,
            resets: Vec::new(),
            heard: Duration::ZERO,
            harm,
        });
        let guardrails = experiment.kpi_guardrails.iter();
        let guards = guardrails.map(|guardrail| KpiGuard::new(guardrail, &expect));
        Self(Rc::new(State {
            core,
            kpis: experiment.kpis.clone(),
            expect,
            recovery: experiment.recovery,
            baseline: experiment.baseline,
            bad_events_max: experiment
                .blast_radius
                .and_then(|radius| radius.bad_events_max),
            streams: RefCell::new(streams.collect()),
            guards: RefCell::new(guards.collect()),
            guardrails: experiment.kpi_guardrails.clone(),
            is_past_baseline: Cell::new(false),
            faults: RefCell::default(),
            actions: RefCell::default(),
            opaque_began: Cell::new(None),
            opaque_over: Cell::new(None),
            watching_since: Cell::new(None),
            recovered_after: Cell::new(None),
            lost: RefCell::default(),
            harm: RefCell::default(),
        }))
    }

    /// Takes in the news for as long as the drill lasts.
    pub(crate) async fn follow(self, drill: Drill) {
        poll_fn(|_| {
            while let Some(news) = self.0.core.take_news() {
                self.take_in(&drill, news);
            }
            Poll::<()>::Pending
        })
        .await;
    }

    fn take_in(&self, drill: &Drill, news: News) {
        match news {
            News::FaultApplied { id } => {
                let now = self.0.core.now();
                if let Some(fault) = self.0.faults.borrow_mut().get_mut(&id) {
                    fault.applied = Some(now);
                    drill.progress(Progress::FaultApplied {
                        name: fault.call.name.clone(),
                    });
                }
                announce(drill, Phase::Fault, None);
            }
            News::FaultEnded { id, report } => {
                if let Some(fault) = self.0.faults.borrow_mut().get_mut(&id) {
                    if let Some(refused) = &report.refused {
                        drill.log(
                            Level::Error,
                            format!("`{}` was refused: {refused}", fault.activity),
                        );
                    }
                    fault.report = Some(report);
                    drill.progress(Progress::FaultReverted {
                        name: fault.call.name.clone(),
                    });
                }
            }
            News::Kpi { kpi, window } => self.window(drill, kpi, window),
            News::KpiReset { kpi, at } => self.reset(drill, kpi, at),
            News::KpiEnded { kpi, trouble } => self.ended(drill, kpi, trouble),
        }
    }

    fn window(&self, drill: &Drill, kpi: usize, window: Window) {
        let guarded = self.guarded(kpi, &window);
        let harm = self.harm_in(kpi, &window);
        {
            let mut streams = self.0.streams.borrow_mut();
            let Some(stream) = streams.get_mut(kpi) else {
                return;
            };
            stream.heard = self.0.core.now();
            stream.windows.push(window);
        }
        let harm = harm.map(|finding| {
            format!("Harm was proven while it ran, and the fault taken back at once: {finding}")
        });
        if let Some(finding) = harm.or_else(|| self.spent()) {
            let mut known = self.0.harm.borrow_mut();
            if known.is_none()
                && self.disturbance_began().is_some()
                && self.disturbance_ended().is_none()
            {
                drill.log(Level::Warning, finding.clone());
                *known = Some(finding);
                drop(known);
                drill.raise(Stop::Harm);
            }
        }
        if let Some((name, reason)) = guarded {
            self.stop_by_guardrail(drill, name, reason);
        }
    }

    /// The budget of bad events, once it is spent.
    fn spent(&self) -> Option<String> {
        let (budget, began) = (self.0.bad_events_max?, self.disturbance_began()?);
        let streams = self.0.streams.borrow();
        let windows = streams.iter().flat_map(|stream| &stream.windows);
        let bad: u64 = windows
            .filter(|window| window.start + window.length > began)
            .map(|window| window.bad)
            .sum();
        (bad > budget).then(|| format!("The budget of {budget} bad requests is spent ({bad}), and the fault was taken back."))
    }

    pub(crate) fn activity_started(&self, activity: &Activity, now: Duration) {
        // Rollbacks are no part of what was done to the system.
        if activity.kind != ActivityKind::Action || self.0.opaque_over.get().is_some() {
            return;
        }
        let ours = matches!(activity.provider, Provider::Fault { .. });
        let undo_class = activity.undo_class.unwrap_or(if ours {
            UndoClass::Reversible
        } else {
            UndoClass::Opaque
        });
        self.0.actions.borrow_mut().push(ActionRecord {
            activity: activity.name.clone(),
            undo_class,
        });
        if !ours && self.0.opaque_began.get().is_none() {
            self.0.opaque_began.set(Some(now));
        }
    }

    pub(crate) fn fault_requested(&self, id: CallId, activity: &Activity, call: &FaultCall) {
        let fault = Fault {
            activity: activity.name.clone(),
            call: call.clone(),
            applied: None,
            report: None,
            counts_exposure: activity.exposure.is_some(),
            exposure: None,
        };
        self.0.faults.borrow_mut().insert(id, fault);
    }

    pub(crate) fn fault_exposed(&self, id: CallId, before: Option<u64>, after: Option<u64>) {
        if let Some(fault) = self.0.faults.borrow_mut().get_mut(&id) {
            fault.exposure = before
                .zip(after)
                .map(|(before, after)| after.saturating_sub(before));
        }
    }

    pub(crate) fn cancel_faults(&self) {
        for (id, fault) in self.0.faults.borrow().iter() {
            if fault.report.is_none() {
                self.0.core.emit(Effect::Cancel { id: *id });
            }
        }
    }

    /// Every fault has ended: nothing of ours is in place any more.
    pub(crate) async fn faults_over(&self) {
        let watch = self.clone();
        self.0
            .core
            .until(move || {
                watch
                    .0
                    .faults
                    .borrow()
                    .values()
                    .all(|fault| fault.report.is_some())
            })
            .await;
    }

    pub(crate) fn method_ended(&self) {
        if self.0.opaque_over.get().is_none() {
            self.0.opaque_over.set(Some(self.0.core.now()));
        }
    }

    /// The rollbacks have ended, and with them what opaque actions did.
    pub(crate) fn opaque_taken_back(&self) {
        self.0.opaque_over.set(Some(self.0.core.now()));
    }

    /// Starts the streams and watches them for the time of the baseline. `Some`: why not to go on.
    pub(crate) async fn baseline(&self, drill: &Drill) -> Result<Option<Problem>, Stop> {
        announce(drill, Phase::Baseline, Some(self.0.baseline));
        let begin = self.0.core.now();
        self.0.watching_since.set(Some(begin));
        self.open_streams(drill)?;
        self.0.core.sleep(self.0.baseline).await;
        let end = self.0.core.now();
        self.seen_until(end, end + self.patience() + SENSOR_GRACE)
            .await;
        let problem = self.baseline_problem(begin, end);
        self.0.is_past_baseline.set(true);
        Ok(problem)
    }

    /// Waits until every stream has told what it saw up to `time`, or the deadline.
    async fn seen_until(&self, time: Duration, deadline: Duration) {
        let watch = self.clone();
        let seen = self.0.core.until(move || {
            let streams = watch.0.streams.borrow();
            streams.iter().take(watch.0.kpis.len()).all(|stream| {
                stream.ended
                    || stream
                        .windows
                        .last()
                        .is_some_and(|last| last.start + last.length >= time)
            })
        });
        crate::machine::either(seen, self.0.core.sleep_until(deadline)).await;
    }

    /// Waits until every KPI is well again, or the limit is over.
    pub(crate) async fn wait_for_recovery(&self, drill: &Drill) {
        self.faults_over().await;
        let Some(over) = self.disturbance_ended() else {
            return;
        };
        if self.0.kpis.is_empty() || self.0.watching_since.get().is_none() {
            return;
        }
        let limit = self.limit();
        announce(drill, Phase::Recovery, Some(limit));
        let deadline = over + limit + WELL_FOR + self.patience() + SENSOR_GRACE;
        let watch = self.clone();
        let well = self
            .0
            .core
            .until(move || watch.recovery_time(over).is_some());
        crate::machine::either(well, self.0.core.sleep_until(deadline)).await;
        match self.recovery_time(over) {
            Some(took) if took <= limit => {
                self.0.recovered_after.set(Some(took));
                drill.progress(Progress::Recovered { took });
            }
            late => {
                let how = late.map_or("had not come back".to_owned(), |took| {
                    format!("took {:.1} s", took.as_secs_f64())
                });
                *self.0.lost.borrow_mut() = Some(format!(
                    "The system {how} within {:.1} s of the fault's end.",
                    limit.as_secs_f64()
                ));
            }
        }
    }

    fn limit(&self) -> Duration {
        self.0
            .recovery
            .map_or(RECOVERY_LIMIT, |recovery| recovery.within)
    }

    fn patience(&self) -> Duration {
        let streams = self.0.streams.borrow();
        streams
            .iter()
            .filter_map(|stream| Some(stream.source.as_ref()?.patience()))
            .max()
            .unwrap_or_default()
    }

    /// Until when a hypothesis may come back; `None` where the document allows no time for it.
    pub(crate) fn hypothesis_deadline(&self) -> Option<Duration> {
        Some(self.disturbance_ended()? + self.0.recovery?.within)
    }

    pub(crate) fn hypothesis_recovered(&self, drill: &Drill) {
        if self.0.kpis.is_empty()
            && let Some(over) = self.disturbance_ended()
        {
            let took = drill.now().saturating_sub(over);
            self.0.recovered_after.set(Some(took));
            drill.progress(Progress::Recovered { took });
        }
    }

    /// Something is in place, as far as is known.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.disturbance_began().is_some() && self.disturbance_ended().is_none()
    }

    /// The time a fault is given to be noticed and routed around.
    pub(crate) fn in_transition(&self) -> bool {
        let now = self.0.core.now();
        self.disturbance_began()
            .is_some_and(|began| now < began + self.0.expect.transition)
    }

    /// Ends the streams and takes in what they still have to tell.
    pub(crate) async fn close(&self) {
        self.0.is_past_baseline.set(false);
        let streams = self.0.streams.borrow().len();
        for kpi in 0..streams {
            if self
                .0
                .streams
                .borrow()
                .get(kpi)
                .is_some_and(|stream| !stream.ended)
            {
                self.0.core.emit(Effect::StopKpi { kpi });
            }
        }
        let deadline = self.0.core.now() + self.patience() + SENSOR_GRACE;
        let watch = self.clone();
        let ended = self
            .0
            .core
            .until(move || watch.0.streams.borrow().iter().all(|stream| stream.ended));
        crate::machine::either(ended, self.0.core.sleep_until(deadline)).await;
    }
}
