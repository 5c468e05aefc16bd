//! The method and the rollbacks: activities in order, some in the background.

use std::cell::Cell;
use std::rc::Rc;

use firedrill_experiment::document::{Activity, ActivityKind};
use firedrill_experiment::journal::Status;
use serde_json::Value;

use crate::activity::{Mode, execute};
use crate::drill::Drill;
use crate::effect::{Level, Progress, Scope};
use crate::machine::{Either, either};
use crate::record::Runs;
use crate::stop::Stop;

/// How many background activities still run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Background(Rc<Cell<usize>>);

/// Plays the method with its controls, and waits for what runs in the background.
pub(crate) async fn run(drill: &Drill, background: &Background) -> Result<(), Stop> {
    drill.log(Level::Info, "Playing your experiment's method now...");
    let runs = drill.runs().clone();
    drill.progress(Progress::MethodStarted);
    let played = Box::pin(play(drill, &runs, background));
    let result = Box::pin(enclosed(drill, Scope::Method, &runs, played)).await;
    drill.progress(Progress::MethodEnded);
    result
}

/// Plays the rollbacks, with the controls of their level. A signal skips the rest.
pub(crate) async fn roll_back(drill: &Drill) -> Result<(), Stop> {
    let runs = drill.rollback_runs().clone();
    let background = Background::default();
    enclosed(
        drill,
        Scope::Rollback,
        &runs,
        play_rollbacks(drill, &runs, &background),
    )
    .await
}

async fn enclosed(
    drill: &Drill,
    scope: Scope,
    runs: &Runs,
    inner: impl Future<Output = Result<(), Stop>>,
) -> Result<(), Stop> {
    let context = Value::Object(drill.experiment().raw.clone());
    let before = drill.control(scope, &[], context.clone(), None, true).await;
    let result = match before {
        Ok(_) => inner.await,
        Err(stop) => Err(stop),
    };
    let state = serde_json::to_value(runs.snapshot()).ok();
    let reply = drill.control(scope, &[], context, state, false).await;
    if let Some(changed) = reply.as_ref().ok().and_then(|reply| reply.state.clone())
        && let Ok(changed) = serde_json::from_value(changed)
    {
        runs.replace(changed);
    }
    result.and(reply.map(drop))
}

async fn play(drill: &Drill, runs: &Runs, background: &Background) -> Result<(), Stop> {
    let mut result = Ok(());
    // Looked up one by one: a control may add to the method while it is played.
    'method: for at in 0.. {
        let next = drill.experiment().method.get(at).cloned();
        let Some(activity) = next else { break };
        if !drill.is_selected(&activity) {
            continue;
        }
        for repetition in 0..activity.repeat.map_or(1, |repeat| repeat.times) {
            result = one(drill, &activity, runs, background, repetition).await;
            if result.is_err() || stops(drill) {
                break 'method;
            }
        }
    }
    let waits = !matches!(&result, Err(Stop::Signal(signal)) if signal.forbids_rollbacks());
    let waited = background.wait(drill, waits).await;
    result.and(waited)
}

fn stops(drill: &Drill) -> bool {
    matches!(
        drill.status(),
        Some(Status::Aborted | Status::Failed | Status::Interrupted)
    )
}

async fn one(
    drill: &Drill,
    activity: &Activity,
    runs: &Runs,
    background: &Background,
    repetition: u32,
) -> Result<(), Stop> {
    // Nobody may have listened for a while: nothing begins after a stop.
    if let Some(stop) = drill.take_stop() {
        return Err(stop);
    }
    if let Some(repeat) = activity.repeat
        && repetition > 0
    {
        drill.foreground(drill.core().sleep(repeat.every)).await?;
    }
    if activity.kind == ActivityKind::Action && repetition == 0 && !drill.is_dry(activity) {
        drill.owe(activity);
    }
    if activity.background {
        background.start(drill, activity, runs).await;
        return Ok(());
    }
    execute(drill, activity, runs, Mode::Foreground)
        .await
        .map(drop)
}

async fn play_rollbacks(drill: &Drill, runs: &Runs, background: &Background) -> Result<(), Stop> {
    let mut result = Ok(());
    for at in 0.. {
        let Some(activity) = drill.rollbacks().into_iter().nth(at) else {
            break;
        };
        drill.log(Level::Info, format!("Rollback: {}", activity.name));
        if activity.background {
            background.start(drill, &activity, runs).await;
            continue;
        }
        match execute(drill, &activity, runs, Mode::Foreground).await {
            Ok(_) => {}
            // Every step runs: one that breaks does not take the others with it.
            Err(Stop::Aborted(reason)) => {
                drill.log(Level::Error, reason.clone());
                result = Err(Stop::Aborted(reason));
            }
            Err(stop) => {
                result = Err(stop);
                break;
            }
        }
    }
    let waited = background.wait(drill, true).await;
    result.and(waited)
}

impl Background {
    /// Returns once the activity has begun, so that the journal has it before what follows.
    async fn start(&self, drill: &Drill, activity: &Activity, runs: &Runs) {
        self.0.set(self.0.get() + 1);
        let begun = Rc::new(Cell::new(false));
        let has_begun = begun.clone();
        let (count, drill, activity, runs) = (
            self.0.clone(),
            drill.clone(),
            activity.clone(),
            runs.clone(),
        );
        let core = drill.core().clone();
        core.spawn(async move {
            begun.set(true);
            match execute(&drill, &activity, &runs, Mode::Background).await {
                Err(Stop::Aborted(reason)) => {
                    drill.activity_failed(&activity, &reason);
                    drill.log(Level::Error, reason);
                }
                Err(stop @ Stop::Interrupted(_)) => drill.raise(stop),
                _ => {}
            }
            count.set(count.get() - 1);
            drill.core().touch();
        });
        core.until(move || has_begun.get()).await;
    }

    /// A signal while waiting gives up on them all, and is the answer.
    async fn wait(&self, drill: &Drill, patiently: bool) -> Result<(), Stop> {
        if !patiently {
            drill.abandon();
        }
        let count = self.0.clone();
        let idle = drill.core().until(move || count.get() == 0);
        if let Either::First(stop) = either(drill.stop_raised(), idle).await {
            drill.abandon();
            let count = self.0.clone();
            drill.core().until(move || count.get() == 0).await;
            return Err(stop);
        }
        Ok(())
    }
}
