//! One activity, from its controls to its journal entry.

use std::time::Duration;

use firedrill_experiment::call::{self, Call, Consequence, ResolveError};
use firedrill_experiment::document::{Activity, ActivityKind, Retry};
use firedrill_experiment::journal::Run;
use firedrill_experiment::substitute::substitute;
use firedrill_experiment::tolerance;
use serde_json::{Value, json};

use crate::drill::Drill;
use crate::effect::{Effect, Failure, Level, Outcome, Progress, Scope};
use crate::plan::Dry;
use crate::record::{self, Entry, Runs};
use crate::stop::Stop;

/// Who waits: the drill itself, which signals interrupt, or nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Foreground,
    Background,
}

/// Runs an activity with its pauses and controls; the entry is appended to `runs` as it starts.
pub(crate) async fn execute(
    drill: &Drill,
    activity: &Activity,
    runs: &Runs,
    mode: Mode,
) -> Result<Entry, Stop> {
    let mut activity = activity.clone();
    let before = drill.activity_control(&mut activity, None, true).await;
    let result = match before {
        Ok(_) => perform(drill, &activity, runs, mode).await,
        Err(stop) => Err(stop),
    };
    let state = result.as_ref().ok().and_then(Entry::read);
    let changed = drill
        .activity_control(&mut activity, state.as_ref(), false)
        .await?;
    let entry = result?;
    if let Some(run) = changed.and_then(|run| serde_json::from_value::<Run>(run).ok()) {
        entry.update(|entry| *entry = run);
    }
    Ok(entry)
}

async fn perform(
    drill: &Drill,
    activity: &Activity,
    runs: &Runs,
    mode: Mode,
) -> Result<Entry, Stop> {
    let skipped = drill.is_dry(activity);
    let unhurried = skipped || drill.options().dry == Some(Dry::Pause);
    pause(drill, activity.pause_before.as_ref(), unhurried, mode).await?;

    let kind = match activity.kind {
        ActivityKind::Probe => "Probe",
        ActivityKind::Action => "Action",
    };
    let aside = if mode == Mode::Background {
        " [in background]"
    } else {
        ""
    };
    drill.log(Level::Info, format!("{kind}: {}{aside}", activity.name));
    let start = drill.now();
    let entry = runs.push(record::begun(&activity.raw, drill.moment()));
    drill.progress(Progress::ActivityStarted {
        activity: Value::Object(activity.raw.clone()),
    });
    if !skipped {
        drill.watch().activity_started(activity, start);
    }

    let result = if skipped {
        Ok(Outcome::Succeeded(Value::Null))
    } else {
        run_with_retry(drill, activity, mode, &entry).await
    };
    let stopped = settle(drill, activity, &entry, result);
    let seconds = (drill.now() - start).as_secs_f64();
    entry.update(|run| {
        run.end = Some(drill.moment());
        run.duration = Some(seconds);
    });
    if let Some(run) = entry.read() {
        drill.progress(Progress::ActivityEnded { run: Box::new(run) });
    }
    if let Some(stop) = stopped {
        return Err(stop);
    }
    pause(drill, activity.pause_after.as_ref(), unhurried, mode).await?;
    Ok(entry)
}

/// Writes the outcome down; says whether it ends more than the activity.
fn settle(
    drill: &Drill,
    activity: &Activity,
    entry: &Entry,
    result: Result<Outcome, Stop>,
) -> Option<Stop> {
    match result {
        Ok(Outcome::Succeeded(output)) => {
            drill.register(activity, &output);
            entry.update(|run| record::succeed(run, output));
            None
        }
        Ok(Outcome::Failed(failure)) => {
            drill.log(Level::Error, format!("  => failed: {}", failure.message));
            drill.activity_failed(activity, &failure.message);
            entry.update(|run| record::fail(run, failure));
            None
        }
        Ok(Outcome::Aborted(failure)) => {
            entry.update(|run| run.exception = None);
            Some(Stop::Aborted(format!(
                "`{}`: {}",
                activity.name, failure.message
            )))
        }
        Ok(Outcome::Interrupted(interruption)) => Some(Stop::of(interruption)),
        Err(stop) => Some(stop),
    }
}

async fn pause(drill: &Drill, pause: Option<&Value>, skip: bool, mode: Mode) -> Result<(), Stop> {
    let Some(pause) = pause else { return Ok(()) };
    let pause = substitute(pause, &drill.scope());
    let seconds = match &pause {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let Some(time) = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()) else {
        return Err(Stop::Aborted(format!(
            "a pause must be a number of seconds, not {pause}"
        )));
    };
    if skip || time.is_zero() {
        return Ok(());
    }
    drill.log(
        Level::Info,
        format!("Pausing for {}s...", time.as_secs_f64()),
    );
    match mode {
        Mode::Foreground => drill.foreground(drill.core().sleep(time)).await,
        Mode::Background => drill.background(drill.core().sleep(time)).await,
    }
}

async fn run_with_retry(
    drill: &Drill,
    activity: &Activity,
    mode: Mode,
    entry: &Entry,
) -> Result<Outcome, Stop> {
    let Some(retry) = &activity.retry else {
        return call_once(drill, activity, mode).await;
    };
    let deadline = drill.now() + retry.within;
    let mut attempts = 0u64;
    loop {
        attempts += 1;
        let outcome = call_once(drill, activity, mode).await?;
        entry.update(|run| {
            run.extra.insert("attempts".into(), json!(attempts));
        });
        if !matches!(outcome, Outcome::Succeeded(_) | Outcome::Failed(_))
            || is_met(drill, retry, &outcome)?
        {
            return Ok(outcome);
        }
        if drill.now() + retry.every > deadline {
            return Ok(given_up(retry, outcome, attempts));
        }
        let wait = drill.core().sleep(retry.every);
        match mode {
            Mode::Foreground => drill.foreground(wait).await?,
            Mode::Background => drill.background(wait).await?,
        }
    }
}

fn is_met(drill: &Drill, retry: &Retry, outcome: &Outcome) -> Result<bool, Stop> {
    match (outcome, &retry.until) {
        (Outcome::Succeeded(output), Some(until)) => {
            tolerance::check(until, output, &drill.scope())
                .map_err(|error| Stop::Aborted(error.to_string()))
        }
        (Outcome::Succeeded(_), None) => Ok(true),
        _ => Ok(false),
    }
}

fn given_up(retry: &Retry, last: Outcome, attempts: u64) -> Outcome {
    match last {
        Outcome::Succeeded(_) => {
            let message = format!(
                "not met within {:?} and {attempts} attempts; raise `retry.within`, or look at what it waits for",
                retry.within
            );
            Outcome::Failed(Failure::raised("firedrill.RetryExhausted", message))
        }
        other => other,
    }
}

async fn call_once(drill: &Drill, activity: &Activity, mode: Mode) -> Result<Outcome, Stop> {
    let resolved = call::resolve(&activity.provider, &drill.scope());
    let call = match resolved {
        Ok(call) => call,
        Err(ResolveError {
            message,
            consequence,
        }) => {
            let failure = Failure::activity(message);
            return Ok(match consequence {
                Consequence::AbortsRun => Outcome::Aborted(failure),
                Consequence::FailsActivity => Outcome::Failed(failure),
            });
        }
    };
    let exposed_before = drill.exposure(activity, mode).await?;
    if mode == Mode::Foreground
        && let Some(stop) = drill.take_stop()
    {
        return Err(stop);
    }
    let id = drill.core().next_id();
    if let Call::Fault(fault) = &call {
        drill.watch().fault_requested(id, activity, fault);
    }
    let effect = Effect::Call {
        id,
        activity: activity.name.clone(),
        call,
        background: mode == Mode::Background,
    };
    let pending = drill.core().call(id, effect);
    let outcome = match mode {
        Mode::Foreground => drill.foreground(pending).await?,
        Mode::Background => drill.background(pending).await?,
    };
    if activity.exposure.is_some() {
        let exposed_after = drill.exposure(activity, mode).await?;
        drill
            .watch()
            .fault_exposed(id, exposed_before, exposed_after);
    }
    Ok(outcome)
}

impl Drill {
    async fn activity_control(
        &self,
        activity: &mut Activity,
        state: Option<&Run>,
        before: bool,
    ) -> Result<Option<Value>, Stop> {
        let context = Value::Object(activity.raw.clone());
        let state = state.and_then(|run| serde_json::to_value(run).ok());
        let reply = self
            .control(Scope::Activity, &activity.controls, context, state, before)
            .await?;
        if let Some(changed) = reply
            .context
            .and_then(|context| Activity::from_value(&context).ok())
        {
            *activity = changed;
        }
        Ok(reply.state)
    }
}
