use crate::cli::{GlobalArgs, RecoverArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(
    _args: &RecoverArgs,
    _global: &GlobalArgs,
    _out: &Out,
) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`recover` is not in this build"))
}
