//! Secrets out of the journal: out of everything it quotes, never out of its own field names.

use firedrill_experiment::journal::{Drill, Journal, Run, SteadyState};
use firedrill_experiment::mask::Mask;
use serde_json::Value;

use crate::effect::Progress;

pub(crate) fn journal(mask: &Mask, journal: &mut Journal) {
    if mask.is_empty() {
        return;
    }
    journal.experiment = mask.value(&journal.experiment);
    let states = &mut journal.steady_states;
    for state in states
        .before
        .iter_mut()
        .chain(&mut states.after)
        .chain(&mut states.during)
    {
        steady_state(mask, state);
    }
    for run in journal.run.iter_mut().chain(&mut journal.rollbacks) {
        activity(mask, run);
    }
    if let Some(interruption) = &mut journal.interruption {
        text(mask, &mut interruption.reason);
    }
    if let Some(safeguards) = &mut journal.safeguards {
        *safeguards = mask.value(safeguards);
    }
    for value in journal.extra.values_mut() {
        *value = mask.value(value);
    }
    if let Some(drill) = &mut journal.firedrill {
        record(mask, drill);
    }
}

pub(crate) fn progress(mask: &Mask, mut progress: Progress) -> Progress {
    if mask.is_empty() {
        return progress;
    }
    match &mut progress {
        Progress::Started { title } => text(mask, title),
        Progress::ActivityStarted { activity } => *activity = mask.value(activity),
        Progress::ActivityEnded { run } => self::activity(mask, run),
        Progress::HypothesisChecked { state, .. } => steady_state(mask, state),
        _ => {}
    }
    progress
}

fn steady_state(mask: &Mask, state: &mut SteadyState) {
    for probe in &mut state.probes {
        activity(mask, probe);
    }
    let extra = mask.value(&Value::Object(std::mem::take(&mut state.extra)));
    state.extra = extra.as_object().cloned().unwrap_or_default();
}

fn activity(mask: &Mask, run: &mut Run) {
    run.activity = mask.value(&run.activity);
    run.output = mask.value(&run.output);
    for line in run.exception.iter_mut().flatten() {
        text(mask, line);
    }
    let extra = mask.value(&Value::Object(std::mem::take(&mut run.extra)));
    run.extra = extra.as_object().cloned().unwrap_or_default();
}

fn record(mask: &Mask, drill: &mut Drill) {
    drill
        .reasons
        .iter_mut()
        .chain(&mut drill.notes)
        .for_each(|line| text(mask, line));
    for kpi in &mut drill.kpis {
        text(mask, &mut kpi.source);
    }
    for fault in &mut drill.faults {
        text(mask, &mut fault.activity);
        text(mask, &mut fault.requested);
        fault
            .achieved
            .iter_mut()
            .chain(&mut fault.targets)
            .for_each(|line| text(mask, line));
    }
    for action in &mut drill.actions {
        text(mask, &mut action.activity);
    }
}

fn text(mask: &Mask, line: &mut String) {
    *line = mask.text(line);
}
