mod at_boot;
mod rollbacks;
mod strays;

use firedrill_undo::{Filter, LeftAlone, Recovered, RecoveryReport, recover};
use serde_json::{Value, json};

use crate::cli::{GlobalArgs, RecoverArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BAD, GOOD, Out};
use crate::recovery::in_words;
use strays::Stray;

pub(super) fn execute(args: &RecoverArgs, global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    if let Some(directory) = &args.rollbacks {
        return rollbacks::play(directory, global.state()?);
    }
    if args.install {
        return at_boot::install(&global.state()?, out);
    }
    if args.uninstall {
        return at_boot::uninstall(out);
    }
    let report = recover(&global.state()?, &Filter::All)?;
    let strays = strays::remove();
    if out.is_json() {
        out.json(&to_json(&report, &strays))?;
    } else {
        say(&report, &strays, out)?;
    }
    Ok(Exit::worst([exit(&report), strays::exit(&strays)]))
}

fn say(report: &RecoveryReport, strays: &[Stray], out: &Out) -> Result<(), Failure> {
    if report.recovered.is_empty() && report.left.is_empty() && strays.is_empty() {
        return out.line("nothing was left behind");
    }
    for recovered in &report.recovered {
        let (style, mark) = if recovered.clean {
            (GOOD, "ok")
        } else {
            (BAD, "no")
        };
        out.line(format!("{style}{mark}{style:#} {}", in_words(recovered)))?;
        for residue in &recovered.reverted.residue {
            out.line(format!("   {residue}"))?;
        }
    }
    for (drill, why) in &report.left {
        out.line(format!("-- {drill}: left alone: {why}"))?;
    }
    for stray in strays {
        out.line(stray)?;
    }
    Ok(())
}

/// A living drill is nothing to recover; what could not be cleaned, or could not be looked at, is.
fn exit(report: &RecoveryReport) -> Exit {
    let left = report.left.iter().map(|(_, why)| match why {
        LeftAlone::GuardianAlive | LeftAlone::OwnerAlive { .. } | LeftAlone::BeingCreated => {
            Exit::Held
        }
        LeftAlone::OtherUser { .. } | LeftAlone::OtherNamespace => Exit::Held,
        LeftAlone::OtherFormat { .. } | LeftAlone::Unreadable { .. } => Exit::Refused,
    });
    let done = report
        .recovered
        .iter()
        .map(|one| if one.clean { Exit::Held } else { Exit::Failed });
    Exit::worst(left.chain(done))
}

fn to_json(report: &RecoveryReport, strays: &[Stray]) -> Value {
    let recovered: Vec<Value> = report.recovered.iter().map(recovered_to_json).collect();
    let left: Vec<Value> = report
        .left
        .iter()
        .map(|(drill, why)| json!({ "drill": drill, "why": why.to_string() }))
        .collect();
    let strays: Vec<String> = strays.iter().map(ToString::to_string).collect();
    json!({ "recovered": recovered, "left": left, "roots": strays })
}

fn recovered_to_json(recovered: &Recovered) -> Value {
    let residue: Vec<String> = recovered
        .reverted
        .residue
        .iter()
        .map(ToString::to_string)
        .collect();
    json!({
        "drill": recovered.drill,
        "label": recovered.label,
        "clean": recovered.clean,
        "ended-with-the-host": recovered.ended_with_the_host,
        "undone": recovered.reverted.undone,
        "took-ms": recovered.reverted.took.as_secs_f64() * 1e3,
        "residue": residue,
    })
}
