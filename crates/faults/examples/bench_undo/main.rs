//! How long until everything runs again: `bench_undo [TRIES]` prints one JSON object per line.
//!
//! Targets are `cat` processes that owe us an answer: a byte is written to each while it is
//! paused, and time stops when the last has answered. So "runs again" is what the target did, not
//! what `/proc` says of it, and a target that answers while it should be paused fails the run.

#![expect(clippy::print_stdout, reason = "the measurements are its output")]

mod cases;
mod owner;
mod quantiles;
mod targets;

use std::error::Error;
use std::process::ExitCode;

use firedrill_undo::guardian_main;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let first = words.next().unwrap_or_default();
    let outcome = match first.to_string_lossy().as_ref() {
        "guardian" => return guardian_main(words),
        "owner" => {
            let words: Vec<String> = words
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            owner::run(&words)
        }
        "" => measure(1000),
        tries => tries.parse().map_err(Into::into).and_then(measure),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!(
                "{}",
                serde_json::json!({"bench": "undo", "error": error.to_string()})
            );
            ExitCode::FAILURE
        }
    }
}

fn measure(tries: usize) -> Result<(), Box<dyn Error>> {
    let fewer = (tries / 10).max(5);
    for mechanism in ["signal", "auto"] {
        cases::owner_killed(mechanism, tries)?;
    }
    cases::guardian_killed(fewer)?;
    cases::lease_expired(fewer.min(100))?;
    cases::both_killed(fewer)?;
    cases::halted(fewer)
}
