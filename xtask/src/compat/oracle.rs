//! What our statistics are compared with: a package that others rely on, given the same data.
//!
//! An example of ours prints random cases with our answers; a script computes them anew with
//! the package, and fails where they differ.

use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use clap::Subcommand;

use crate::workspace;

#[derive(Debug, Subcommand)]
pub(crate) enum Oracle {
    /// The posterior of a margin search beside QUEST+
    Margin,
    /// Tests and intervals beside savvi and scipy
    Judge,
}

/// Names under `compat/oracles`, and of an example of the judge.
struct Comparison {
    package: &'static str,
    script: &'static str,
    example: &'static str,
}

impl Oracle {
    fn comparison(&self) -> Comparison {
        match self {
            Oracle::Margin => Comparison {
                package: "questplus",
                script: "questplus_posterior.py",
                example: "margin_posteriors",
            },
            Oracle::Judge => Comparison {
                package: "savvi",
                script: "judge_numbers.py",
                example: "judge_numbers",
            },
        }
    }
}

pub(super) fn run(oracle: &Oracle) -> anyhow::Result<ExitCode> {
    let comparison = oracle.comparison();
    let home = workspace::root().join("compat/oracles");
    let list = home.join(comparison.package).with_extension("txt");
    let python = super::python_with(&format!("oracle-{}", comparison.package), &list)?;
    let mut ours = workspace::cargo(["run", "--quiet", "--package", "firedrill-judge"])
        .args(["--example", comparison.example])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let cases = ours.stdout.take().context("no standard output")?;
    let compared = workspace::succeed(
        Command::new(python)
            .arg(home.join(comparison.script))
            .stdin(cases),
    );
    let ours = ours.wait()?;
    compared?;
    Ok(ExitCode::from(u8::from(!ours.success())))
}
