use crate::cli::{GlobalArgs, HaltArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(_args: &HaltArgs, _global: &GlobalArgs, _out: &Out) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`halt` is not in this build"))
}
