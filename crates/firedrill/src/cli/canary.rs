use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::run::VariableArgs;

/// Compare two arms of live traffic, of which one has a fault
///
/// Divides a route of a running proxy into two small, equal, sticky arms as the document's `canary`
/// says, or takes two places that others lead traffic to; watches both, gives the fault to the
/// experiment arm, and compares. The first proof of harm stops it. The fault and the split are undone even when this process is killed.
#[derive(Debug, Clone, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  firedrill canary payments-late.yaml
  firedrill canary propose -o canaries/

Exit codes: 0 no harm beyond the tolerance, proven; 1 harm proven; 3 neither; 4 refused, or the arms
differ before; 5 stopped"
)]
pub(crate) struct CanaryArgs {
    #[command(subcommand)]
    pub(crate) what: Option<CanaryCommand>,
    /// An experiment with `canary`: .json, .yaml, .yml, or an http(s) URL
    #[arg(value_name = "FILE|URL", required = true)]
    pub(crate) document: Option<String>,
    /// Where the journal goes
    #[arg(long, value_name = "PATH", default_value = "./journal.json")]
    pub(crate) journal_path: PathBuf,
    /// Chooses the arrival times of a load of the document's own
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CanaryCommand {
    Propose(ProposeArgs),
}

/// Propose canaries for the routes of a running proxy, the most telling first
///
/// Looks at what the proxy counts of each route for a while: requests, failures, times. For every
/// dependency it proposes failure, a delay below the time-out of its clients, and one beyond it,
/// and ranks them by what they would teach and what they may cost. Touches nothing.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill canary propose
  firedrill canary propose --timeout payments=250ms --retries web=1 -o canaries/")]
pub(crate) struct ProposeArgs {
    /// The proxy's HTTP interface
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8474")]
    pub(crate) proxy: String,
    /// How long to look
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = super::value::some_time)]
    pub(crate) watch: std::time::Duration,
    /// The time-out of a route's clients, which no proxy can see: payments=250ms
    #[arg(long, value_name = "ROUTE=TIME")]
    pub(crate) timeout: Vec<super::KeyValue>,
    /// How often a route's clients try again
    #[arg(long, value_name = "ROUTE=N")]
    pub(crate) retries: Vec<super::KeyValue>,
    /// Write each as a document here
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output_directory: Option<PathBuf>,
}
