//! Measurements, always beside a peer in the same run, as ratios.

mod examples;
mod measured;
mod proxy;
mod shop;
mod start;

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use examples::Example;

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
    /// The proxy beside HAProxy, Envoy, fault-cli and no proxy, and what its toxics are like
    Proxy(proxy::Arguments),
    /// From SIGKILL to clean, over many tries
    Undo(examples::Arguments),
    /// Every fault: to inject, to revert, from SIGKILL to clean; what was asked beside what was had
    Faults(examples::Arguments),
    /// From SIGKILL of a proxy that connections are led through until they go directly
    Proxied(examples::Arguments),
    /// Whoever is killed or stopped, whenever: nothing is left of any fault
    Kill(examples::Arguments),
    /// The judge: false alarms, coverage, events to an answer, speed; beside Kayenta's
    Judge(examples::Arguments),
    /// Searches for known break points beside bisection and a ramp: coverage, trials, bad events
    Margin(examples::Arguments),
    /// Searches for time-outs that the demo shop hides: how many intervals cover them, at what price
    Shop(shop::Arguments),
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

const FAULTS: Example = Example {
    package: "firedrill-faults",
    name: "bench_faults",
};
const UNDO: Example = Example {
    package: "firedrill-faults",
    name: "bench_undo",
};
const JUDGE: Example = Example {
    package: "firedrill-judge",
    name: "bench_judge",
};
const MARGIN: Example = Example {
    package: "firedrill-judge",
    name: "bench_margin",
};

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.bench {
        Bench::Start(start) => start::run(start, arguments.json),
        Bench::Proxy(proxy) => proxy::run(proxy, arguments.json),
        Bench::Undo(rest) => examples::run(UNDO, &[&[]], rest, arguments.json),
        Bench::Faults(rest) => {
            let parts: [&[&str]; 2] = [&["times"], &["accuracy"]];
            examples::run(FAULTS, &parts, rest, arguments.json)
        }
        Bench::Proxied(rest) => examples::run(FAULTS, &[&["proxied"]], rest, arguments.json),
        Bench::Judge(rest) => examples::run(JUDGE, &[&[]], rest, arguments.json),
        Bench::Margin(rest) => examples::run(MARGIN, &[&[]], rest, arguments.json),
        Bench::Shop(shop) => shop::run(shop, arguments.json),
        Bench::Kill(rest) => examples::run(FAULTS, &[&["kill"]], rest, arguments.json),
    }
}
