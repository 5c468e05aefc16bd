//! `firedrill run`: experiments to verdicts, journals and one exit code.

mod journals;
mod load;
mod look;
mod options;

use firedrill_experiment::journal::{Journal, Status, Verdict};
use serde_json::json;

use crate::cli::{GlobalArgs, RunArgs};
use crate::drill::{self, Order};
use crate::exit::{Exit, ExitRule};
use crate::failure::Failure;
use crate::output::Out;
use crate::verdict;

pub(super) use journals::write as write_journal;
pub(super) use load::{Document, Loading, documents};
pub(super) use look::Look;
pub(super) use options::{fresh_seed, global_controls, order, overrides, settings};

pub(super) fn execute(args: &RunArgs, global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    // Chaos Toolkit's 2 is for words it does not know; a document it cannot run is a 1.
    let invalid = |failure: Failure| match args.compat_exit {
        true => failure.exit(Exit::Broken),
        false => failure,
    };
    let settings = settings(global)?;
    let controls = global_controls(&settings, &args.control_file)?;
    let loading = Loading {
        controls: &controls,
        python: args.python.as_deref(),
    };
    let documents = documents(
        &args.documents,
        !args.no_validation,
        args.no_verify_tls,
        &settings,
        &loading,
        out,
    )
    .map_err(invalid)?;
    let rule = ExitRule::new(&args.fail_on, args.compat_exit);
    let many = documents.len() * args.repeat as usize > 1;
    let mut ended = Vec::new();
    for document in &documents {
        for repetition in 0..args.repeat {
            let path = journals::path(&args.journal_path, document, repetition, many);
            let order = order(args, global, &settings, document, repetition, &path)?;
            let result = hold_one(order, args, out).map_err(invalid)?;
            let interrupted =
                result.verdict == Verdict::Halted || result.journal.status == Status::Interrupted;
            ended.push(result);
            if interrupted {
                return finish(&ended, &rule, many, out);
            }
        }
    }
    finish(&ended, &rule, many, out)
}

/// One drill that is over.
struct Ended {
    journal: Box<Journal>,
    verdict: Verdict,
    /// Where the journal is; or why it is nowhere.
    kept: Result<std::path::PathBuf, String>,
}

fn hold_one(order: Order, args: &RunArgs, out: &Out) -> Result<Ended, Failure> {
    let path = order.journal.clone();
    let mut look = Look::new(out, args.events_file.as_deref(), &order)?;
    let journal = drill::hold(order, |now, notice| look.see(now, &notice))?;
    look.ended();
    let verdict = journal
        .firedrill
        .as_ref()
        .map_or(Verdict::Failed, |drill| drill.verdict);
    let kept = match journals::write(&path, &journal) {
        Ok(()) => Ok(path),
        Err(error) => {
            out.warning(format!(
                "the journal could not be written to {}: {error}",
                path.display()
            ));
            Err(error.to_string())
        }
    };
    if !out.is_json() {
        out.raw(verdict::describe(&journal).as_bytes())?;
        if let Ok(path) = &kept {
            out.line(format!("  journal     {}", path.display()))?;
        }
    }
    Ok(Ended {
        journal,
        verdict,
        kept,
    })
}

fn finish(ended: &[Ended], rule: &ExitRule, many: bool, out: &Out) -> Result<Exit, Failure> {
    if out.is_json() {
        let rows: Vec<_> = ended.iter().map(row).collect();
        match rows.as_slice() {
            [row] if !many => out.json(row)?,
            rows => out.json(&rows)?,
        }
    } else if many {
        out.line("")?;
        for end in ended {
            let title = end
                .journal
                .experiment
                .get("title")
                .and_then(|title| title.as_str())
                .unwrap_or_default();
            let style = verdict::style(end.verdict);
            out.line(format!(
                "{style}{:<16}{style:#} {title}",
                verdict::word(end.verdict)
            ))?;
        }
    }
    let lost = ended
        .iter()
        .any(|end| end.kept.is_err())
        .then_some(Exit::Failed);
    Ok(Exit::worst(
        ended
            .iter()
            .map(|end| rule.of(&end.journal, end.verdict))
            .chain(lost),
    ))
}

fn row(end: &Ended) -> serde_json::Value {
    let drill = end.journal.firedrill.as_ref();
    json!({
        "title": end.journal.experiment.get("title"),
        "verdict": end.verdict,
        "effect": drill.and_then(|drill| drill.effect),
        "reasons": drill.map(|drill| &drill.reasons),
        "status": end.journal.status,
        "deviated": end.journal.deviated,
        "duration": end.journal.duration,
        "journal": end.kept.as_ref().ok(),
    })
}
