use crate::cli::ValidateArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(_args: &ValidateArgs, _out: &Out) -> Result<Exit, Failure> {
    Err(Failure::new(
        Exit::Failed,
        "`validate` is not in this build",
    ))
}
