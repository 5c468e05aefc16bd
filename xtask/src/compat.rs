//! Runs every document of `compat/` through the real Chaos Toolkit and through Firedrill.
//!
//! Exit codes, journals, notifications and files must be the same. A difference is
//! explained only by a rule of `compat/rules.json`, each of which is a row of
//! `docs/compat.md`; any other difference fails the task.
//!
//! Statistics have references of their own ([`oracle`]), each a small step by itself.

mod case;
mod compare;
mod journal;
mod oracle;
mod python;
mod rules;
mod service;
mod side;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use serde::Serialize;

use crate::workspace;
use case::Case;
use compare::Difference;
use rules::Rules;
use service::Service;
use side::Side;

pub(crate) use python::find as find_python;
pub(crate) use rules::Rules as RuleSet;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    oracle: Option<oracle::Oracle>,
    /// Only cases whose name contains this
    #[arg(long)]
    filter: Option<String>,
    /// One JSON object per case, and one for the totals
    #[arg(long)]
    json: bool,
    /// Keep what each run left, under target/compat/runs
    #[arg(long)]
    keep: bool,
    /// Run the real tool twice instead: shows which cases are not repeatable
    #[arg(long)]
    against_itself: bool,
    /// Use this binary instead of building one
    #[arg(long)]
    firedrill: Option<PathBuf>,
    /// How many cases at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// What came of one case.
#[derive(Debug, Serialize)]
struct Verdict {
    name: String,
    explained: Vec<Difference>,
    unexplained: Vec<Difference>,
}

#[derive(Debug, Default, Serialize)]
struct Totals {
    cases: usize,
    documents: usize,
    same: usize,
    explained: usize,
    unexplained: usize,
    /// Rules that explained nothing, though every case ran.
    idle_rules: Vec<String>,
}

/// The real `chaos` command, installed on first use.
pub(crate) fn real_tool() -> anyhow::Result<PathBuf> {
    let requirements = workspace::root().join("compat/requirements.txt");
    Ok(python::environment("venv", &requirements)?.join("bin/chaos"))
}

/// A Python with these packages beside the standard library, installed on first use.
pub(crate) fn python_with(name: &str, requirements: &Path) -> anyhow::Result<PathBuf> {
    Ok(python::environment(name, requirements)?.join("bin/python"))
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(oracle) = &arguments.oracle {
        return oracle::run(oracle);
    }
    let totals = compare_all(arguments)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&totals)?);
    } else {
        println!(
            "{} same, {} explained different, {} unexplained, of {} cases over {} documents",
            totals.same, totals.explained, totals.unexplained, totals.cases, totals.documents
        );
        for id in &totals.idle_rules {
            println!("the rule {id} explained nothing: remove it, and its row of docs/compat.md");
        }
    }
    let is_wrong = totals.unexplained > 0 || !totals.idle_rules.is_empty();
    Ok(ExitCode::from(u8::from(is_wrong)))
}

fn compare_all(arguments: &Arguments) -> anyhow::Result<Totals> {
    let home = workspace::root().join("compat");
    let cases = case::load(&home.join("cases.json"), arguments.filter.as_deref())?;
    let rules = Rules::load(&home.join("rules.json"))?;
    let venv = python::environment("venv", &home.join("requirements.txt"))?;
    let real = Side::real(&venv);
    let ours = match &arguments.firedrill {
        _ if arguments.against_itself => Side::real(&venv),
        Some(binary) => Side::firedrill(binary.canonicalize()?, &venv),
        None => Side::firedrill(workspace::build_firedrill()?, &venv),
    };

    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.jobs.max(1))
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    let service = Service::start(&venv, &home)?;
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let verdict = judge(case, &real, &ours, &service, &rules, arguments)
                            .with_context(|| format!("case {}", case.name))?;
                        report(&verdict, arguments.json)?;
                        if let Ok(mut all) = verdicts.lock() {
                            all.push(verdict);
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|w| {
            w.join()
                .unwrap_or_else(|_| anyhow::bail!("a worker panicked"))
        })
    })?;
    let verdicts = verdicts.into_inner().unwrap_or_default();
    let mut totals = total(&cases, &verdicts);
    if arguments.filter.is_none() && !arguments.against_itself {
        totals.idle_rules = idle(&rules, &verdicts);
    }
    Ok(totals)
}

fn judge(
    case: &Case,
    real: &Side,
    ours: &Side,
    service: &Service,
    rules: &Rules,
    arguments: &Arguments,
) -> anyhow::Result<Verdict> {
    let runs = workspace::target().join("compat/runs").join(&case.name);
    let left = real.run(case, service, &runs.join("real"))?;
    let right = ours.run(case, service, &runs.join("ours"))?;
    let (explained, unexplained) = rules.sort(&case.name, compare::outcomes(&left, &right));
    if !arguments.keep {
        std::fs::remove_dir_all(&runs)
            .with_context(|| format!("cannot remove {}", runs.display()))?;
    }
    Ok(Verdict {
        name: case.name.clone(),
        explained,
        unexplained,
    })
}

fn report(verdict: &Verdict, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(verdict)?);
        return Ok(());
    }
    let word = match (verdict.unexplained.is_empty(), verdict.explained.is_empty()) {
        (true, true) => "same",
        (true, false) => "explained",
        (false, _) => "UNEXPLAINED",
    };
    println!("{word:>11}  {}", verdict.name);
    for difference in verdict.explained.iter().chain(&verdict.unexplained) {
        println!("{:>13}{difference}", "");
    }
    Ok(())
}

fn total(cases: &[Case], verdicts: &[Verdict]) -> Totals {
    let documents: BTreeSet<_> = cases.iter().map(|c| &c.document).collect();
    let mut totals = Totals {
        cases: cases.len(),
        documents: documents.len(),
        ..Totals::default()
    };
    for verdict in verdicts {
        if !verdict.unexplained.is_empty() {
            totals.unexplained += 1;
        } else if !verdict.explained.is_empty() {
            totals.explained += 1;
        } else {
            totals.same += 1;
        }
    }
    totals
}

fn idle(rules: &Rules, verdicts: &[Verdict]) -> Vec<String> {
    let explained = verdicts.iter().flat_map(|v| &v.explained);
    let used: BTreeSet<&str> = explained.filter_map(|d| d.rule.as_deref()).collect();
    rules
        .ids()
        .filter(|id| !used.contains(id))
        .map(str::to_owned)
        .collect()
}
