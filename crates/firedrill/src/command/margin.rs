//! `firedrill margin`: how much of one dimension a system bears.

mod answer;
mod kept;
mod look;
mod plot;

use std::io;

use firedrill_experiment::document::Margin;
use firedrill_experiment::journal::margin::{Record, Stopped};
use firedrill_judge::margin::{End, Unanswered};

use serde_json::Value;

use super::run::{Loading, documents, fresh_seed, global_controls, overrides, settings};
use crate::cli::{GlobalArgs, MarginArgs};
use crate::drill::{self, Dimension, Order};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;
use look::Look;

pub(super) use answer::describe;

pub(super) fn execute(args: &MarginArgs, global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    let settings = settings(global)?;
    let places = [args.document.clone()];
    let loading = Loading::default();
    let mut documents = documents(&places, true, false, &settings, &loading, out)?;
    let document = documents.remove(0);
    let before = kept::before(args)?;
    let seed = args.seed.or(before.first().map(|record| record.seed));
    let source = document.place.clone();
    let seed = seed.unwrap_or_else(fresh_seed);
    let mut order = Order::of_ours(document.experiment, &source, seed, global.state()?);
    order.overrides = overrides(&args.variables)?;
    order.settings = settings;
    order.options.global_controls = global_controls(&order.settings, &[])?;
    let margins = order.experiment.margins.clone();
    if margins.is_empty() {
        return Err(
            Failure::usage(format!("{source} asks for no margin")).hint(
                "add `margin`: which argument of which fault is varied; the manual's page on margins has an example",
            ),
        );
    }
    let is_table = matches!(order.experiment.raw.get("margin"), Some(Value::Array(_)));
    let records = search(
        &order,
        &margins,
        before,
        |records| kept::write(&args.record, &kept::Kept::of(records, is_table)),
        out,
    )?;
    if out.is_json() {
        out.json(&kept::Kept::of(&records, is_table))?;
    } else {
        out.raw(answer::describe(&records).as_bytes())?;
        out.line(format!("  record      {}", args.record.display()))?;
    }
    Ok(Exit::worst(records.iter().map(exit)))
}

/// One dimension after the other, until one of them leaves the system in doubt.
fn search(
    order: &Order,
    margins: &[Margin],
    mut records: Vec<Record>,
    keep: impl Fn(&[Record]) -> io::Result<()>,
    out: &Out,
) -> Result<Vec<Record>, Failure> {
    let allowed = order
        .experiment
        .blast_radius
        .and_then(|radius| radius.bad_events_max);
    for (at, margin) in margins.iter().enumerate() {
        let before = records.get(at).cloned();
        if margins.len() > 1 && before.as_ref().is_some_and(Record::is_over) {
            continue;
        }
        let done: Vec<Record> = records.drain(..).take(at).collect();
        let spent: u64 = done.iter().map(Record::bad_events).sum();
        let mut look = Look::new(out, margin);
        look.begin(&order.experiment.title, before.as_ref());
        let dimension = Dimension {
            margin,
            bad_events_max: allowed.map(|allowed| allowed.saturating_sub(spent)),
            before,
        };
        let with = |record: &Record| [&done[..], std::slice::from_ref(record)].concat();
        let keep = |record: &Record| keep(&with(record));
        let record = drill::margin(order, dimension, keep, |now, notice| look.see(now, &notice))?;
        let goes_on = goes_on(&record);
        records = with(&record);
        if !goes_on {
            break;
        }
    }
    Ok(records)
}

/// Nothing more is broken on a system that is not well, or where a search was stopped.
fn goes_on(record: &Record) -> bool {
    let end = record.search().and_then(|search| search.answer().end);
    record.stopped.is_none() && end != Some(End::NotAnswered(Unanswered::NotRecovered))
}

/// The exit code of one dimension.
pub(super) fn exit(record: &Record) -> Exit {
    match &record.stopped {
        Some(Stopped::Unhealthy(_) | Stopped::Refused(_)) => return Exit::Refused,
        Some(
            Stopped::NoEffect(_)
            | Stopped::Sensor(_)
            | Stopped::Traffic(_)
            | Stopped::ContextChanged(_),
        ) => {
            return Exit::Inconclusive;
        }
        Some(Stopped::NotRecovered(_)) => return Exit::Broken,
        Some(Stopped::Halted | Stopped::Guardrail(_)) => return Exit::Halted,
        Some(Stopped::Residue(_) | Stopped::Failed(_)) => return Exit::Failed,
        None => {}
    }
    let end = record.search().and_then(|search| search.answer().end);
    match end {
        Some(End::Proven | End::Found | End::BeyondLargest) => Exit::Held,
        Some(End::Disproven { .. } | End::BelowLowest) => Exit::Broken,
        Some(End::NotAnswered(Unanswered::NotRecovered)) => Exit::Broken,
        Some(End::NotAnswered(_)) | None => Exit::Inconclusive,
    }
}
