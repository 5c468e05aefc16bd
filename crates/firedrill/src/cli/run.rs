use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::value::{positive, ratio};
use crate::exit::VerdictName;

/// Run experiments, and undo what they broke
///
/// Runs any Chaos Toolkit experiment, or one of ours, from files or URLs. Every drill ends in a
/// verdict, an exit code and a journal; several files end in one summary. Options keep Chaos
/// Toolkit's names.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill run experiment.json
  firedrill run zone-loss.yaml payments-slow.yaml --journal-path 'journals/{name}.json'
  firedrill run experiment.yaml --var replicas:int=3 --rollback-strategy always
  firedrill run experiment.json --digest 5f3c…   only if the plan is still the approved one")]
pub(crate) struct RunArgs {
    /// Experiments: .json, .yaml, .yml, or http(s) URLs
    #[arg(required = true, value_name = "FILE|URL")]
    pub(crate) documents: Vec<String>,

    /// Where the journal goes; `{name}` is the document's name; of several drills each has its own
    #[arg(
        long,
        value_name = "PATH",
        default_value = "./journal.json",
        help_heading = "Results"
    )]
    pub(crate) journal_path: PathBuf,
    /// Also write every event as a line of JSON to this file
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) events_file: Option<PathBuf>,
    /// The exit code is 0 unless the verdict is one of these, comma separated
    #[arg(
        long,
        value_name = "VERDICT,…",
        value_delimiter = ',',
        help_heading = "Results"
    )]
    #[arg(value_enum, conflicts_with = "compat_exit")]
    pub(crate) fail_on: Vec<VerdictName>,
    /// Chaos Toolkit's exit codes: 0 if completed and not deviated, else 1
    #[arg(long, help_heading = "Results")]
    pub(crate) compat_exit: bool,
    /// An effect that was not observed makes a held drill inconclusive
    #[arg(long, help_heading = "Results")]
    pub(crate) strict: bool,

    /// When rollbacks are played [default: the document's, else default]
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "How it runs")]
    pub(crate) rollback_strategy: Option<RollbacksWhen>,
    /// When the hypothesis is checked [default: the document's, else default]
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "How it runs")]
    pub(crate) hypothesis_strategy: Option<HypothesisWhen>,
    /// Seconds between two checks while the method runs
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 1.0,
        help_heading = "How it runs"
    )]
    #[arg(value_parser = positive)]
    pub(crate) hypothesis_frequency: f64,
    /// Stop the method when a check during it fails
    #[arg(long, help_heading = "How it runs")]
    pub(crate) fail_fast: bool,
    /// With --fail-fast: the share of failed checks that stops it; 0 is the first one
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        help_heading = "How it runs"
    )]
    #[arg(value_parser = ratio)]
    pub(crate) fail_fast_ratio: f64,
    /// Leave a part out and go through the rest
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "How it runs")]
    pub(crate) dry: Option<DryMode>,
    /// Run only the method's activities that carry one of these tags, comma separated
    #[arg(
        long,
        value_name = "TAG,…",
        value_delimiter = ',',
        help_heading = "How it runs"
    )]
    pub(crate) tags: Vec<String>,
    /// Hold each drill this many times; each has its journal
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        help_heading = "How it runs"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) repeat: u32,
    /// Chooses targets and arrival times; the same seed chooses the same
    #[arg(long, value_name = "N", help_heading = "How it runs")]
    pub(crate) seed: Option<u64>,

    /// Run only if the plan has this digest (see `firedrill plan`)
    #[arg(long, value_name = "HEX", help_heading = "Safety")]
    pub(crate) digest: Option<String>,
    /// Ask nothing; scripts may say so, though no drill asks anything today
    #[arg(long, short, help_heading = "Safety")]
    pub(crate) yes: bool,
    /// Skip validation of what Python extensions would be asked to do
    #[arg(long, help_heading = "Safety")]
    pub(crate) no_validation: bool,

    #[command(flatten)]
    pub(crate) variables: VariableArgs,

    /// Further controls, from a file that holds {"controls": …}; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Surroundings")]
    pub(crate) control_file: Vec<PathBuf>,
    /// Python for extensions and controls [default: python3 of the active environment]
    #[arg(long, value_name = "PATH", help_heading = "Surroundings")]
    pub(crate) python: Option<PathBuf>,
    /// Change to this directory first
    #[arg(long, value_name = "DIR", help_heading = "Surroundings")]
    pub(crate) change_dir: Option<PathBuf>,
    /// Accept any TLS certificate when fetching documents
    #[arg(long, help_heading = "Surroundings")]
    pub(crate) no_verify_tls: bool,
}

/// Overrides of a document's configuration and secrets.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Variables")]
pub(crate) struct VariableArgs {
    /// Override a configuration key: name=value or name:type=value; may be repeated
    #[arg(long, value_name = "NAME[:TYPE]=VALUE")]
    pub(crate) var: Vec<String>,
    /// Override from a .json, .yaml or .env file; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) var_file: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RollbacksWhen {
    /// Unless the drill was interrupted, or a hypothesis probe failed
    Default,
    Always,
    Never,
    /// Only when the system deviated
    Deviated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HypothesisWhen {
    /// Before and after the method
    Default,
    BeforeMethodOnly,
    AfterMethodOnly,
    DuringMethodOnly,
    /// Before, during and after
    #[value(alias = "continously")]
    Continuously,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryMode {
    /// Run no probes
    Probes,
    /// Run no actions
    Actions,
    /// Run neither
    Activities,
    /// Make no pauses
    Pause,
}
