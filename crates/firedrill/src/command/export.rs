use crate::cli::ExportArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(_args: &ExportArgs, _out: &Out) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`export` is not in this build"))
}
