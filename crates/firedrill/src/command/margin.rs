//! `firedrill margin`: how much of one dimension a system bears.

mod answer;
mod kept;
mod look;
mod plot;

use firedrill_judge::margin::{End, Unanswered};
use firedrill_runner::margin::record::{Record, Stopped};

use super::run::{Loading, documents, fresh_seed, overrides, settings};
use crate::cli::{GlobalArgs, MarginArgs};
use crate::drill::{self, Order};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;
use look::Look;

pub(super) fn execute(args: &MarginArgs, global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    let settings = settings(global)?;
    let places = [args.document.clone()];
    let loading = Loading::default();
    let mut documents = documents(&places, true, false, &settings, &loading, out)?;
    let document = documents.remove(0);
    let before = kept::before(args)?;
    let seed = args.seed.or(before.as_ref().map(|record| record.seed));
    let source = document.place.clone();
    let seed = seed.unwrap_or_else(fresh_seed);
    let mut order = Order::of_ours(document.experiment, &source, seed, global.state()?);
    order.overrides = overrides(&args.variables)?;
    order.settings = settings;
    let Some(margin) = &order.experiment.margin else {
        return Err(
            Failure::usage(format!("{source} asks for no margin")).hint(
                "add `margin`: which argument of which fault is varied; the manual's page on margins has an example",
            ),
        );
    };
    let mut look = Look::new(out, margin);
    look.begin(&order.experiment.title, before.as_ref());
    let keep = |record: &Record| kept::write(&args.record, record);
    let record = drill::margin(&order, before, keep, |now, notice| look.see(now, &notice))?;
    if out.is_json() {
        out.json(&record)?;
    } else {
        out.raw(answer::describe(&record).as_bytes())?;
        out.line(format!("  record      {}", args.record.display()))?;
    }
    Ok(exit(&record))
}

fn exit(record: &Record) -> Exit {
    match &record.stopped {
        Some(Stopped::Unhealthy | Stopped::Refused(_)) => return Exit::Refused,
        Some(Stopped::NoEffect(_) | Stopped::Sensor(_)) => return Exit::Inconclusive,
        Some(Stopped::Halted) => return Exit::Halted,
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
