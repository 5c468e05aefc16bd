use crate::cli::{DemoArgs, GlobalArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

pub(super) fn execute(_args: &DemoArgs, _global: &GlobalArgs, _out: &Out) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "`demo` is not in this build"))
}
