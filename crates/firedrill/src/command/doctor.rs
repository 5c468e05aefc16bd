use firedrill_faults::{Check, doctor};
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
    let left: Vec<ActiveDrill> = active_drills(&state)?.into_iter().filter(is_left).collect();
    if out.is_json() {
        let left: Vec<Value> = left
            .iter()
            .map(|drill| json!({ "drill": drill.drill, "label": drill.label, "faults": drill.faults.len() }))
            .collect();
        out.json(&json!({ "checks": checks, "left-behind": left }))?;
        return Ok(Exit::Held);
    }
    let wide = checks
        .iter()
        .map(|check| check.mechanism.len())
        .max()
        .unwrap_or(0);
    out.line(format!("{BOLD}What this host can do{BOLD:#}"))?;
    for check in &checks {
        out.line(in_words(check, wide))?;
    }
    out.line(format!("\n{BOLD}What was left behind{BOLD:#}"))?;
    if left.is_empty() {
        out.line("  nothing of Firedrill's")?;
    }
    for drill in &left {
        let faults = count(drill.faults.len(), "fault");
        out.line(format!(
            "  {}  {}: {faults} in its log",
            drill.drill, drill.label
        ))?;
    }
    if !left.is_empty() {
        out.line(format!("  {NAME}firedrill recover{NAME:#} undoes it"))?;
    }
    Ok(Exit::Held)
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
