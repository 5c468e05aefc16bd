//! The proxy beside its peers: the same server, the same load, one after the other, in rounds.
//!
//! - [`stand`]: nginx behind, and each proxy in front of it
//! - [`load`]: who asks, and what came of it
//! - [`accuracy`]: what was asked beside what came
//! - [`idle`]: connections that say nothing, and what each holds
//!
//! The proxy has one processor, the server and the load another, all pinned. What counts is the CPU
//! time of a request: requests a second are bounded by the load's own processor.

mod accuracy;
mod idle;
mod load;
mod stand;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::workspace;
use load::Load;
use stand::{Front, Protocol, Stand, Who, peer};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rounds; in each, every proxy has its turn, and the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each turn
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Only measurements whose name contains this
    #[arg(long)]
    only: Option<String>,
}

/// A load, and who is measured under it; the first is ours.
struct Bench {
    name: &'static str,
    protocol: Protocol,
    fronts: &'static [Who],
    load: Load,
}

const STREAMS: &[Who] = &[
    Who::Firedrill,
    Who::Haproxy,
    Who::Envoy,
    Who::FaultCli,
    Who::Direct,
];

/// Those that read requests.
const REQUESTS: &[Who] = &[Who::Firedrill, Who::Haproxy, Who::Envoy, Who::Direct];

/// Ours with an option that spares one connection what waking a processor takes.
const BUSY: &[Who] = &[Who::BusyFiredrill, Who::Haproxy, Who::Envoy, Who::Direct];

const SMALL: Load = Load::Http {
    connections: 32,
    path: "/small",
    keep: true,
};

const BENCHES: &[Bench] = &[
    Bench {
        name: "tcp small requests",
        protocol: Protocol::Tcp,
        fronts: STREAMS,
        load: SMALL,
    },
    Bench {
        name: "http small requests",
        protocol: Protocol::Http,
        fronts: REQUESTS,
        load: SMALL,
    },
    Bench {
        name: "http2 small requests",
        protocol: Protocol::Http2,
        fronts: REQUESTS,
        load: Load::Http2 {
            connections: 32,
            streams: 1,
        },
    },
    Bench {
        name: "http2 many streams",
        protocol: Protocol::Http2,
        fronts: REQUESTS,
        load: Load::Http2 {
            connections: 4,
            streams: 16,
        },
    },
    Bench {
        name: "tcp one connection",
        protocol: Protocol::Tcp,
        fronts: STREAMS,
        load: Load::Http {
            connections: 1,
            path: "/small",
            keep: true,
        },
    },
    Bench {
        name: "tcp one connection, busy",
        protocol: Protocol::Tcp,
        fronts: BUSY,
        load: Load::Http {
            connections: 1,
            path: "/small",
            keep: true,
        },
    },
    Bench {
        name: "tcp bulk",
        protocol: Protocol::Tcp,
        fronts: STREAMS,
        load: Load::Http {
            connections: 4,
            path: "/bulk",
            keep: true,
        },
    },
    Bench {
        name: "tcp new connections",
        protocol: Protocol::Tcp,
        fronts: STREAMS,
        load: Load::Http {
            connections: 32,
            path: "/small",
            keep: false,
        },
    },
];

/// One turn of one proxy.
#[derive(Debug, Clone, Copy)]
struct Turn {
    requests_per_second: f64,
    bytes_per_second: f64,
    p50: Duration,
    p99: Duration,
    /// Of the proxy, user and kernel.
    cpu: Duration,
    requests: f64,
    resident: u64,
}

/// One figure beside the peer's.
#[derive(Debug, Serialize)]
struct Row {
    bench: String,
    metric: &'static str,
    value: f64,
    unit: &'static str,
    peer: String,
    peer_value: f64,
    /// Ours by theirs.
    ratio: f64,
}

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    stand::check_programs()?;
    let processors = std::thread::available_parallelism()?.get();
    ensure!(
        processors >= 2,
        "two processors are needed, one for each side"
    );
    let firedrill = workspace::build_firedrill()?;
    let home = workspace::target().join("bench/proxy");
    let stand = Stand::start(&home, &firedrill)?;
    let wanted = arguments.only.as_deref().unwrap_or_default();
    let benches: Vec<_> = BENCHES.iter().filter(|b| b.name.contains(wanted)).collect();
    let accuracy = accuracy::NAME.contains(wanted);
    let idle = idle::NAME.contains(wanted);
    ensure!(
        accuracy || idle || !benches.is_empty(),
        "no measurement has {wanted:?} in its name"
    );
    let rounds = arguments.rounds.max(1);
    let absent = absent(&benches, idle, &home);
    let present = |fronts: &[Who]| -> Vec<Who> {
        let there = |who: &&Who| !absent.contains(who);
        fronts.iter().filter(there).copied().collect()
    };
    for bench in benches {
        let fronts = present(bench.fronts);
        let turns = turns(bench, &fronts, &stand, rounds, arguments.seconds)?;
        for row in rows(bench.name, &fronts, &turns) {
            print(&row, json)?;
        }
    }
    if accuracy {
        accuracy::run(&stand, &mut |row| print(row, json))?;
    }
    if idle {
        for row in idle::rows(&present(STREAMS), &stand, rounds)? {
            print(&row, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Peers that are wanted and cannot be had; each is named, with the reason.
fn absent(benches: &[&Bench], idle: bool, home: &Path) -> Vec<Who> {
    let is_wanted = |who: &&Who| idle || benches.iter().any(|b| b.fronts.contains(who));
    let mut absent = Vec::new();
    for who in STREAMS.iter().filter(is_wanted) {
        if let Err(reason) = peer::ready(*who, home) {
            eprintln!("{who} is left out: {reason:#}");
            absent.push(*who);
        }
    }
    absent
}

/// Of each, one in each round.
fn turns(
    bench: &Bench,
    fronts: &[Who],
    stand: &Stand,
    rounds: usize,
    seconds: u64,
) -> anyhow::Result<Vec<Vec<Turn>>> {
    let mut turns = vec![Vec::new(); fronts.len()];
    for _ in 0..rounds {
        for (who, turns) in fronts.iter().zip(&mut turns) {
            let front = stand.front(*who, bench.protocol)?;
            let turn = turn(&front, bench.load, seconds);
            turns.push(turn.with_context(|| format!("{} of {who}", bench.name))?);
        }
    }
    Ok(turns)
}

fn turn(front: &Front, load: Load, seconds: u64) -> anyhow::Result<Turn> {
    // Its buffers are there, and its connections have been made once.
    load.run(front.address, 1)?;
    let before = front.cpu()?;
    let done = load.run(front.address, seconds)?;
    Ok(Turn {
        requests_per_second: done.requests / done.seconds,
        bytes_per_second: done.bytes / done.seconds,
        p50: done.p50,
        p99: done.p99,
        cpu: front.cpu()?.saturating_sub(before),
        requests: done.requests,
        resident: front.resident()?,
    })
}

type Metric = (&'static str, &'static str, fn(&Turn) -> f64);

const METRICS: &[Metric] = &[
    ("requests", "1/s", |t| t.requests_per_second),
    ("throughput", "MB/s", |t| t.bytes_per_second / 1e6),
    ("CPU of a request", "µs", |t| {
        t.cpu.as_secs_f64() * 1e6 / t.requests
    }),
    ("p50", "µs", p50),
    ("p99", "µs", |t| t.p99.as_secs_f64() * 1e6),
    ("resident memory", "MiB", |t| {
        t.resident as f64 / 1_048_576.0
    }),
];

fn p50(turn: &Turn) -> f64 {
    turn.p50.as_secs_f64() * 1e6
}

/// Ours beside each of the others, and what a proxy adds to the time of a request beside what
/// another adds.
fn rows(bench: &str, fronts: &[Who], turns: &[Vec<Turn>]) -> Vec<Row> {
    let mut rows = Vec::new();
    let direct = fronts.iter().position(|who| *who == Who::Direct);
    let direct = direct.map(|at| &turns[at]);
    for (who, theirs) in fronts.iter().zip(turns).skip(1) {
        let row = |metric, unit, ours: Vec<f64>, theirs: Vec<f64>| Row {
            bench: bench.into(),
            metric,
            value: median(ours.iter().copied()),
            unit,
            peer: who.to_string(),
            peer_value: median(theirs.iter().copied()),
            // Each round is a pair: what the machine did meanwhile fell on both.
            ratio: median(ours.iter().zip(&theirs).map(|(o, t)| o / t)),
        };
        for (metric, unit, figure) in METRICS {
            let each = |turns: &[Turn]| turns.iter().map(figure).collect();
            rows.push(row(metric, unit, each(&turns[0]), each(theirs)));
        }
        if let Some(direct) = direct {
            let added = |turns: &[Turn]| {
                let pairs = turns.iter().zip(direct);
                pairs
                    .map(|(with, without)| p50(with) - p50(without))
                    .collect()
            };
            rows.push(row(
                "p50 beyond direct",
                "µs",
                added(&turns[0]),
                added(theirs),
            ));
        }
    }
    // Nobody uses no processor and no memory: there is nothing to compare with.
    rows.retain(|row: &Row| row.ratio.is_finite());
    rows
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn print(row: &Row, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(row)?);
        return Ok(());
    }
    let Row {
        bench,
        metric,
        value,
        unit,
        peer,
        peer_value,
        ratio,
    } = row;
    println!("{bench}: {metric} {value:.1} {unit}; {peer} {peer_value:.1}; ratio {ratio:.2}");
    Ok(())
}
