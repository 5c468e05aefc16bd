use crate::cli::GlobalArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(_global: &GlobalArgs, _out: &Out) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`doctor` is not in this build"))
}
