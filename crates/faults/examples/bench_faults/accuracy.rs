//! What was asked beside what an instrument of ours saw, in the same run.

mod cost;
mod delay;
mod prober;
mod rate;
mod share;
mod stress;

use std::time::Duration;

use firedrill_faults::Site;
use firedrill_undo::{Guardian, Primitive, SpawnConfig, StateDir};
use serde_json::json;
use tempfile::TempDir;

use crate::Outcome;
use crate::bed::{self, Bed};
use crate::cases::parse;
use crate::figure::Figure;
use crate::words::Words;

/// The port whose packets the faults meet, and the one beside it whose they do not.
const THROUGH: u16 = 7000;
const PAST: u16 = 7001;

/// Measures with a seed; whether every goal was met.
type Part = fn(&Bed, u64) -> Outcome<bool>;

pub(crate) fn measure(words: &Words) -> Outcome<bool> {
    let only: String = words.get("only", String::new())?;
    let seed = words.get("seed", 1_u64)?;
    let bed = Bed::new()?;
    let mut well = true;
    let parts: [(&str, Part); 6] = [
        ("delay", delay::measure),
        ("share", share::measure),
        ("rate", rate::measure),
        ("cost", cost::measure),
        ("cpu", |_, _| stress::cpu()),
        ("memory", |_, _| stress::memory()),
    ];
    for (name, part) in parts.iter().filter(|(name, _)| name.contains(&only)) {
        match part(&bed, seed) {
            Ok(met) => well &= met,
            Err(error) => {
                well = false;
                println!("{}", json!({"error": error.to_string(), "part": name}));
            }
        }
    }
    Ok(well)
}

/// Something in force, through a guardian of its own.
struct InForce {
    guardian: Guardian,
    id: u64,
    _state: TempDir,
}

impl InForce {
    /// A fault on what leaves the near side for [`THROUGH`].
    fn on_traffic(bed: &Bed, fault: &str, arguments: &str, seed: u64) -> Outcome<Self> {
        let targets = bed::targets(&format!("namespace={}", bed.near))?;
        let site = Site {
            seed,
            ..Site::of(&targets)
        };
        Self::of(parse(fault, arguments)?.compile(&site)?)
    }

    fn of(effects: Vec<Primitive>) -> Outcome<Self> {
        let state = tempfile::tempdir()?;
        let mut config = SpawnConfig::new(StateDir::at(state.path()), "accuracy".parse()?, "bench");
        config.lease = Duration::from_secs(120);
        let guardian = Guardian::spawn(config)?;
        let id = guardian.apply(effects)?.id;
        guardian.observe_until(id, Duration::from_secs(5))?;
        Ok(Self {
            guardian,
            id,
            _state: state,
        })
    }

    fn end(self) -> Outcome<()> {
        let reverted = self.guardian.revert(self.id)?;
        self.guardian.finish()?;
        match reverted.residue.first() {
            None => Ok(()),
            Some(residue) => Err(residue.to_string().into()),
        }
    }
}

/// What was achieved beside what was asked, and whether it is as near as it should be.
fn beside_asked(metric: &str, unit: &str, asked: f64, achieved: f64, goal: (f64, f64)) -> bool {
    let met = (goal.0..=goal.1).contains(&achieved);
    Figure {
        bench: "faults",
        metric: metric.to_owned(),
        value: achieved,
        unit,
        peer: Some(("asked", asked)),
        also: json!({"low": goal.0, "high": goal.1, "met": met}),
    }
    .print();
    met
}
