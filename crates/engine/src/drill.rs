//! The order of things in a drill.

pub(crate) mod journal;
mod outputs;
mod rollback;
mod waiting;

use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use firedrill_experiment::document::{Activity, Experiment, HypothesisStrategy, OnFailure};
use firedrill_experiment::journal::{Interruption, Phase, Status, SteadyState, SteadyStates};
use firedrill_experiment::mask::Mask;
use firedrill_experiment::scope::Scope as Variables;
use serde_json::Value;

use crate::effect::{Check, Effect, Level, Progress};
use crate::machine::Core;
use crate::method::Background;
use crate::plan::{Dry, Identity, Obstacle, Options, Plan};
use crate::record::{self, Runs};
use crate::stop::Stop;
use crate::verdict::{self, Facts};
use crate::watch::{Problem, Watch};

/// A handle on the drill; every coroutine holds one.
#[derive(Clone)]
pub(crate) struct Drill(Rc<State>);

struct State {
    core: Core,
    options: Options,
    identity: Identity,
    experiment: RefCell<Experiment>,
    /// The top-level keys of the document as it was read.
    declared: Vec<String>,
    scope: RefCell<Variables>,
    watch: Watch,
    /// Raised by guardrails and by the budget; signals come from the core.
    raised: RefCell<VecDeque<Stop>>,
    /// Background activities end without an outcome.
    abandoned: Cell<bool>,
    status: Cell<Option<Status>>,
    deviated: Cell<bool>,
    states: RefCell<SteadyStates>,
    run: Runs,
    rollbacks: Runs,
    /// Rollbacks of single actions, of those that ran.
    owed: RefCell<Vec<Activity>>,
    facts: RefCell<Facts>,
    interruption: RefCell<Option<Interruption>>,
    guardrails_done: Cell<bool>,
    obstacle: Option<Obstacle>,
}

impl Drill {
    pub(crate) fn new(core: Core, plan: Plan) -> Self {
        let watch = Watch::new(core.clone(), &plan.experiment);
        let is_dry = matches!(
            plan.options.dry,
            Some(Dry::Actions | Dry::Activities | Dry::Probes)
        );
        Self(Rc::new(State {
            core,
            options: plan.options,
            identity: plan.identity,
            declared: plan.experiment.raw.keys().cloned().collect(),
            experiment: RefCell::new(plan.experiment),
            scope: RefCell::new(plan.scope),
            watch,
            raised: RefCell::default(),
            abandoned: Cell::new(false),
            status: Cell::new(None),
            deviated: Cell::new(false),
            states: RefCell::default(),
            run: Runs::default(),
            rollbacks: Runs::default(),
            owed: RefCell::default(),
            facts: RefCell::new(Facts {
                dry: is_dry,
                ..Facts::default()
            }),
            interruption: RefCell::default(),
            guardrails_done: Cell::new(false),
            obstacle: plan.obstacle,
        }))
    }
}

/// The whole drill.
pub(crate) async fn run(drill: Drill) {
    let title = drill.experiment().title.clone();
    drill.log(Level::Info, format!("Running experiment: {title}"));
    drill.progress(Progress::Started { title });
    if drill.stopped_by_obstacle() {
        return finish(&drill).await;
    }
    drill
        .core()
        .spawn(drill.watch().clone().follow(drill.clone()));
    drill
        .core()
        .spawn(drill.watch().clone().mind_silence(drill.clone()));
    drill.initialise_controls().await;

    let stop = Box::pin(body(&drill)).await.err();
    let with_rollbacks = !matches!(&stop, Some(Stop::Signal(signal)) if signal.forbids_rollbacks());
    if let Some(stop) = stop {
        drill.note_stop(stop);
    }
    drill.0.guardrails_done.set(true);
    drill.core().touch();
    drill.watch().method_ended();
    drill.watch().faults_over().await;
    // What guardrails and the budget had to say is said, and the rollbacks may run beside nothing.
    drill.0.raised.borrow_mut().clear();
    drill.0.abandoned.set(false);

    if with_rollbacks && drill.rollbacks_wanted() {
        play_rollbacks(&drill).await;
        drill.watch().faults_over().await;
        drill.progress(Progress::RollbacksEnded);
        if drill.recovers_after_rollbacks() {
            drill.watch().opaque_taken_back();
        }
    }
    drill.core().emit(Effect::DisarmRollbacks);
    let harmed = drill.0.facts.borrow().harm;
    if harmed || (drill.recovers_after_rollbacks() && drill.0.status.get().is_none()) {
        let watch = drill.watch().clone();
        if let Err(stop) = drill.foreground(watch.wait_for_recovery(&drill)).await {
            drill.note_stop(stop);
        }
    }
    drill.watch().close().await;
    finish(&drill).await;
}

async fn body(drill: &Drill) -> Result<(), Stop> {
    drill.experiment_control_before().await?;
    if !gate(drill).await? || !baseline(drill).await? {
        return Ok(());
    }
    drill.start_guardrails().await?;
    drill.arm_rollbacks();

    let background = Background::default();
    let during = drill
        .during()
        .then(|| crate::hypothesis::watch_continuously(drill));
    let method = Box::pin(crate::method::run(drill, &background)).await;
    if method.is_err() {
        // A probe that hangs on a broken system must not keep its rollbacks from running.
        drill.abandon();
    }
    if let Some(during) = during {
        during.end(drill).await;
    }
    drill.watch().method_ended();
    method?;

    if !drill.recovers_after_rollbacks() && drill.may_check_after() {
        let watch = drill.watch().clone();
        drill.foreground(watch.wait_for_recovery(drill)).await?;
    }
    after(drill).await
}

/// The hypothesis before anything is broken. False: do not go on.
async fn gate(drill: &Drill) -> Result<bool, Stop> {
    if !drill.has_hypothesis() || !drill.before() {
        return Ok(true);
    }
    let Some(state) = crate::hypothesis::check(drill, Check::Before).await? else {
        return Ok(true);
    };
    drill.0.states.borrow_mut().before = Some(state.clone());
    if state.steady_state_met == Some(true) {
        return Ok(true);
    }
    drill.0.status.set(Some(status_of(&state)));
    drill.0.facts.borrow_mut().gate_failed = Some(crate::hypothesis::complaint(&state));
    Ok(false)
}

async fn baseline(drill: &Drill) -> Result<bool, Stop> {
    let nothing_to_watch = {
        let experiment = drill.experiment();
        experiment.kpis.is_empty() && experiment.kpi_guardrails.is_empty()
    };
    if nothing_to_watch || drill.options().dry.is_some() {
        return Ok(true);
    }
    let watch = drill.watch().clone();
    let problem = drill.foreground(watch.baseline(drill)).await??;
    let Some(problem) = problem else {
        let refusals = watch.too_little_traffic(drill);
        let answers = refusals.is_empty();
        if !answers {
            drill.0.status.set(Some(Status::Completed));
            drill.0.facts.borrow_mut().refusals.extend(refusals);
        }
        return Ok(answers);
    };
    drill.0.status.set(Some(Status::Completed));
    let mut facts = drill.0.facts.borrow_mut();
    match problem {
        Problem::Unhealthy(why) => facts.gate_failed = Some(why),
        Problem::Undecided(why) => facts.gate_undecided = Some(why),
    }
    Ok(false)
}

/// The hypothesis after the method.
async fn after(drill: &Drill) -> Result<(), Stop> {
    if !drill.has_hypothesis() || !drill.may_check_after() || !drill.after() {
        return Ok(());
    }
    let Some(state) = crate::hypothesis::check_until_recovered(drill).await? else {
        return Ok(());
    };
    drill.0.states.borrow_mut().after = Some(state.clone());
    if state.steady_state_met != Some(true) {
        drill.0.deviated.set(true);
        drill.0.status.set(Some(status_of(&state)));
        let complaint = crate::hypothesis::complaint(&state);
        let mut facts = drill.0.facts.borrow_mut();
        match drill.watch().hypothesis_deadline() {
            Some(_) => facts.not_recovered = Some(complaint),
            None => facts.after_failed = Some(complaint),
        }
    } else {
        let back_in_time = drill.watch().hypothesis_deadline().is_some();
        let mut facts = drill.0.facts.borrow_mut();
        facts.after_met = true;
        facts.back_in_time = back_in_time;
    }
    Ok(())
}

fn status_of(state: &SteadyState) -> Status {
    use firedrill_experiment::journal::RunStatus;
    let all_ran = state
        .probes
        .iter()
        .all(|probe| probe.status == Some(RunStatus::Succeeded));
    if all_ran {
        Status::Completed
    } else {
        Status::Failed
    }
}

async fn play_rollbacks(drill: &Drill) {
    drill.progress(Progress::RollbacksStarted);
    drill.log(Level::Info, "Let's rollback...");
    if let Err(stop) = crate::method::roll_back(drill).await {
        drill.note_stop(match stop {
            Stop::Aborted(reason) => Stop::Aborted(format!("in the rollbacks: {reason}")),
            other => other,
        });
    }
}

async fn finish(drill: &Drill) {
    while let Some(stop) = drill.take_stop() {
        drill.note_stop(stop);
    }
    if drill.0.status.get().is_none() {
        drill.0.status.set(Some(Status::Completed));
    }
    let mut journal = drill.journal();
    let facts = drill.0.facts.borrow().clone();
    let ruling = verdict::rule(&facts, &drill.watch().evidence(), drill.options().strict);
    let deviated = journal.deviated;
    let shown = if deviated {
        "deviated"
    } else {
        status_name(journal.status)
    };
    drill.log(
        Level::Info,
        format!("Experiment ended with status: {shown}"),
    );
    journal = drill.experiment_control_after(journal).await;
    journal.experiment = Value::Object(drill.recorded_experiment());
    drill.cleanup_controls().await;
    journal.firedrill = Some(drill.watch().describe(drill, ruling, &facts));
    drill.progress(Progress::Ended {
        status: journal.status,
        deviated,
    });
    crate::masking::journal(&Mask::new(&drill.scope().secrets), &mut journal);
    drill.core().emit(Effect::Finished(Box::new(journal)));
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Aborted => "aborted",
        Status::Interrupted => "interrupted",
    }
}

// What the other modules ask of a drill.
impl Drill {
    pub(crate) fn core(&self) -> &Core {
        &self.0.core
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.0.identity
    }

    pub(crate) fn experiment(&self) -> Ref<'_, Experiment> {
        self.0.experiment.borrow()
    }

    pub(crate) fn replace_experiment(&self, experiment: Experiment) {
        *self.0.experiment.borrow_mut() = experiment;
    }

    pub(crate) fn scope(&self) -> Ref<'_, Variables> {
        self.0.scope.borrow()
    }

    pub(crate) fn change_scope(&self, change: impl FnOnce(&mut Variables)) {
        change(&mut self.0.scope.borrow_mut());
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.0.watch
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.0.run
    }

    pub(crate) fn rollback_runs(&self) -> &Runs {
        &self.0.rollbacks
    }

    pub(crate) fn status(&self) -> Option<Status> {
        self.0.status.get()
    }

    pub(crate) fn set_status(&self, status: Status) {
        self.0.status.set(Some(status));
        self.core().touch();
    }

    pub(crate) fn push_during(&self, state: SteadyState) {
        self.0.states.borrow_mut().during.push(state);
    }

    pub(crate) fn during_failed(&self, complaint: String) {
        let mut facts = self.0.facts.borrow_mut();
        facts.during_failed.get_or_insert(complaint);
    }

    /// Counts while a fault of ours is in place; before and after it shows nothing about it.
    pub(crate) fn during_met(&self) {
        if self.watch().is_disturbed() {
            self.0.facts.borrow_mut().during_met = true;
        }
    }

    pub(crate) fn guardrails_done(&self) -> bool {
        self.0.guardrails_done.get()
    }

    pub(crate) fn now(&self) -> Duration {
        self.0.core.now()
    }

    pub(crate) fn moment(&self) -> String {
        record::moment(self.0.identity.epoch, self.now())
    }

    pub(crate) fn log(&self, level: Level, message: impl AsRef<str>) {
        let message = Mask::new(&self.scope().secrets).text(message.as_ref());
        self.core().emit(Effect::Log(level, message));
    }

    pub(crate) fn progress(&self, progress: Progress) {
        let mask = Mask::new(&self.scope().secrets);
        self.core()
            .emit(Effect::Progress(crate::masking::progress(&mask, progress)));
    }

    pub(crate) fn activity_failed(&self, activity: &Activity, message: &str) {
        let mut facts = self.0.facts.borrow_mut();
        if activity.kind == firedrill_experiment::document::ActivityKind::Action {
            facts
                .failed_actions
                .push(format!("`{}`: {message}", activity.name));
        }
        if activity.on_failure == OnFailure::Fail {
            facts.fatal_failure = Some(format!("`{}` failed: {message}", activity.name));
            self.0.status.set(Some(Status::Failed));
        }
    }

    pub(crate) fn is_dry(&self, activity: &Activity) -> bool {
        use firedrill_experiment::document::ActivityKind;
        match self.options().dry {
            Some(Dry::Actions) => activity.kind == ActivityKind::Action,
            Some(Dry::Probes) => activity.kind == ActivityKind::Probe,
            Some(Dry::Activities) => true,
            Some(Dry::Pause) | None => false,
        }
    }

    pub(crate) fn is_selected(&self, activity: &Activity) -> bool {
        let wanted = &self.options().tags;
        wanted.is_empty() || activity.tags.iter().any(|tag| wanted.contains(tag))
    }

    fn has_hypothesis(&self) -> bool {
        self.experiment()
            .hypothesis
            .as_ref()
            .is_some_and(|hypothesis| !hypothesis.probes.is_empty())
    }

    fn before(&self) -> bool {
        use HypothesisStrategy::{BeforeMethodOnly, Continuously, Default};
        matches!(
            self.options().hypothesis_strategy,
            BeforeMethodOnly | Default | Continuously
        )
    }

    fn during(&self) -> bool {
        use HypothesisStrategy::{Continuously, DuringMethodOnly};
        self.has_hypothesis()
            && matches!(
                self.options().hypothesis_strategy,
                DuringMethodOnly | Continuously
            )
    }

    fn after(&self) -> bool {
        use HypothesisStrategy::{AfterMethodOnly, Continuously, Default};
        matches!(
            self.options().hypothesis_strategy,
            AfterMethodOnly | Default | Continuously
        )
    }

    fn may_check_after(&self) -> bool {
        !matches!(self.status(), Some(Status::Interrupted | Status::Aborted))
    }
}

/// The phase names that progress shows.
pub(crate) fn announce(drill: &Drill, phase: Phase, time: Option<Duration>) {
    drill.progress(Progress::Phase { phase, time });
}
