use std::path::PathBuf;

use clap::Args;

use super::run::VariableArgs;

/// Measure how much a system bears, and stop there
///
/// Varies one argument of one fault, as the document's `margin` says: each trial is undone as soon
/// as its answer is clear, the next is chosen from all before it, and the system is well again in
/// between. `at-least` proves a margin and stops; `search` goes on to the break point.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill margin late-payments.yaml
  firedrill margin late-payments.yaml --resume   go on after an interruption

Exit codes: 0 borne, or found; 1 not borne, or not recovered; 3 no answer; 4 refused; 5 stopped")]
pub(crate) struct MarginArgs {
    /// An experiment with `margin`: .json, .yaml, .yml, or an http(s) URL
    #[arg(value_name = "FILE|URL")]
    pub(crate) document: String,
    /// Where the record goes: trials, answer, and what is needed to go on
    #[arg(long, value_name = "PATH", default_value = "./margin.json")]
    pub(crate) record: PathBuf,
    /// Go on with the search whose record this is
    #[arg(long)]
    pub(crate) resume: bool,
    /// Chooses targets and arrival times; the same seed chooses the same
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
}
