use std::path::PathBuf;

use clap::{Args, ValueEnum};
use firedrill_undo::{StateDir, StateError};

/// Understood by every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalArgs {
    /// How results, and errors, are written
    ///
    /// `json` prints one JSON document on standard output; errors go to standard error as
    /// {"error": {"message", "hint", "causes"}}.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    #[arg(
        hide_possible_values = true,
        help = "How results and errors are written: text, json"
    )]
    pub(crate) output: OutputFormat,
    /// Say more on standard error; twice for every step
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Say nothing on standard error but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Colour: auto, always, never; auto honours NO_COLOR
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    #[arg(hide_possible_values = true)]
    pub(crate) color: ColorWhen,
    /// Settings file [default: ~/.chaostoolkit/settings.yaml, when there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Where undo logs live [env: FIREDRILL_STATE_DIR] [default: /var/lib/firedrill for root, else
    /// ~/.local/state/firedrill]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OutputFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

impl GlobalArgs {
    /// Where undo logs live: `--state-dir`, else the user's own place.
    ///
    /// # Errors
    /// Neither the option nor the environment says where.
    pub(crate) fn state(&self) -> Result<StateDir, StateError> {
        match &self.state_dir {
            Some(path) => Ok(StateDir::at(path)),
            None => StateDir::for_user(),
        }
    }
}
