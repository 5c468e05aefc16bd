//! Measurements, always beside a peer in the same run, as ratios.

mod measured;
mod start;
mod undo;

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    bench: Bench,
    /// One JSON object per figure
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// A one-probe experiment beside `chaos run`: wall time and peak memory
    Start(start::Arguments),
    /// From SIGKILL to clean, over many tries
    Undo(undo::Arguments),
}

/// One figure beside the peer's. `ratio` is how many times lower ours is.
#[derive(Debug, Serialize)]
struct Figure {
    bench: &'static str,
    metric: &'static str,
    value: f64,
    unit: &'static str,
    peer: &'static str,
    peer_value: f64,
    ratio: f64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.bench {
        Bench::Start(start) => start::run(start, arguments.json),
        Bench::Undo(undo) => undo::run(undo, arguments.json),
    }
}
