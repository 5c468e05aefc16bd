//! The project's own tasks: `cargo xtask test` is all of CI, the others are its parts.
//!
//! - [`test`]: formats, lints, tests, tidiness, comparison with the real Chaos Toolkit
//! - [`compat`]: runs every document of `compat/` through both tools and compares journals
//! - [`bench`]: measures beside the peers, as ratios
//! - [`tidy`]: the house's rules that no compiler checks
//! - [`vm`]: runs a program in a virtual machine of its own
//!
//! It deliberately holds nothing that a user of Firedrill needs.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line of its own: it reports by printing"
)]

mod bench;
mod compat;
mod test;
mod tidy;
mod vm;
mod wait;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Firedrill's own tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// All of CI: format, lints, tests, tidiness, compatibility
    #[command(alias = "ci")]
    Test(test::Arguments),
    /// Compare with the real Chaos Toolkit, journal field by field
    Compat(compat::Arguments),
    /// Measure beside the peers
    Bench(bench::Arguments),
    /// Check the house's rules
    Tidy(tidy::Arguments),
    /// Run a program in a virtual machine of its own
    Vm(vm::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Compat(arguments) => compat::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Tidy(arguments) => tidy::run(&arguments),
        Task::Vm(arguments) => vm::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
