//! The proxy beside its peers: the same server, the same load, one after the other, in rounds.
//!
//! - [`stand`]: nginx behind, and each proxy in front of it
//! - [`load`]: who asks, and what came of it
//! - [`figures`]: what is told of it
//! - [`accuracy`]: what was asked beside what came
//! - [`idle`]: connections that say nothing, and what each holds
//!
//! The proxy has one processor, the server and the load another, all pinned. What counts is the CPU
//! time of a request: requests a second are bounded by the load's own processor.

mod accuracy;
mod figures;
mod idle;
mod load;
mod stand;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::workspace;
use figures::{Row, Turn, median, print, rows};
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

/// Ours that reads commands, and ours that does not, which the others cannot.
const COMMANDS: &[Who] = &[
    Who::Firedrill,
    Who::FiredrillOnBytes,
    Who::Haproxy,
    Who::Direct,
];

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
    Bench {
        name: "wire redis",
        protocol: Protocol::Redis,
        fronts: COMMANDS,
        load: Load::Redis { connections: 32 },
    },
    Bench {
        name: "wire postgres",
        protocol: Protocol::Postgres,
        fronts: COMMANDS,
        load: Load::Postgres { connections: 8 },
    },
];

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    stand::check_programs()?;
    let processors = std::thread::available_parallelism()?.get();
    ensure!(
        processors >= 2,
        "two processors are needed, one for each side"
    );
    let firedrill = workspace::build_firedrill()?;
    let home = workspace::target().join("bench/proxy");
    let mut stand = Stand::start(&home, &firedrill)?;
    let wanted = arguments.only.as_deref().unwrap_or_default();
    let mut benches: Vec<_> = BENCHES.iter().filter(|b| b.name.contains(wanted)).collect();
    let accuracy = accuracy::NAME.contains(wanted);
    let idle = idle::NAME.contains(wanted);
    ensure!(
        accuracy || idle || !benches.is_empty(),
        "no measurement has {wanted:?} in its name"
    );
    benches.retain(|bench| match stand.serve(bench.protocol) {
        Ok(()) => true,
        Err(reason) => {
            eprintln!("{} is left out: {reason:#}", bench.name);
            false
        }
    });
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
    let (began, cpu, idle) = (Instant::now(), front.cpu()?, front.idle()?);
    let done = load.run(front.address, seconds)?;
    let (elapsed, cpu_after, idle_after) = (began.elapsed(), front.cpu()?, front.idle()?);
    let busy = match (idle, idle_after) {
        (Some(before), Some(after)) => elapsed.saturating_sub(after.saturating_sub(before)),
        _ => Duration::ZERO,
    };
    Ok(Turn {
        requests_per_second: done.requests / done.seconds,
        bytes_per_second: done.bytes / done.seconds,
        p50: done.p50,
        p99: done.p99,
        cpu: cpu_after.saturating_sub(cpu),
        busy,
        requests: done.requests,
        resident: front.resident()?,
    })
}
