//! What it costs to run one trivial experiment: `firedrill run` beside `chaos run`.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};

use super::Figure;
use super::measured::{self, Measured};
use crate::compat::real_tool;
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Runs of each tool; the median counts
    #[arg(long, default_value_t = 15)]
    tries: usize,
}

const EXPERIMENT: &str = r#"{
  "title": "one probe", "description": "the smallest useful experiment",
  "steady-state-hypothesis": {"title": "it answers", "probes": [
    {"type": "probe", "name": "true", "tolerance": 0, "provider": {"type": "process", "path": "true"}}
  ]},
  "method": []
}
"#;

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let chaos = real_tool()?;
    let firedrill = workspace::build_firedrill()?;
    let home = workspace::target().join("bench/start");
    std::fs::create_dir_all(&home)?;
    std::fs::write(home.join("experiment.json"), EXPERIMENT)?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.tries.max(1) {
        // In turn, so that whatever else the machine does falls on both.
        ours.push(once(&firedrill, &["run", "--compat-exit"], &home)?);
        theirs.push(once(
            &chaos,
            &["--no-version-check", "--no-log-file", "run"],
            &home,
        )?);
    }
    let wall = |runs: &[Measured]| median(runs, |m| m.wall.as_secs_f64() * 1000.0);
    let memory = |runs: &[Measured]| median(runs, |m| m.peak_bytes as f64 / 1_048_576.0);
    for figure in [
        beside("wall time", "ms", wall(&ours), wall(&theirs)),
        beside("peak memory", "MiB", memory(&ours), memory(&theirs)),
    ] {
        print(&figure, json)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn once(program: &Path, words: &[&str], home: &Path) -> anyhow::Result<Measured> {
    let mut command = Command::new(program);
    command
        .args(words)
        .args(["--journal-path", "journal.json", "experiment.json"])
        .current_dir(home)
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let done = measured::run(&mut command)?;
    if !done.status.success() {
        bail!("{} ended with {}", program.display(), done.status);
    }
    let journal = std::fs::read_to_string(home.join("journal.json")).context("no journal")?;
    if !journal.contains("\"completed\"") {
        bail!("{} did not complete the experiment", program.display());
    }
    Ok(done)
}

fn median(runs: &[Measured], figure: impl Fn(&Measured) -> f64) -> f64 {
    let mut figures: Vec<f64> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn beside(metric: &'static str, unit: &'static str, value: f64, peer_value: f64) -> Figure {
    let ratio = peer_value / value;
    Figure {
        bench: "start",
        metric,
        value,
        unit,
        peer: "chaos run",
        peer_value,
        ratio,
    }
}

fn print(figure: &Figure, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(figure)?);
    } else {
        println!(
            "{}: {:.1} {}; {}: {:.1} {}; {:.1} times lower",
            figure.metric,
            figure.value,
            figure.unit,
            figure.peer,
            figure.peer_value,
            figure.unit,
            figure.ratio
        );
    }
    Ok(())
}
