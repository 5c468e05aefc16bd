//! `firedrill canary`: two arms of a route's traffic, of which one has a fault.

mod look;
mod propose;

use super::run::{Loading, documents, fresh_seed, overrides, settings, write_journal};
use crate::cli::{CanaryArgs, CanaryCommand, GlobalArgs};
use crate::drill::{self, Order};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;
use crate::verdict;

pub(crate) use look::Look;

pub(super) fn execute(args: &CanaryArgs, global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    if let Some(CanaryCommand::Propose(args)) = &args.what {
        return propose::execute(args, out);
    }
    let settings = settings(global)?;
    let places = [args.document.clone().unwrap_or_default()];
    let loading = Loading::default();
    let mut documents = documents(&places, true, false, &settings, &loading, out)?;
    let document = documents.remove(0);
    let source = document.place.clone();
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let mut order = Order::of_ours(document.experiment, &source, seed, global.state()?);
    order.overrides = overrides(&args.variables)?;
    order.settings = settings;
    let Some(canary) = &order.experiment.canary else {
        return Err(Failure::usage(format!("{source} asks for no canary")).hint(
            "add `canary`: who is in which arm, and what is compared; the manual's page on canaries has an example",
        ));
    };
    let mut look = Look::new(out, canary);
    look.begin(&order.experiment.title);
    let journal = drill::canary(&order, |now, notice| look.see(now, &notice))?;
    write_journal(&args.journal_path, &journal)?;
    if out.is_json() {
        out.json(&journal)?;
    } else {
        out.raw(verdict::describe(&journal).as_bytes())?;
        out.line(format!("  journal     {}", args.journal_path.display()))?;
    }
    let drill = journal.firedrill.as_ref();
    Ok(drill.map_or(Exit::Failed, |drill| drill.verdict.into()))
}
