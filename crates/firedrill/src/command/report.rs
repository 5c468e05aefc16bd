use crate::cli::ReportArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(_args: &ReportArgs, _out: &Out) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`report` is not in this build"))
}
