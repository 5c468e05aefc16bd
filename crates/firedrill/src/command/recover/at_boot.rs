//! `firedrill recover --install` and `--uninstall`.

use std::path::PathBuf;

use firedrill_undo::{BootError, BootRecovery, StateDir};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn install(state: &StateDir, out: &Out) -> Result<Exit, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot find this program: {error}"))
    })?;
    let written = BootRecovery::here()
        .install(&program, state)
        .map_err(failure)?;
    say("wrote", &written, out)?;
    if !out.is_json() {
        out.line(format!(
            "at every boot, {} recovers {}",
            program.display(),
            state.path().display()
        ))?;
    }
    Ok(Exit::Held)
}

pub(super) fn uninstall(out: &Out) -> Result<Exit, Failure> {
    let removed = BootRecovery::here().uninstall().map_err(failure)?;
    if removed.is_empty() && !out.is_json() {
        out.line("no recovery at boot was installed")?;
    } else {
        say("removed", &removed, out)?;
    }
    Ok(Exit::Held)
}

fn say(did: &str, paths: &[PathBuf], out: &Out) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(&json!({ did: paths }));
    }
    for path in paths {
        out.line(format!("{did} {}", path.display()))?;
    }
    Ok(())
}

fn failure(error: BootError) -> Failure {
    let hint = match &error {
        BootError::NoSystemd => {
            "run `firedrill recover` from whatever starts services at boot here; faults that \
             survive a reboot then take `survives-reboot: accept`"
        }
        BootError::PathUnusable { .. } => "choose paths without control characters",
        BootError::Io { .. } => "units of systemd are written by root",
    };
    Failure::from(error).hint(hint)
}
