//! `firedrill skew`: a command in a time namespace of its own.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use firedrill_kernel::time_namespace::{ClockOffsets, enter};

use crate::cli::SkewArgs;
use crate::exit::Exit;
use crate::failure::Failure;

/// Becomes the command: what comes back is the reason why not.
pub(super) fn execute(args: &SkewArgs) -> Result<Exit, Failure> {
    let both = args.by.unwrap_or(0);
    enter(ClockOffsets {
        monotonic_ns: args.monotonic.unwrap_or(both),
        boottime_ns: args.boottime.unwrap_or(both),
    })
    .map_err(|error| {
        Failure::from(error)
            .exit(Exit::Refused)
            .hint("it takes CAP_SYS_ADMIN and CAP_SYS_TIME, and clocks that stay above zero")
    })?;
    let (program, arguments) = args
        .command
        .split_first()
        .ok_or_else(|| Failure::usage("there is no command to run"))?;
    let error = Command::new(program).args(arguments).exec();
    let name = program.to_string_lossy();
    Err(Failure::from(error)
        .context(format!("`{name}` cannot be started"))
        .exit(Exit::Usage))
}
