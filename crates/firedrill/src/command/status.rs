use std::time::Duration;

use firedrill_kernel::Presence;
use firedrill_undo::{ActiveDrill, ActiveFault, Ending, active_drills};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::GlobalArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::host::{process_name, user_name};
use crate::output::{BOLD, DIM, NAME, Out};

pub(super) fn execute(global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    let drills = active_drills(&global.state()?)?;
    if out.is_json() {
        let drills: Vec<Value> = drills.iter().map(to_json).collect();
        out.json(&json!({ "drills": drills }))?;
        return Ok(Exit::Held);
    }
    if drills.is_empty() {
        out.line("no drill is active")?;
    }
    for (at, drill) in drills.iter().enumerate() {
        if at > 0 {
            out.line("")?;
        }
        out.line(in_words(drill))?;
    }
    Ok(Exit::Held)
}

fn in_words(drill: &ActiveDrill) -> String {
    let mut text = format!("{BOLD}{}{BOLD:#}  {}\n", drill.drill, drill.label);
    let mut row = |name: &str, value: String| text += &format!("  {DIM}{name:<9}{DIM:#} {value}\n");
    let presence = |presence| match presence {
        Presence::Alive => "alive",
        Presence::Gone => "gone",
        Presence::ElsewhereUnknown => "of another pid namespace",
    };
    row(
        "owner",
        format!(
            "{}, {}, {}",
            process_name(&drill.owner),
            user_name(drill.user),
            presence(drill.owner_presence)
        ),
    );
    row(
        "guardian",
        format!(
            "{}, {}",
            process_name(&drill.guardian),
            presence(drill.guardian_presence)
        ),
    );
    row("since", since(drill.since));
    row("lease", lease(drill));
    for fault in &drill.faults {
        row("fault", fault_in_words(fault));
    }
    if drill.faults.is_empty() {
        row("faults", "none in force".to_owned());
    }
    let (name, command) = match is_left(drill) {
        true => ("undo it", "firedrill recover".to_owned()),
        false => ("stop it", format!("firedrill halt {}", drill.drill)),
    };
    text += &format!("  {DIM}{name:<9}{DIM:#} {NAME}{command}{NAME:#}");
    text
}

/// Nobody is left to undo it.
fn is_left(drill: &ActiveDrill) -> bool {
    drill.owner_presence == Presence::Gone && drill.guardian_presence == Presence::Gone
}

fn since(seconds: u64) -> String {
    let start = i64::try_from(seconds)
        .ok()
        .and_then(|at| Timestamp::from_second(at).ok());
    start.map_or_else(|| "unknown".to_owned(), |start| start.to_string())
}

fn lease(drill: &ActiveDrill) -> String {
    match drill.ended {
        Some(ending) => ended(ending).to_owned(),
        None if drill.lease_left == Duration::ZERO => "over".to_owned(),
        None => format!(
            "{:.0} s left unless renewed",
            drill.lease_left.as_secs_f64()
        ),
    }
}

fn ended(ending: Ending) -> &'static str {
    match ending {
        Ending::Finished => "given back",
        Ending::Expired => "over",
        Ending::Halted => "taken by a halt",
        Ending::OwnerDied => "over: its owner died",
        Ending::GuardianDied => "over: its guardian died",
    }
}

fn fault_in_words(fault: &ActiveFault) -> String {
    let effects: Vec<String> = fault
        .effects
        .iter()
        .map(|effect| {
            let targets: Vec<String> = effect.targets().iter().map(process_name).collect();
            match targets.is_empty() {
                true => effect.mechanism().to_string(),
                false => format!("{} on {}", effect.mechanism(), targets.join(", ")),
            }
        })
        .collect();
    effects.join("; ")
}

fn to_json(drill: &ActiveDrill) -> Value {
    let faults: Vec<Value> = drill
        .faults
        .iter()
        .map(|fault| json!({ "id": fault.id, "effects": fault.effects, "words": fault_in_words(fault) }))
        .collect();
    json!({
        "drill": drill.drill,
        "label": drill.label,
        "user": drill.user,
        "owner": { "pid": drill.owner.pid, "alive": drill.owner_presence == Presence::Alive },
        "guardian": {
            "pid": drill.guardian.pid,
            "alive": drill.guardian_presence == Presence::Alive,
        },
        "since": since(drill.since),
        "lease-left-ms": u64::try_from(drill.lease_left.as_millis()).unwrap_or(u64::MAX),
        "ended": drill.ended.map(ended),
        "left-behind": is_left(drill),
        "faults": faults,
    })
}
