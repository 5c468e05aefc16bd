use crate::cli::{GlobalArgs, PlanArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(_args: &PlanArgs, _global: &GlobalArgs, _out: &Out) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`plan` is not in this build"))
}
