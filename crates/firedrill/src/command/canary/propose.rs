//! `firedrill canary propose`: canaries for the routes of a running proxy, ranked.

use std::path::Path;
use std::time::Duration;

use firedrill_experiment::units;
use firedrill_faults::application::proxy_at;
use firedrill_runner::canary::propose::{Known, Proposal, propose, watch};
use serde_json::{Value, json};

use crate::cli::{KeyValue, ProposeArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BOLD, DIM, Out};

pub(super) fn execute(args: &ProposeArgs, out: &Out) -> Result<Exit, Failure> {
    let known = known(args)?;
    let api = proxy_at(&args.proxy).map_err(|error| Failure::new(Exit::Failed, told(&error)))?;
    out.note(format!(
        "{DIM}looking at http://{api} for {} s{DIM:#}",
        args.watch.as_secs_f64()
    ));
    let seen = watch(api, args.watch, rest).map_err(|why| Failure::new(Exit::Failed, why))?;
    let all = propose(&seen, args.watch, &known, &args.proxy);
    let files = match &args.output_directory {
        Some(directory) => write(directory, &all)?,
        None => Vec::new(),
    };
    if out.is_json() {
        let all: Vec<Value> = all.iter().map(in_json).collect();
        out.json(&json!({"proposals": all, "files": files}))?;
        return Ok(Exit::Held);
    }
    if all.is_empty() {
        out.line(format!("the proxy at http://{api} has no routes"))?;
    }
    for (rank, one) in all.iter().enumerate() {
        let rank = match one.score > 0.0 {
            true => (rank + 1).to_string(),
            false => "–".into(),
        };
        out.line(format!(
            "{rank:>3}  {:>5.2}  {BOLD}{:<14}{BOLD:#} {:<24} {DIM}{}{DIM:#}",
            one.score,
            one.route,
            one.experiment.to_string(),
            one.reason
        ))?;
    }
    for file in &files {
        out.line(format!("  written     {file}"))?;
    }
    Ok(Exit::Held)
}

fn known(args: &ProposeArgs) -> Result<Known, Failure> {
    let mut known = Known::default();
    let wrong = |pair: &KeyValue, what: &str| {
        Failure::usage(format!("`{}={}` is not {what}", pair.key, pair.value))
    };
    for pair in &args.timeout {
        let time = units::duration(&json!(pair.value));
        let time = time.map_err(|_| wrong(pair, "a route and a time, as payments=250ms"))?;
        known.timeouts.insert(pair.key.clone(), time);
    }
    for pair in &args.retries {
        let tries = pair.value.parse();
        let tries = tries.map_err(|_| wrong(pair, "a route and a number, as web=1"))?;
        known.retries.insert(pair.key.clone(), tries);
    }
    Ok(known)
}

/// Each to be run, in the order of their ranks.
fn write(directory: &Path, all: &[Proposal]) -> Result<Vec<String>, Failure> {
    std::fs::create_dir_all(directory)?;
    let mut files = Vec::new();
    for (rank, one) in all.iter().filter(|one| one.score > 0.0).enumerate() {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = format!("{}-{}", one.route, one.experiment)
            .chars()
            .map(plain)
            .collect();
        let path = directory.join(format!("{:02}-{}.json", rank + 1, name.replace("--", "-")));
        let mut text = serde_json::to_string_pretty(&one.document)?;
        text.push('\n');
        std::fs::write(&path, text)?;
        files.push(path.display().to_string());
    }
    Ok(files)
}

fn in_json(one: &Proposal) -> Value {
    json!({
        "route": one.route, "experiment": one.experiment.to_string(), "score": one.score,
        "reason": one.reason, "document": one.document,
    })
}

fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing is touched that could be halted"
)]
fn rest(time: Duration) {
    std::thread::sleep(time);
}
