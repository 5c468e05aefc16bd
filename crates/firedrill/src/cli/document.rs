use std::path::PathBuf;

use clap::Args;

use super::VariableArgs;

/// Find every mistake in documents at once, each with its place and a hint
///
/// Reads experiments from files and URLs and runs nothing. Exits 2 when a document is invalid;
/// warnings do not change the exit code unless --strict is given.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill validate experiment.json
  firedrill validate experiments/*.yaml --output json")]
pub(crate) struct ValidateArgs {
    /// Experiments: .json, .yaml, .yml, or http(s) URLs
    #[arg(required = true, value_name = "FILE|URL")]
    pub(crate) documents: Vec<String>,
    /// Warnings make a document invalid too
    #[arg(long)]
    pub(crate) strict: bool,
}

/// What a drill would hit, how it is undone, the time and traffic it needs; a digest to approve
///
/// Touches nothing. Says which processes a fault would hit now, how each action is undone, how
/// many requests and seconds it takes to answer, and refuses what cannot answer. `firedrill run
/// --digest` insists that the plan is still the same.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill plan zone-loss.yaml
  firedrill run zone-loss.yaml --digest $(firedrill plan zone-loss.yaml --output json | jq -r .digest)")]
pub(crate) struct PlanArgs {
    /// The experiment: .json, .yaml, .yml, or an http(s) URL
    #[arg(value_name = "FILE|URL")]
    pub(crate) document: String,
    /// Chooses targets; the same seed chooses the same
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Plan only the method's activities that carry one of these tags, comma separated
    #[arg(long, value_name = "TAG,…", value_delimiter = ',')]
    pub(crate) tags: Vec<String>,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
}

/// The JSON Schema of documents, for editors
///
/// JSON Schema (2020-12) of everything that `firedrill run` understands.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  firedrill schema --file firedrill.schema.json")]
pub(crate) struct SchemaArgs {
    /// Where it goes [default: standard output]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// Turn a document into one for another tool
///
/// Leaves out what the other tool ignores anyway, and refuses where that would lose a guardrail or
/// a fault.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  firedrill export experiment.yaml --chaostoolkit -o chaos.json")]
pub(crate) struct ExportArgs {
    /// The experiment: .json, .yaml, .yml
    #[arg(value_name = "FILE")]
    pub(crate) document: String,
    /// For Chaos Toolkit, as JSON
    #[arg(long, required = true)]
    pub(crate) chaostoolkit: bool,
    /// Where it goes [default: standard output]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}
