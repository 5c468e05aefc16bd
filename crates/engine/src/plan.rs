//! What a drill is started with.

use std::time::Duration;

use firedrill_experiment::document::{Experiment, HypothesisStrategy, RollbackStrategy};
use firedrill_experiment::scope::Scope;
use jiff::Timestamp;
use serde_json::Value;

/// Everything that is settled before the first step.
#[derive(Debug, Clone)]
pub struct Plan {
    pub experiment: Experiment,
    /// Configuration and secrets, loaded.
    pub scope: Scope,
    pub options: Options,
    pub identity: Identity,
    /// Why the drill must not begin; it then ends at once, with a journal.
    pub obstacle: Option<Obstacle>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Not allowed, or safety unknown; each with its reason.
    Refused(Vec<String>),
    /// Configuration or secrets could not be loaded.
    Failed(String),
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    pub dry: Option<Dry>,
    pub hypothesis_strategy: HypothesisStrategy,
    /// Between two checks of a continuous hypothesis.
    pub hypothesis_frequency: Duration,
    pub fail_fast: bool,
    /// Share of failed checks in percent at which `fail_fast` acts.
    pub fail_fast_ratio: f64,
    pub rollback_strategy: RollbackStrategy,
    /// Run only activities that carry one of these; empty runs all.
    pub tags: Vec<String>,
    /// `held` needs an observed effect.
    pub strict: bool,
    /// Controls from the settings and from `--control-file`, as written.
    pub global_controls: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dry {
    Probes,
    Actions,
    Activities,
    Pause,
}

impl Dry {
    /// As the command line and the journal call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Actions => "actions",
            Self::Activities => "activities",
            Self::Pause => "pause",
        }
    }
}

/// Facts the journal carries that the engine cannot know.
#[derive(Debug, Clone)]
pub struct Identity {
    pub version: String,
    pub drill: String,
    pub seed: u64,
    pub digest: String,
    pub platform: String,
    pub node: String,
    /// The wall clock at `now == 0`.
    pub epoch: Timestamp,
}
