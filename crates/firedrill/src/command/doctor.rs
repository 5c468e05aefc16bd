use firedrill_faults::{Check, Left, Subject, Usability, doctor, left_by_others, usability};
use firedrill_kernel::Presence;
use firedrill_undo::{ActiveDrill, active_drills};
use serde_json::{Value, json};

use crate::cli::GlobalArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BOLD, DIM, GOOD, NAME, Out};
use crate::words::count;

/// Looks, and changes nothing; what is not usable is an answer, not an error.
pub(super) fn execute(global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    let state = global.state()?;
    let checks = doctor(&state);
    let faults = usability(&checks);
    let others = left_by_others();
    let left: Vec<ActiveDrill> = active_drills(&state)?.into_iter().filter(is_left).collect();
    if out.is_json() {
        let left: Vec<Value> = left
            .iter()
            .map(|drill| json!({ "drill": drill.drill, "label": drill.label, "faults": drill.faults.len() }))
            .collect();
        out.json(&json!({
            "checks": checks, "faults": faults, "left-behind": left, "left-by-others": others,
        }))?;
        return Ok(Exit::Held);
    }
    out.line(format!("{BOLD}What this host can do{BOLD:#}"))?;
    say_checks(&checks, out)?;
    say_faults(&faults, out)?;
    say_ours(&left, out)?;
    say_others(&others, out)?;
    Ok(Exit::Held)
}

fn say_checks(checks: &[Check], out: &Out) -> Result<(), Failure> {
    let wide = checks
        .iter()
        .map(|check| check.mechanism.len())
        .max()
        .unwrap_or(0);
    let mut subject = None;
    for check in checks {
        if subject != Some(check.subject) {
            subject = Some(check.subject);
            out.line(format!("  {DIM}{}{DIM:#}", heading(check.subject)))?;
        }
        out.line(in_words(check, wide))?;
    }
    Ok(())
}

fn heading(subject: Subject) -> &'static str {
    match subject {
        Subject::Safety => "safety",
        Subject::Privileges => "privileges",
        Subject::Processes => "processes",
        Subject::Resources => "resources",
        Subject::Network => "network",
        Subject::Time => "time",
        Subject::Containers => "containers and services",
        Subject::Left => "seen on the host",
    }
}

/// Only those that cannot work: the others are in `firedrill faults`.
fn say_faults(faults: &[Usability], out: &Out) -> Result<(), Failure> {
    out.line(format!("\n{BOLD}Faults that cannot work here{BOLD:#}"))?;
    let refused: Vec<&Usability> = faults.iter().filter(|fault| !fault.usable).collect();
    if refused.is_empty() {
        out.line("  none")?;
    }
    for fault in refused {
        out.line(format!(
            "  {NAME}{}{NAME:#}\n       {}",
            fault.fault, fault.why
        ))?;
    }
    Ok(())
}

fn say_ours(left: &[ActiveDrill], out: &Out) -> Result<(), Failure> {
    out.line(format!("\n{BOLD}What was left behind{BOLD:#}"))?;
    if left.is_empty() {
        out.line("  nothing of Firedrill's")?;
    }
    for drill in left {
        let faults = count(drill.faults.len(), "fault");
        out.line(format!(
            "  {}  {}: {faults} in its log",
            drill.drill, drill.label
        ))?;
    }
    if !left.is_empty() {
        out.line(format!("  {NAME}firedrill recover{NAME:#} undoes it"))?;
    }
    Ok(())
}

fn say_others(others: &[Left], out: &Out) -> Result<(), Failure> {
    if others.is_empty() {
        return out.line("  nothing of other tools that is known");
    }
    for left in others {
        let by = left.by.map(|by| format!(" ({by})")).unwrap_or_default();
        out.line(format!("  {}{by}", left.what))?;
        out.line(format!("       {DIM}{}{DIM:#}", left.advice))?;
    }
    out.line(format!("  {DIM}left alone: it may be in use{DIM:#}"))
}

fn is_left(drill: &ActiveDrill) -> bool {
    drill.owner_presence == Presence::Gone && drill.guardian_presence == Presence::Gone
}

fn in_words(check: &Check, wide: usize) -> String {
    let (style, mark) = if check.usable {
        (GOOD, "yes")
    } else {
        (DIM, "no ")
    };
    let mut text = format!(
        "  {style}{mark}{style:#}  {:<wide$}  {}",
        check.mechanism, check.why
    );
    if let Some(fix) = check.fix {
        text += &format!("\n       {:<wide$}  {DIM}{fix}{DIM:#}", "");
    }
    text
}
