//! How long it takes to inject, to revert, and from the owner's death to clean.

use std::time::{Duration, Instant};

use firedrill_faults::Site;
use firedrill_undo::{Guardian, SpawnConfig, StateDir};
use serde_json::json;

use crate::Outcome;
use crate::bed::Bed;
use crate::cases::{self, Case, parse};
use crate::figure::print_times;
use crate::owner::{Owner, Plan};
use crate::words::Words;

/// So long that no lease ends by itself.
const LONG: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn measure(words: &Words) -> Outcome<bool> {
    let tries: usize = words.get("tries", 100)?;
    let mut bed = Bed::new()?;
    let mut well = true;
    for case in cases::chosen(&words.get("fault", String::new())?) {
        let outcome = inject_and_revert(&mut bed, case, tries)
            .and_then(|()| owner_killed(&mut bed, case, tries));
        if let Err(error) = outcome {
            well = false;
            println!(
                "{}",
                json!({"error": error.to_string(), "case": case.name()})
            );
        }
    }
    Ok(well)
}

/// With a guardian that runs already: what one fault in a drill costs.
fn inject_and_revert(bed: &mut Bed, case: &Case, tries: usize) -> Outcome<()> {
    let state = tempfile::tempdir()?;
    let mut config = SpawnConfig::new(StateDir::at(state.path()), "times".parse()?, "bench");
    config.lease = LONG;
    let guardian = Guardian::spawn(config)?;
    let (mut injected, mut reverted) = (Vec::new(), Vec::new());
    for _ in 0..tries {
        let (_, targets) = bed.targets(case.aim)?;
        let fault = parse(case.fault, &bed.arguments(case))?;
        let applied = guardian.apply(fault.compile(&Site::of(&targets))?)?;
        if !bed.wait_disturbed(case, LIMIT)? {
            return Err("its effect was not seen".into());
        }
        let undone = guardian.revert(applied.id)?;
        if let Some(residue) = undone.residue.first() {
            return Err(residue.to_string().into());
        }
        injected.push(applied.injected_in);
        reverted.push(undone.took);
    }
    guardian.finish()?;
    print_times("faults", &format!("{}.inject", case.name()), &injected);
    print_times("faults", &format!("{}.revert", case.name()), &reverted);
    Ok(())
}

/// SIGKILL of the owner, until an instrument of ours sees nothing of the fault any more.
fn owner_killed(bed: &mut Bed, case: &Case, tries: usize) -> Outcome<()> {
    let state = tempfile::tempdir()?;
    let mut clean = Vec::new();
    for number in 0..tries {
        let plan = Plan {
            state: state.path(),
            drill: &format!("killed-{number}"),
            lease: LONG,
            hold: LONG,
            stop_at: None,
            crash_at: None,
            seed: 1,
        };
        let mut owner = Owner::start(bed, case, &plan)?;
        let said = owner.line()?;
        if said != "applied" || !bed.wait_disturbed(case, LIMIT)? {
            owner.bury(Duration::ZERO)?;
            return Err(format!("the owner said {said:?}, or its effect was not seen").into());
        }
        let start = Instant::now();
        owner.child.kill()?;
        let since = bed.wait_undisturbed(case, LIMIT)?;
        owner.bury(LIMIT)?;
        let since = since.ok_or("its effect did not end within 10 s")?;
        clean.push(since.saturating_duration_since(start));
    }
    print_times("faults", &format!("{}.owner-killed", case.name()), &clean);
    Ok(())
}
