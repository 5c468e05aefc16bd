//! Searches for a time-out that the demo shop keeps to itself: how often the interval covers it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use serde_json::{Value, json};

use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Searches, each of a shop of its own with another time-out
    #[arg(long, default_value_t = 20)]
    searches: u64,
    /// Of the first search; the others follow
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A `firedrill` that is built already, in the place of an optimised one of this tree
    #[arg(long, value_name = "PATH")]
    firedrill: Option<PathBuf>,
}

/// Milliseconds; time-outs are spread over it by their logarithm.
const RANGE: (f64, f64) = (60.0, 400.0);
/// Of twenty.
const COVERED_MIN: f64 = 17.0 / 20.0;

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let firedrill = match &arguments.firedrill {
        Some(built) => built.clone(),
        None => workspace::build_firedrill()?,
    };
    let home = workspace::target().join("bench/shop");
    std::fs::create_dir_all(&home)?;
    let (mut covered, mut answered, mut bad, mut seconds) = (0_u64, 0_u64, 0.0, 0.0);
    for seed in arguments.seed..arguments.seed + arguments.searches {
        let timeout = timeout_ms(seed);
        let mut child = Command::new(&firedrill)
            .args([
                "demo",
                "--secret-timeout",
                "--output",
                "json",
                "--quiet",
                "--seed",
            ])
            .arg(seed.to_string())
            .env("FIREDRILL_STATE_DIR", &home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        writeln!(stdin, "{timeout}ms")?;
        drop(stdin);
        let ended = child.wait_with_output()?;
        // Exit code 3, no answer, is an answer here: its interval has to cover too.
        let found: Value = serde_json::from_slice(&ended.stdout)
            .with_context(|| format!("search {seed} ended with {}", ended.status))?;
        covered += u64::from(found["covers"] == true);
        answered += u64::from(found["end"] == "found");
        bad += found["bad-requests"].as_f64().unwrap_or(0.0);
        seconds += found["seconds"].as_f64().unwrap_or(0.0);
        match json {
            true => println!("{found}"),
            false => println!("{}", row(seed, timeout, &found)),
        }
    }
    let all = arguments.searches.max(1) as f64;
    let figure = json!({
        "bench": "margin", "metric": "intervals that cover the shop's time-out",
        "value": covered, "of": arguments.searches, "found": answered,
        "bad-requests-each": bad / all, "seconds-each": seconds / all,
    });
    match json {
        true => println!("{figure}"),
        false => println!(
            "{covered} of {} intervals cover the time-out; {answered} as narrow as asked; {:.0} bad requests and {:.1} s each",
            arguments.searches,
            bad / all,
            seconds / all,
        ),
    }
    let enough = covered as f64 >= COVERED_MIN * arguments.searches as f64;
    Ok(ExitCode::from(u8::from(!enough)))
}

/// Another for each seed (SplitMix64), in whole milliseconds.
fn timeout_ms(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let share = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
    (RANGE.0 * (RANGE.1 / RANGE.0).powf(share)).round() as u64
}

fn row(seed: u64, timeout: u64, found: &Value) -> String {
    let number = |value: &Value| {
        value
            .as_f64()
            .map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
    };
    let (delay, measured) = (&found["delay-ms"], &found["measured-ms"]);
    let covers = match found["covers"].as_bool() {
        Some(true) => "covers",
        Some(false) => "misses",
        None => "no interval",
    };
    format!(
        "seed {seed:>3}  time-out {timeout:>3} ms  delay {} ({} to {})  a call {}  measured {} ({} to {})  {covers}  {} trials  {} bad  {} s  {}{}",
        number(&delay["value"]),
        number(&delay["low"]),
        number(&delay["high"]),
        number(&found["call-ms"]),
        number(&measured["value"]),
        number(&measured["low"]),
        number(&measured["high"]),
        found["trials"],
        found["bad-requests"],
        number(&found["seconds"]),
        found["end"],
        match &found["stopped"] {
            Value::Null => String::new(),
            stopped => format!("  {stopped}"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_has_its_time_out_within_the_range() {
        let all: Vec<u64> = (1..=20).map(timeout_ms).collect();
        assert!(all.iter().all(|ms| (60..=400).contains(ms)), "{all:?}");
        let mut others = all.clone();
        others.sort_unstable();
        others.dedup();
        assert!(others.len() > 15, "{all:?}");
    }
}
