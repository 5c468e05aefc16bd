//! All of CI, as named steps: `cargo xtask test`.

mod clients;
mod conformance;
mod demo;
mod kernel;
mod packages;
mod proxy;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::{compat, workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only steps whose name contains this
    #[arg(long)]
    only: Option<String>,
}

/// How a step ended.
#[derive(Debug)]
enum End {
    Passed,
    Failed(String),
    Skipped(String),
}

type Step = (&'static str, fn() -> End);

const STEPS: &[Step] = &[
    ("system packages", packages::install),
    ("format", || cargo(&["fmt", "--all", "--check"])),
    ("tidy", || task(&["tidy"])),
    ("lints", || {
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ])
    }),
    ("tests", tests),
    ("documentation tests", || {
        cargo(&["test", "--workspace", "--doc", "--quiet"])
    }),
    ("kill steps", kernel::kill_steps),
    ("virtual machine", kernel::machine),
    ("kernel in the virtual machine", kernel::machine_kernel),
    (
        "infrastructure in the virtual machine",
        kernel::machine_infrastructure,
    ),
    ("netem in the virtual machine", kernel::machine_netem),
    // What follows runs what a user runs.
    ("release build", || match workspace::build_firedrill() {
        Ok(_) => End::Passed,
        Err(error) => End::Failed(format!("{error:#}")),
    }),
    ("power cut in the virtual machine", kernel::machine_power),
    ("end of the virtual machine", kernel::machine_end),
    ("python worker", python_worker),
    ("demo", demo::tour),
    ("compatibility", compatibility),
    ("margin beside questplus", margin_oracle),
    ("judge beside savvi and scipy", judge_oracle),
    ("toxiproxy clients", clients::toxiproxy),
    ("kafka clients", clients::kafka),
    ("websocket clients", clients::websocket),
    ("http2 conformance", conformance::http2),
];

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let wanted = arguments.only.as_deref().unwrap_or_default();
    let mut ends = Vec::new();
    for (name, step) in STEPS.iter().filter(|(name, _)| name.contains(wanted)) {
        println!("--- {name}");
        let begin = Instant::now();
        let end = step();
        println!("{}", line(name, &end, begin.elapsed()));
        ends.push((name, end, begin.elapsed()));
    }
    println!();
    for (name, end, took) in &ends {
        println!("{}", line(name, end, *took));
    }
    let count = |is: fn(&End) -> bool| ends.iter().filter(|(_, end, _)| is(end)).count();
    let failed = count(|e| matches!(e, End::Failed(_)));
    let passed = count(|e| matches!(e, End::Passed));
    let skipped = count(|e| matches!(e, End::Skipped(_)));
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(ExitCode::from(u8::from(failed > 0)))
}

fn line(name: &str, end: &End, took: Duration) -> String {
    let (word, why) = match end {
        End::Passed => ("passed", String::new()),
        End::Failed(why) => ("FAILED", format!(": {why}")),
        End::Skipped(why) => ("skipped", format!(": {why}")),
    };
    format!("{word:>8} {name} ({:.1} s){why}", took.as_secs_f64())
}

fn tests() -> End {
    let nextest = workspace::output(&mut workspace::cargo(["nextest", "--version"]));
    if nextest.is_some() {
        cargo(&["nextest", "run", "--workspace", "--no-fail-fast"])
    } else {
        println!("cargo-nextest is not installed; using cargo test");
        cargo(&[
            "test",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
            "--quiet",
        ])
    }
}

/// The worker is tested in its own language, with whatever Python there is.
fn python_worker() -> End {
    let Some(python) = compat::find_python() else {
        return End::Skipped("no Python 3 with venv".into());
    };
    let folder = workspace::root().join("crates/runner/src/provider/python");
    let mut command = Command::new(python.path);
    command
        .args(["-B", "-m", "unittest", "--quiet", "worker_test"])
        .current_dir(folder);
    ended(&mut command)
}

fn compatibility() -> End {
    match compat::find_python() {
        None => End::Skipped("no Python 3 with venv to install the real Chaos Toolkit in".into()),
        Some(python) if !python.is_new_enough() => {
            let (major, minor) = python.version;
            End::Skipped(format!(
                "Python {major}.{minor} is too old for the pinned Chaos Toolkit"
            ))
        }
        Some(_) => task(&["compat"]),
    }
}

fn margin_oracle() -> End {
    match compat::find_python() {
        None => End::Skipped("no Python 3 with venv to install questplus in".into()),
        Some(_) => task(&["compat", "margin"]),
    }
}

fn judge_oracle() -> End {
    match compat::find_python() {
        None => End::Skipped("no Python 3 with venv to install savvi and scipy in".into()),
        // The pinned packages say so.
        Some(python) if !python.is_new_enough() => {
            End::Skipped("Python is too old for the pinned scipy".into())
        }
        Some(_) => task(&["compat", "judge"]),
    }
}

/// Another task of ours, in a process of its own so that its output stays in order.
fn task(words: &[&str]) -> End {
    match std::env::current_exe() {
        Ok(this) => ended(Command::new(this).args(words)),
        Err(error) => End::Failed(error.to_string()),
    }
}

fn cargo(words: &[&str]) -> End {
    ended(&mut workspace::cargo(words))
}

fn ended(command: &mut Command) -> End {
    match workspace::succeed(command) {
        Ok(()) => End::Passed,
        Err(error) => End::Failed(format!("{error:#}")),
    }
}
