use crate::cli::{GlobalArgs, InjectArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(
    _args: &InjectArgs,
    _global: &GlobalArgs,
    _out: &Out,
) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`inject` is not in this build"))
}
