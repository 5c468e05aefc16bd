use crate::cli::InitArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(_args: &InitArgs, _out: &Out) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`init` is not in this build"))
}
