//! What a dead drill left is undone by the next command of its user, whatever that command is.

use firedrill_undo::{Filter, RecoveryReport, recover};

use crate::cli::{Command, GlobalArgs};
use crate::output::Out;
use crate::words::{count, milliseconds};

/// Undoes what dead drills of this user left, before a command begins. Says so when there was
/// something; a recovery that fails is a warning, since the command may be what puts it right.
pub(crate) fn before(command: &Command, global: &GlobalArgs, out: &Out) {
    if !cleans_up(command) || std::env::var_os("FIREDRILL_RECOVERING").is_some() {
        return;
    }
    // Who has no state directory has left nothing in it.
    let Ok(state) = global.state() else { return };
    match recover(&state, &Filter::All) {
        Ok(report) => say(&report, out),
        Err(error) => {
            out.warning(format!(
                "what a dead drill may have left was not looked at: {error}"
            ));
        }
    }
}

/// Commands that only print what is known anyway, and those that look at what was left.
fn cleans_up(command: &Command) -> bool {
    !matches!(
        command,
        Command::Doctor(_)
            | Command::Recover(_)
            | Command::Skew(_)
            | Command::Completions(_)
            | Command::Man
    )
}

fn say(report: &RecoveryReport, out: &Out) {
    for recovered in &report.recovered {
        out.note(format!("recovered: {}", in_words(recovered)));
        for residue in &recovered.reverted.residue {
            out.warning(residue);
        }
    }
}

/// `d-1 (Zone 2 is lost): 6 effects undone in 3 ms`.
pub(crate) fn in_words(recovered: &firedrill_undo::Recovered) -> String {
    let reverted = &recovered.reverted;
    let mut text = format!(
        "{} ({}): {} undone in {}",
        recovered.drill,
        recovered.label,
        count(reverted.undone, "effect"),
        milliseconds(reverted.took),
    );
    if recovered.ended_with_the_host {
        text += ", it ended with the host, as it had asked";
    }
    if !reverted.vanished.is_empty() {
        text += &format!(", {} had ended", count(reverted.vanished.len(), "target"));
    }
    if !reverted.restarted.is_empty() {
        text += &format!(
            ", {} started again",
            count(reverted.restarted.len(), "process")
        );
    }
    text
}
