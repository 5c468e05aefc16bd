use crate::cli::{GlobalArgs, RunArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(_args: &RunArgs, _global: &GlobalArgs, _out: &Out) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`run` is not in this build"))
}
