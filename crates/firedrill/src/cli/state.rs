use std::path::PathBuf;

use clap::Args;

/// What is active, on what, whose, until when, and how to stop it
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  firedrill status --output json")]
pub(crate) struct StatusArgs {}

/// What this host can do, through which mechanism, and what any tool left behind
///
/// Tries each mechanism on a thing of its own and removes it again; changes nothing of yours.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  firedrill doctor")]
pub(crate) struct DoctorArgs {}

/// Stop and undo drills, now
///
/// Your drills, or one by its name; --all for everybody's, which needs the permission to stop them.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill halt                  every drill of yours
  firedrill halt d-20261123-4f2a  one drill, as `firedrill status` names it")]
pub(crate) struct HaltArgs {
    /// One drill, as `firedrill status` names it
    #[arg(value_name = "DRILL", conflicts_with = "all")]
    pub(crate) drill: Option<String>,
    /// Everybody's drills on this host
    #[arg(long)]
    pub(crate) all: bool,
}

/// Undo what a dead drill of yours left
///
/// Reads the undo logs of drills whose process and guardian are both gone, and takes back what they
/// had in force. Says what it did, and what it left for somebody else. Every command that changes
/// something does this first.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill recover            what is left now
  firedrill recover --install  and at every boot, for faults that survive a reboot")]
pub(crate) struct RecoverArgs {
    /// Have systemd recover at every boot: writes a unit and enables it
    #[arg(long, conflicts_with_all = ["uninstall", "rollbacks"])]
    pub(crate) install: bool,
    /// Remove what --install wrote
    #[arg(long, conflicts_with = "rollbacks")]
    pub(crate) uninstall: bool,
    /// Play the document rollbacks that a drill left in its directory
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) rollbacks: Option<PathBuf>,
}
