//! The rollbacks of a document, kept so that a killed drill's are played.
//!
//! The guardian's log holds a command; the file it names holds the activities as written. Secrets
//! are not in it: they are read again from where the document says, when the command runs.

use std::io::Write;
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;
use firedrill_engine::effect::Armed;
use firedrill_experiment::document::Experiment;
use firedrill_experiment::scope::VarFile;
use firedrill_experiment::substitute;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fault::Faults;

/// The file in the drill's directory.
pub const FILE: &str = "rollbacks.json";

/// What recovery needs to play the rollbacks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kept {
    pub armed: Armed,
    /// The document's `secrets` block where it only names environment variables or a vault.
    pub secrets: Map<String, Value>,
    pub directory: PathBuf,
    pub python: Option<PathBuf>,
    pub journal: PathBuf,
}

/// Why a drill's rollbacks could not be kept safe. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum Unrecoverable {
    #[error(
        "the rollbacks use the secret `{name}`, which {why}, so a killed drill could not play them"
    )]
    Secret { name: String, why: &'static str },
}

/// Where a drill keeps its rollbacks.
#[derive(Debug)]
pub struct Rollbacks {
    directory: Option<PathBuf>,
    kept: Kept,
    exe: PathBuf,
    armed: bool,
}

impl Rollbacks {
    /// `directory` is the drill's own; without one nothing is kept.
    pub fn new(directory: Option<PathBuf>, exe: PathBuf, kept: Kept) -> Self {
        Self {
            directory,
            kept,
            exe,
            armed: false,
        }
    }

    /// Where nothing is to be rolled back.
    pub(crate) fn none() -> Self {
        let kept = Kept {
            armed: Armed {
                activities: Vec::new(),
                configuration: Map::new(),
                registered: Map::new(),
            },
            secrets: Map::new(),
            directory: PathBuf::new(),
            python: None,
            journal: PathBuf::new(),
        };
        Self::new(None, PathBuf::new(), kept)
    }

    /// Makes the rollbacks durable as they now stand.
    ///
    /// # Errors
    /// Why they are not; what was durable before still is.
    pub(crate) fn arm(&mut self, armed: Armed, faults: &Faults) -> Result<(), String> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        self.kept.armed = armed;
        keep(directory, &self.kept)
            .map_err(|error| format!("cannot write to {}: {error}", directory.display()))?;
        if !self.armed {
            faults
                .register_rollbacks(vec![
                    self.exe.display().to_string(),
                    "recover".into(),
                    "--rollbacks".into(),
                    directory.display().to_string(),
                ])
                .map_err(|error| error.to_string())?;
            self.armed = true;
        }
        Ok(())
    }

    /// Whether a killed drill's rollbacks would be played.
    pub(crate) fn are_armed(&self) -> bool {
        self.armed
    }

    pub(crate) fn disarm(&mut self, faults: &Faults) {
        let Some(directory) = &self.directory else {
            return;
        };
        if self.armed {
            faults.forget_rollbacks();
            // The guardian forgets first: a file without its log entry is never played.
            let _ = std::fs::remove_file(directory.join(FILE));
        }
    }
}

/// Refuses rollbacks whose secrets recovery could not find again.
///
/// # Errors
/// A secret that is inline in the document, or that came from a variable file.
pub fn check(experiment: &Experiment, overrides: &VarFile) -> Result<(), Unrecoverable> {
    let own = experiment
        .method
        .iter()
        .filter_map(|activity| activity.rollback.as_deref());
    for rollback in experiment.rollbacks.iter().chain(own) {
        let raw = Value::Object(rollback.raw.clone());
        let groups = raw
            .pointer("/provider/secrets")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let wanted: Vec<&str> = substitute::names(&raw).into_iter().collect();
        let whole: Vec<&str> = groups.filter_map(Value::as_str).collect();
        for (group, entries) in &experiment.secrets {
            for (name, entry) in entries.as_object().into_iter().flatten() {
                if !wanted.contains(&name.as_str()) && !whole.contains(&group.as_str()) {
                    continue;
                }
                if overrides.secrets.contains_key(group) || overrides.secrets.contains_key(name) {
                    return Err(Unrecoverable::Secret {
                        name: name.clone(),
                        why: "came from a variable file",
                    });
                }
                let of_file = |variable: &str| {
                    overrides
                        .environment
                        .iter()
                        .any(|(name, _)| name == variable)
                };
                if entry
                    .get("key")
                    .and_then(Value::as_str)
                    .is_some_and(of_file)
                {
                    return Err(Unrecoverable::Secret {
                        name: name.clone(),
                        why: "came from a variable file",
                    });
                }
                if entry.get("type").is_none() {
                    return Err(Unrecoverable::Secret {
                        name: name.clone(),
                        why: "is written in the document itself",
                    });
                }
            }
        }
    }
    Ok(())
}

/// The part of a `secrets` block that only names where secrets are: what may be written down.
pub fn references(secrets: &Map<String, Value>) -> Map<String, Value> {
    let is_reference = |entry: &Value| {
        matches!(
            entry.get("type").and_then(Value::as_str),
            Some("env" | "vault")
        )
    };
    let groups = secrets.iter().filter_map(|(group, entries)| {
        let named: Map<String, Value> = entries
            .as_object()?
            .iter()
            .filter(|(_, entry)| is_reference(entry))
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .collect();
        (!named.is_empty()).then(|| (group.clone(), Value::Object(named)))
    });
    groups.collect()
}

/// Writes the file so that a crash leaves the old one or the new one.
fn keep(directory: &Path, kept: &Kept) -> std::io::Result<()> {
    let mut file = AtomicWriteFile::open(directory.join(FILE))?;
    file.write_all(&serde_json::to_vec_pretty(kept)?)?;
    file.commit()
}

/// Reads what a dead drill kept.
///
/// # Errors
/// A file that is not there, or not ours.
pub fn read(directory: &Path) -> std::io::Result<Kept> {
    let bytes = std::fs::read(directory.join(FILE))?;
    serde_json::from_slice(&bytes).map_err(std::io::Error::from)
}
