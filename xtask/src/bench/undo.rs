//! From SIGKILL to clean: runs the measurement of `firedrill-faults` and shows its figures.

use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};

use anyhow::Context;
use serde_json::{Map, Value};

use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to the measurement, after `--`
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let words = [
        "run",
        "--release",
        "--quiet",
        "--package",
        "firedrill-faults",
    ];
    let mut child = workspace::cargo(words)
        .args(["--example", "bench_undo", "--"])
        .args(&arguments.rest)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let out = child.stdout.take().context("no standard output")?;
    for line in BufReader::new(out).lines() {
        let line = line?;
        match serde_json::from_str::<Value>(&line) {
            Ok(Value::Object(figure)) if !json => println!("{}", row(&figure)),
            _ => println!("{line}"),
        }
    }
    let ended = child.wait()?;
    Ok(ExitCode::from(u8::from(!ended.success())))
}

fn row(figure: &Map<String, Value>) -> String {
    let cells = figure.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    cells.collect::<Vec<_>>().join("  ")
}
