use std::path::Path;
use std::time::Duration;

use firedrill_undo::{DrillId, Filter, HaltOutcome, Halted, StateDir, active_drills, halt};
use serde_json::{Value, json};

use crate::cli::{GlobalArgs, HaltArgs};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};
use crate::host;
use crate::output::{BAD, BOLD, GOOD, Out};
use crate::recovery;
use crate::words::milliseconds;

/// How long guardians may take to undo before the halt is called failed; they go on regardless.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn execute(args: &HaltArgs, global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    let state = global.state()?;
    let halted = match &args.drill {
        Some(name) => one(&state, name)?,
        None if args.all => everybodys(&state)?,
        None => own(&state)?,
    };
    if out.is_json() {
        let halted: Vec<Value> = halted.iter().map(to_json).collect();
        out.json(&json!({ "halted": halted }))?;
    } else if halted.is_empty() {
        out.line("no drill is active")?;
    } else {
        for halted in &halted {
            out.line(in_words(halted))?;
        }
    }
    Ok(Exit::worst(halted.iter().map(exit)))
}

fn one(state: &StateDir, name: &str) -> Result<Vec<Halted>, Failure> {
    let drill: DrillId = name.parse::<DrillId>().or_exit(Exit::Usage)?;
    let halted = halt(state, &Filter::Drill(drill.clone()), LIMIT)?;
    if halted.is_empty() {
        return Err(Failure::usage(format!("no drill `{drill}` is active"))
            .hint("`firedrill status` lists the drills that are"));
    }
    Ok(halted)
}

fn own(state: &StateDir) -> Result<Vec<Halted>, Failure> {
    let me = rustix::process::geteuid().as_raw();
    let drills = active_drills(state)?;
    if drills.iter().all(|drill| drill.user == me) {
        return Ok(halt(state, &Filter::All, LIMIT)?);
    }
    let mut halted = Vec::new();
    for drill in drills.into_iter().filter(|drill| drill.user == me) {
        halted.extend(halt(state, &Filter::Drill(drill.drill), LIMIT)?);
    }
    Ok(halted)
}

/// Every state directory that drills of this host's users keep by default, and the one in use.
fn everybodys(state: &StateDir) -> Result<Vec<Halted>, Failure> {
    let mut places = vec![state.path().to_owned(), "/var/lib/firedrill".into()];
    places.extend(
        host::homes()
            .into_iter()
            .map(|home| home.join(".local/state/firedrill")),
    );
    places.sort();
    places.dedup();
    let mut halted = Vec::new();
    for place in places.iter().filter(|place| is_there(place)) {
        halted.extend(
            halt(&StateDir::at(place), &Filter::All, LIMIT)
                .or_exit(Exit::Refused)
                .or_hint("halting everybody's drills needs the right to read their state: sudo")?,
        );
    }
    Ok(halted)
}

/// A directory that may not even be looked at counts: its owner's drills are not halted.
fn is_there(place: &Path) -> bool {
    !matches!(place.try_exists(), Ok(false))
}

fn exit(halted: &Halted) -> Exit {
    match &halted.outcome {
        HaltOutcome::Undone => Exit::Held,
        HaltOutcome::Recovered(recovered) if recovered.clean => Exit::Held,
        HaltOutcome::NotAllowed { .. } | HaltOutcome::Left { .. } => Exit::Refused,
        HaltOutcome::Recovered(_) | HaltOutcome::TimedOut => Exit::Failed,
    }
}

fn outcome(halted: &Halted) -> String {
    match &halted.outcome {
        HaltOutcome::Undone => format!("halted, undone in {}", milliseconds(halted.took)),
        HaltOutcome::Recovered(recovered) => {
            format!(
                "its guardian was dead; recovered {}",
                recovery::in_words(recovered)
            )
        }
        HaltOutcome::NotAllowed { why } => format!("not yours to halt: {why}"),
        HaltOutcome::TimedOut => {
            format!(
                "not undone within {} s; its guardian goes on trying",
                LIMIT.as_secs()
            )
        }
        HaltOutcome::Left { why } => format!("left alone: {why}"),
    }
}

fn in_words(halted: &Halted) -> String {
    let (style, mark) = match exit(halted) {
        Exit::Held => (GOOD, "ok"),
        _ => (BAD, "no"),
    };
    format!(
        "{style}{mark}{style:#} {BOLD}{}{BOLD:#}  {}",
        halted.drill,
        outcome(halted)
    )
}

fn to_json(halted: &Halted) -> Value {
    json!({
        "drill": halted.drill,
        "undone": exit(halted) == Exit::Held,
        "took-ms": halted.took.as_secs_f64() * 1e3,
        "words": outcome(halted),
    })
}
