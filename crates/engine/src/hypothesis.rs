//! The steady-state hypothesis: checked before, during and after.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use firedrill_experiment::document::Activity;
use firedrill_experiment::journal::{Run, RunStatus, Status, SteadyState};
use firedrill_experiment::tolerance::{self, Tolerance};
use serde_json::{Map, Value};

use crate::activity::{Mode, execute};
use crate::drill::Drill;
use crate::effect::{Check, Effect, Level, Outcome, Progress, Scope};
use crate::machine::{Either, either};
use crate::plan::Dry;
use crate::record::Runs;
use crate::stop::Stop;

/// Between two looks at a hypothesis that has not come back yet.
const RECHECK: Duration = Duration::from_millis(250);

/// Runs the probes until one is out of tolerance. `None`: there is no hypothesis.
pub(crate) async fn check(drill: &Drill, when: Check) -> Result<Option<SteadyState>, Stop> {
    let Some(hypothesis) = drill.experiment().hypothesis.clone() else {
        return Ok(None);
    };
    drill.log(
        Level::Info,
        format!("Steady state hypothesis: {}", hypothesis.title),
    );
    drill.progress(Progress::HypothesisStarted { check: when });
    let mode = if matches!(when, Check::During { .. }) {
        Mode::Background
    } else {
        Mode::Foreground
    };
    let context = Value::Object(hypothesis.raw.clone());
    let before = drill
        .control(
            Scope::Hypothesis,
            &hypothesis.controls,
            context.clone(),
            None,
            true,
        )
        .await;
    let result = match before {
        Ok(_) => probes(drill, mode).await,
        Err(stop) => Err(stop),
    };
    let state = result
        .as_ref()
        .ok()
        .and_then(|state| serde_json::to_value(state).ok());
    let reply = drill
        .control(
            Scope::Hypothesis,
            &hypothesis.controls,
            context,
            state,
            false,
        )
        .await?;
    let mut state = result?;
    if let Some(changed) = reply
        .state
        .and_then(|state| serde_json::from_value(state).ok())
    {
        state = changed;
    }
    drill.progress(Progress::HypothesisChecked {
        check: when,
        state: state.clone(),
    });
    Ok(Some(state))
}

/// After the method: once, or, where a recovery time is allowed, until it is met again.
pub(crate) async fn check_until_recovered(drill: &Drill) -> Result<Option<SteadyState>, Stop> {
    let limit = drill.watch().hypothesis_deadline();
    loop {
        let state = check(drill, Check::After).await?;
        let met = state
            .as_ref()
            .is_none_or(|state| state.steady_state_met == Some(true));
        let Some(deadline) = limit else {
            return Ok(state);
        };
        if met {
            drill.watch().hypothesis_recovered(drill);
            return Ok(state);
        }
        if drill.now() + RECHECK > deadline {
            return Ok(state);
        }
        drill.foreground(drill.core().sleep(RECHECK)).await?;
    }
}

async fn probes(drill: &Drill, mode: Mode) -> Result<SteadyState, Stop> {
    let mut state = SteadyState {
        steady_state_met: None,
        probes: Vec::new(),
        extra: Map::new(),
    };
    // Looked up one by one: a control may change the probes while they are asked.
    for at in 0.. {
        let scratch = Runs::default();
        let Some(probe) = drill.probe(at) else { break };
        let entry = execute(drill, &probe, &scratch, mode).await?;
        let probe = drill.probe(at).unwrap_or(probe);
        let Some(mut run) = entry.read() else {
            continue;
        };
        let met = match run.status {
            Some(RunStatus::Succeeded) => is_within(drill, &probe, &run, mode).await?,
            _ => {
                drill.log(
                    Level::Warning,
                    "Probe terminated unexpectedly, so its tolerance could not be validated",
                );
                false
            }
        };
        run.tolerance_met = Some(met);
        state.probes.push(run);
        if !met {
            state.steady_state_met = Some(false);
            return Ok(state);
        }
    }
    state.steady_state_met = Some(true);
    drill.log(Level::Info, "Steady state hypothesis is met!");
    Ok(state)
}

impl Drill {
    fn probe(&self, at: usize) -> Option<Activity> {
        self.experiment()
            .hypothesis
            .as_ref()?
            .probes
            .get(at)
            .cloned()
    }
}

async fn is_within(drill: &Drill, probe: &Activity, run: &Run, mode: Mode) -> Result<bool, Stop> {
    if matches!(drill.options().dry, Some(Dry::Probes | Dry::Activities)) {
        return Ok(true);
    }
    match &probe.tolerance {
        // A probe without a tolerance cannot be met: Chaos Toolkit's validation asks for one.
        None => Ok(false),
        Some(tolerance) => within(drill, tolerance, &run.output, mode).await,
    }
}

/// Is the value within the tolerance? A probe tolerance is a call of its own.
pub(crate) async fn within(
    drill: &Drill,
    tolerance: &Tolerance,
    value: &Value,
    mode: Mode,
) -> Result<bool, Stop> {
    let Some(probe) = tolerance.probe() else {
        return tolerance::check(tolerance, value, &drill.scope())
            .map_err(|error| Stop::Aborted(format!("the tolerance could not be judged: {error}")));
    };
    let probe = tolerance::with_value_argument(probe, value);
    let call = firedrill_experiment::call::resolve(&probe.provider, &drill.scope())
        .map_err(|error| Stop::Aborted(format!("tolerance `{}`: {error}", probe.name)))?;
    let id = drill.core().next_id();
    let pending = drill.core().call(
        id,
        Effect::Call {
            id,
            activity: probe.name.clone(),
            call,
            background: mode == Mode::Background,
        },
    );
    let outcome = match mode {
        Mode::Foreground => drill.foreground(pending).await?,
        Mode::Background => drill.background(pending).await?,
    };
    match outcome {
        Outcome::Succeeded(output) => Ok(tolerance::probe_met(&output)),
        Outcome::Failed(_) => Ok(false),
        Outcome::Aborted(failure) => Err(Stop::Aborted(format!(
            "tolerance `{}`: {}",
            probe.name, failure.message
        ))),
        Outcome::Interrupted(interruption) => Err(Stop::of(interruption)),
    }
}

/// Which probe, and why, in a sentence.
pub(crate) fn complaint(state: &SteadyState) -> String {
    let Some(probe) = state.probes.last() else {
        return "the hypothesis was not met".into();
    };
    let name = probe
        .activity
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("a probe");
    match probe.status {
        Some(RunStatus::Succeeded) => format!("probe `{name}` was out of its tolerance"),
        _ => format!("probe `{name}` failed"),
    }
}

/// A hypothesis that is checked over and over beside the method.
pub(crate) struct Continuous {
    ending: Rc<Cell<bool>>,
    ended: Rc<Cell<bool>>,
}

pub(crate) fn watch_continuously(drill: &Drill) -> Continuous {
    let watch = Continuous {
        ending: Rc::default(),
        ended: Rc::default(),
    };
    let (ending, ended, drill) = (watch.ending.clone(), watch.ended.clone(), drill.clone());
    drill.core().clone().spawn(async move {
        if let Err(stop) = iterate(&drill, &ending).await {
            match stop {
                stop @ Stop::Interrupted(_) => {
                    drill.note_stop(stop);
                    drill.core().touch();
                }
                Stop::Signal(_) => {}
                other => drill.raise(other),
            }
        }
        ended.set(true);
        drill.core().touch();
    });
    watch
}

impl Continuous {
    /// Lets the iteration under way finish, and no other begin.
    pub(crate) async fn end(self, drill: &Drill) {
        self.ending.set(true);
        drill.core().touch();
        let ended = self.ended;
        drill.core().until(move || ended.get()).await;
    }
}

async fn iterate(drill: &Drill, ending: &Rc<Cell<bool>>) -> Result<(), Stop> {
    let (mut failed, mut iteration) = (0u64, 0u64);
    while !ending.get() && drill.status().is_none() {
        iteration += 1;
        let Some(state) = check(drill, Check::During { iteration }).await? else {
            return Ok(());
        };
        let met = state.steady_state_met == Some(true);
        if !drill.watch().in_transition() {
            match met {
                true => drill.during_met(),
                false => drill.during_failed(complaint(&state)),
            }
        }
        drill.push_during(state);
        if !met {
            failed += 1;
            let share = failed as f64 * 100.0 / iteration as f64;
            if drill.options().fail_fast && share >= drill.options().fail_fast_ratio {
                drill.log(Level::Info, "Terminating immediately the experiment");
                drill.set_status(Status::Failed);
                return Ok(());
            }
        }
        let ending = ending.clone();
        let pause = drill.core().sleep(drill.options().hypothesis_frequency);
        if let Either::First(()) = either(drill.core().until(move || ending.get()), pause).await {
            return Ok(());
        }
    }
    Ok(())
}
