//! How long it takes to inject, to revert, and from the owner's death to clean.

use std::time::{Duration, Instant};

use firedrill_undo::{Guardian, SpawnConfig, StateDir};
use serde_json::json;

use crate::Outcome;
use crate::bed::Bed;
use crate::cases::{self, Case, Ends};
use crate::figure::{Table, cell, load, print_times};
use crate::owner::{Owner, Plan};
use crate::words::Words;

/// So long that no lease ends by itself.
const LONG: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(10);

const TABLE: Table<5> = Table([
    "fault",
    "inject",
    "revert",
    "from SIGKILL to clean",
    "load of the machine",
]);

#[derive(Default)]
struct Times {
    inject: Vec<Duration>,
    revert: Vec<Duration>,
    clean: Vec<Duration>,
}

pub(crate) fn measure(words: &Words) -> Outcome<bool> {
    let tries: usize = words.get("tries", 100)?;
    let engine: String = words.get("engine", "docker".into())?;
    let as_table = words.get("table", 0_u8)? == 1;
    let cases = cases::chosen(&words.get("fault", String::new())?)?;
    let mut bed = Bed::new()?;
    let mut well = true;
    if as_table {
        TABLE.head();
    }
    for case in cases {
        match of(&mut bed, case, &engine, tries) {
            Ok(Some(times)) if as_table => times.row(case),
            Ok(Some(times)) => times.print(case),
            Ok(None) => {}
            Err(error) => {
                well = false;
                println!(
                    "{}",
                    json!({"error": error.to_string(), "case": case.name()})
                );
            }
        }
    }
    Ok(well)
}

/// Nothing, and said, when the case cannot be tried here.
fn of(bed: &mut Bed, case: &Case, engine: &str, tries: usize) -> Outcome<Option<Times>> {
    if let Some(why) = bed.prepare(case, engine)? {
        cases::skip(&case.name(), &why);
        return Ok(None);
    }
    let mut times = Times::default();
    inject_and_revert(bed, case, tries, &mut times)?;
    if case.ends != Ends::Never {
        times.clean = owner_killed(bed, case, tries)?;
    }
    Ok(Some(times))
}

/// With a guardian that runs already: what one fault in a drill costs.
fn inject_and_revert(bed: &mut Bed, case: &Case, tries: usize, times: &mut Times) -> Outcome<()> {
    let state = tempfile::tempdir()?;
    let mut config = SpawnConfig::new(StateDir::at(state.path()), "times".parse()?, "bench");
    config.lease = LONG;
    let guardian = Guardian::spawn(config)?;
    for _ in 0..tries {
        let applied = guardian.apply(bed.compile(case)?)?;
        if !bed.wait_disturbed(case, LIMIT)? {
            return Err("its effect was not seen".into());
        }
        let undone = guardian.revert(applied.id)?;
        if let Some(residue) = undone.residue.first() {
            return Err(residue.to_string().into());
        }
        times.inject.push(applied.injected_in);
        times.revert.push(undone.took);
    }
    guardian.finish()?;
    Ok(())
}

/// SIGKILL of the owner, until an instrument of ours sees nothing of the fault any more.
fn owner_killed(bed: &mut Bed, case: &Case, tries: usize) -> Outcome<Vec<Duration>> {
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
    Ok(clean)
}

impl Times {
    fn parts(&self) -> [(&'static str, &[Duration]); 3] {
        [
            ("inject", &self.inject),
            ("revert", &self.revert),
            ("owner-killed", &self.clean),
        ]
    }

    fn print(&self, case: &Case) {
        for (part, samples) in self.parts() {
            print_times("faults", &format!("{}.{part}", case.name()), samples);
        }
    }

    fn row(&self, case: &Case) {
        let [inject, revert, clean] = self.parts().map(|(_, samples)| cell(samples));
        TABLE.row(&[case.name(), inject, revert, clean, load()]);
    }
}
