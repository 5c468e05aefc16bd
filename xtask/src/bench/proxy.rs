//! The proxy beside its peers: the same server, the same load, one after the other, in rounds.
//!
//! - [`stand`]: nginx behind, and each proxy in front of it
//! - [`wrk`]: the load, and what it tells
//! - [`accuracy`]: what was asked beside what came
//! - [`idle`]: connections that say nothing, and what each holds
//!
//! The proxy has one processor, the server and the load another, all pinned. What counts is the CPU
//! time of a request: requests a second are bounded by the load's own processor.

mod accuracy;
mod idle;
mod stand;
mod wrk;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;

use crate::workspace;
use stand::{Front, Kind, Server};
use wrk::Load;

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

/// A load, and who is measured under it; the first is ours, the second the peer to be compared with.
struct Bench {
    name: &'static str,
    fronts: &'static [Kind],
    load: Load,
}

const TCP: &[Kind] = &[
    Kind::Firedrill,
    Kind::HaproxyTcp,
    Kind::EnvoyTcp,
    Kind::Direct,
];

const HTTP: &[Kind] = &[
    Kind::FiredrillHttp,
    Kind::HaproxyHttp,
    Kind::EnvoyHttp,
    Kind::Direct,
];

const SMALL: Load = Load {
    connections: 32,
    path: "/small",
    keep: true,
};

const BENCHES: &[Bench] = &[
    Bench {
        name: "tcp small requests",
        fronts: TCP,
        load: SMALL,
    },
    Bench {
        name: "http small requests",
        fronts: HTTP,
        load: SMALL,
    },
    Bench {
        name: "tcp one connection",
        fronts: TCP,
        load: Load {
            connections: 1,
            ..SMALL
        },
    },
    Bench {
        name: "tcp bulk",
        fronts: TCP,
        load: Load {
            connections: 4,
            path: "/bulk",
            ..SMALL
        },
    },
    Bench {
        name: "tcp new connections",
        fronts: TCP,
        load: Load {
            keep: false,
            ..SMALL
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

/// One figure, with who it is of.
#[derive(Debug, Serialize)]
struct Row {
    bench: String,
    metric: &'static str,
    value: f64,
    unit: &'static str,
    peer: &'static str,
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
    let server = Server::start(&home)?;
    let wanted = arguments.only.as_deref().unwrap_or_default();
    for bench in BENCHES.iter().filter(|bench| bench.name.contains(wanted)) {
        let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); bench.fronts.len()];
        for _ in 0..arguments.rounds.max(1) {
            for (kind, turns) in bench.fronts.iter().zip(&mut turns) {
                let front = Front::start(*kind, &server, &firedrill, &home)?;
                turns.push(turn(&front, bench.load, arguments.seconds)?);
            }
        }
        for (kind, theirs) in bench.fronts.iter().zip(&turns).skip(1) {
            for row in rows(bench.name, *kind, &turns[0], theirs) {
                print(&row, json)?;
            }
        }
    }
    if accuracy::NAME.contains(wanted) {
        for row in accuracy::rows(&firedrill, &server)? {
            print(&row, json)?;
        }
    }
    if idle::NAME.contains(wanted) {
        for row in idle::rows(TCP, &server, &firedrill, &home)? {
            print(&row, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn turn(front: &Front, load: Load, seconds: u64) -> anyhow::Result<Turn> {
    // Its buffers are there, and its connections have been made once.
    wrk::run(front.address, load, 1)?;
    let before = front.cpu()?;
    let done = wrk::run(front.address, load, seconds)?;
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
    ("p50", "µs", |t| t.p50.as_secs_f64() * 1e6),
    ("p99", "µs", |t| t.p99.as_secs_f64() * 1e6),
    ("resident memory", "MiB", |t| {
        t.resident as f64 / 1_048_576.0
    }),
];

fn rows<'a>(
    bench: &'a str,
    peer: Kind,
    ours: &'a [Turn],
    theirs: &'a [Turn],
) -> impl Iterator<Item = Row> + 'a {
    METRICS.iter().map(move |(metric, unit, figure)| {
        // Each round is a pair: what the machine did meanwhile fell on both.
        let ratios = ours.iter().zip(theirs).map(|(o, t)| figure(o) / figure(t));
        Row {
            bench: bench.into(),
            metric,
            value: median(ours.iter().map(figure)),
            unit,
            peer: peer.name(),
            peer_value: median(theirs.iter().map(figure)),
            ratio: median(ratios),
        }
    })
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
    if ratio.is_finite() {
        println!("{bench}: {metric} {value:.1} {unit}; {peer} {peer_value:.1}; ratio {ratio:.2}");
    }
    Ok(())
}
