//! Measurements that live beside what they measure, as examples of its crate: run and shown.

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

/// An example of a crate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Example {
    pub(crate) package: &'static str,
    pub(crate) name: &'static str,
}

/// Runs the parts of an example one after the other; all run, and one failure fails all.
pub(crate) fn run(
    example: Example,
    parts: &[&[&str]],
    arguments: &Arguments,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut well = true;
    for part in parts {
        well &= run_part(example, part, &arguments.rest, json)?;
    }
    Ok(ExitCode::from(u8::from(!well)))
}

/// Optimised, because it measures; its words are the example's own.
fn run_part(example: Example, part: &[&str], rest: &[String], json: bool) -> anyhow::Result<bool> {
    let mut child = workspace::cargo(["run", "--release", "--quiet"])
        .args([
            "--package",
            example.package,
            "--example",
            example.name,
            "--",
        ])
        .args(part)
        .args(rest)
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
    Ok(child.wait()?.success())
}

/// What has a value, by name; figures with as many digits as anybody reads.
fn row(figure: &Map<String, Value>) -> String {
    let cells = figure.iter().filter_map(|(name, value)| match value {
        Value::Null => None,
        Value::String(text) => Some(format!("{name} {text}")),
        Value::Number(number) if number.is_f64() => {
            Some(format!("{name} {:.3}", number.as_f64().unwrap_or_default()))
        }
        other => Some(format!("{name} {other}")),
    });
    cells.collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_leaves_out_what_is_not_there() {
        let figure = serde_json::json!({"metric": "a", "value": 1.23456, "peer": null, "n": 3});
        assert_eq!(
            row(figure.as_object().unwrap()),
            "metric a  value 1.235  n 3"
        );
    }
}
