//! Whether the judge's tests keep what they promise, how soon they speak, and how fast they are.
//!
//! Everything is simulated from one seed, so each figure comes out the same again; only the
//! speeds are the machine's. `bench_judge [false-alarms|coverage|power|misses|speed]...
//! [--runs N]` prints one JSON object per figure. It fails when a promise is broken.
#![expect(clippy::print_stdout, reason = "a measurement: it reports by printing")]

mod clustered;
mod coverage;
mod false_alarms;
mod figure;
mod misses;
mod power;
mod runs;
mod speed;
mod world;

use std::process::ExitCode;

const PARTS: [&str; 5] = ["false-alarms", "coverage", "power", "misses", "speed"];

fn main() -> ExitCode {
    let mut parts = Vec::new();
    let mut runs = 10_000;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let known = PARTS.iter().find(|part| **part == word);
        match (word.as_str(), known) {
            (_, Some(part)) => parts.push(*part),
            ("--runs", None) => runs = words.next().and_then(|n| n.parse().ok()).unwrap_or(runs),
            _ => {
                println!("usage: bench_judge [{}]... [--runs N]", PARTS.join("|"));
                return ExitCode::from(2);
            }
        }
    }
    if parts.is_empty() {
        parts.extend(PARTS);
    }
    let mut well = true;
    for part in parts {
        well &= match part {
            "false-alarms" => false_alarms::measure(runs),
            "coverage" => coverage::measure(runs),
            "power" => power::measure(runs),
            "misses" => misses::measure(),
            _ => speed::measure(),
        };
    }
    ExitCode::from(u8::from(!well))
}
