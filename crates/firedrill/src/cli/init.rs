use std::path::PathBuf;

use clap::Args;

/// A first experiment by questions, from what runs here
///
/// Lists the services that listen on this machine, asks which one to drill, and writes a commented
/// experiment that holds it to its belief while one of its processes is paused. Without a terminal,
/// or with --yes, --url and --process answer instead.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill init
  firedrill init --yes --url http://127.0.0.1:8080/ --process name=web -o web.yaml")]
pub(crate) struct InitArgs {
    /// Where the experiment goes
    #[arg(
        long,
        short = 'o',
        value_name = "FILE",
        default_value = "experiment.yaml"
    )]
    #[arg(visible_alias = "experiment-path")]
    pub(crate) file: PathBuf,
    /// Replace the file when it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Ask nothing; needs --url
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// The address that must keep answering
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// What to pause: pid=N, name=NAME or command=PATTERN [default: whoever listens at the URL]
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) process: Option<String>,
}
