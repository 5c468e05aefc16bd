//! Processes that Firedrill starts of itself. They are recognised before the command line is read:
//! the guardian must hold no thread, no runtime and no memory that it does not need.

use std::process::ExitCode;

/// The exit code of a process that was one of these; nothing when this is an ordinary command.
pub(crate) fn dispatch() -> Option<ExitCode> {
    None
}
