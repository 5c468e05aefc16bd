use crate::cli::SchemaArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(_args: &SchemaArgs, _out: &Out) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`schema` is not in this build"))
}
