//! One module per command; each takes its words and says how it ended.

mod canary;
mod completions;
mod demo;
mod doctor;
mod export;
mod faults;
mod halt;
mod init;
mod inject;
mod man;
mod margin;
mod plan;
mod proxy;
mod recover;
mod report;
mod run;
mod schema;
mod skew;
mod status;
mod validate;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;
use crate::recovery;

/// Carries a command out. Its failure is printed here and nowhere else.
pub(crate) fn execute(cli: &Cli) -> ExitCode {
    let out = Out::new(&cli.global);
    match dispatch(cli, &out) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            out.failure(&failure);
            failure.exit_code().into()
        }
    }
}

fn dispatch(cli: &Cli, out: &Out) -> Result<Exit, Failure> {
    let global = &cli.global;
    recovery::before(&cli.command, global, out);
    match &cli.command {
        Command::Demo(args) => demo::execute(args, global, out),
        Command::Run(args) => run::execute(args, global, out),
        Command::Margin(args) => margin::execute(args, global, out),
        Command::Canary(args) => canary::execute(args, global, out),
        Command::Init(args) => init::execute(args, out),
        Command::Validate(args) => validate::execute(args, global, out),
        Command::Plan(args) => plan::execute(args, global, out),
        Command::Status(_) => status::execute(global, out),
        Command::Faults(args) => faults::execute(args, out),
        Command::Inject(args) => inject::execute(args, global, out),
        Command::Skew(args) => skew::execute(args),
        Command::Proxy(args) => proxy::execute(args, out),
        Command::Doctor(_) => doctor::execute(global, out),
        Command::Halt(args) => halt::execute(args, global, out),
        Command::Recover(args) => recover::execute(args, global, out),
        Command::Report(args) => report::execute(args, out),
        Command::Export(args) => export::execute(args, out),
        Command::Schema(args) => schema::execute(args, out),
        Command::Completions(args) => completions::execute(args, out),
        Command::Man => man::execute(out),
    }
}
