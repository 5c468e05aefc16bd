//! Processes that Firedrill starts of itself. They are recognised before the command line is read:
//! the guardian must hold no thread, no runtime and no memory that it does not need.

use std::ffi::OsString;
use std::process::ExitCode;

use firedrill_demo::{Role, run_role};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// The exit code of a process that was one of these; nothing when this is an ordinary command.
pub(crate) fn dispatch() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let command = words.next()?;
    match command.to_str()? {
        "guardian" => Some(firedrill_undo::guardian_main(words)),
        "worker" => Some(firedrill_undo::worker_main_with(
            firedrill_proxy::interception::run,
            words,
        )),
        "shop" => shop(&words.collect::<Vec<_>>()),
        _ => None,
    }
}

/// `shop ROLE --config JSON`: one process of the demo's shop, until it is killed.
fn shop(words: &[OsString]) -> Option<ExitCode> {
    let [role, option, config] = words else {
        return None;
    };
    let role = Role::from_word(role.to_str()?)?;
    if option != "--config" {
        return None;
    }
    let error = match run_role(role, config.to_str()?) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    output::plain_failure(
        &Failure::from(error).context(format!("the shop's {} ended", role.word())),
    );
    Some(Exit::Failed.into())
}
