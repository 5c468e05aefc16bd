use std::path::PathBuf;

use clap::Args;

use super::run::VariableArgs;

/// Compare two arms of live traffic, of which one has a fault
///
/// Divides a route of a running proxy into two small, equal, sticky arms as the document's `canary`
/// says, watches both, gives the fault to the experiment arm, and compares. The first proof of harm
/// stops it. The fault and the split are undone even when this process is killed.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill canary payments-late.yaml

Exit codes: 0 no harm beyond the tolerance, proven; 1 harm proven; 3 neither; 4 refused, or the arms
differ before; 5 stopped")]
pub(crate) struct CanaryArgs {
    /// An experiment with `canary`: .json, .yaml, .yml, or an http(s) URL
    #[arg(value_name = "FILE|URL")]
    pub(crate) document: String,
    /// Where the journal goes
    #[arg(long, value_name = "PATH", default_value = "./journal.json")]
    pub(crate) journal_path: PathBuf,
    /// Chooses the arrival times of a load of the document's own
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
}
