//! Playing the rollbacks of a drill that was killed, from what it kept in its directory.

use std::path::Path;

use firedrill_engine::Options;
use firedrill_experiment::Experiment;
use firedrill_experiment::document::{RollbackStrategy, Strictness};
use firedrill_experiment::journal::RunStatus;
use firedrill_experiment::scope::VarFile;
use firedrill_runner::rollback::{self, Kept};
use firedrill_runner::settings::Settings;
use firedrill_undo::StateDir;
use serde_json::{Value, json};

use crate::command::report;
use crate::drill::{self, Order};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};

/// They are played as a drill of their own, without a method: the same providers, substitution and
/// time-outs as they would have had. Its journal lies beside the one that was never written.
pub(super) fn play(directory: &Path, state: StateDir) -> Result<Exit, Failure> {
    let kept = rollback::read(directory).doing(format!(
        "cannot read the rollbacks kept in {}",
        directory.display()
    ))?;
    std::env::set_current_dir(&kept.directory)
        .doing(format!("cannot change to {}", kept.directory.display()))?;
    let experiment = Experiment::from_value(document(&kept), Strictness::Lenient)
        .map_err(|found| Failure::new(Exit::Failed, found.lines().join("; ")))?;
    let journal = drill::hold(order(experiment, &kept, state), |_, _| {})?;
    let path = kept.journal.with_extension("rollbacks.json");
    let played = journal
        .rollbacks
        .iter()
        .all(|run| run.status == Some(RunStatus::Succeeded));
    let all = journal.rollbacks.len() == kept.armed.activities.len();
    report::write(&path, &serde_json::to_vec_pretty(&*journal)?)?;
    if !(played && all) {
        return Ok(Exit::Failed);
    }
    // What failed stays to be read by a person; what was played must not be played again.
    let file = directory.join(rollback::FILE);
    std::fs::remove_file(&file).doing(format!("cannot remove {}", file.display()))?;
    Ok(Exit::Held)
}

fn document(kept: &Kept) -> Value {
    let mut configuration = kept.armed.configuration.clone();
    configuration.extend(kept.armed.registered.clone());
    json!({
        "title": "Rollbacks of a drill that was killed",
        "description": "Played from what the drill kept in its directory.",
        "configuration": configuration,
        "secrets": kept.secrets,
        "method": [],
        "rollbacks": kept.armed.activities,
    })
}

fn order(experiment: Experiment, kept: &Kept, state: StateDir) -> Order {
    Order {
        experiment,
        source: "rollbacks".to_owned(),
        overrides: VarFile::default(),
        options: Options {
            rollback_strategy: RollbackStrategy::Always,
            ..Options::default()
        },
        seed: 0,
        state,
        settings: Settings::default(),
        python: kept.python.clone(),
        verify_tls: true,
        validate_python: false,
        digest: None,
        journal: kept.journal.clone(),
    }
}
