//! Every fault on this host, through a real guardian: what it takes, what it achieves, and what is
//! left of it whoever is killed. One JSON object per line.
//!
//! - `times [tries=N] [fault=WORD] [table=1]`: to inject, to revert, from SIGKILL of the owner to
//!   clean;
//! - `accuracy [only=WORD] [seed=N]`: what was asked beside what an instrument of ours saw;
//! - `proxied [tries=N]`: from SIGKILL of a proxy until connections and datagrams go directly;
//! - `kill [short=1] [moments=N] [fault=WORD] [struck=WORD] [seed=N] [table=1]`: the kill matrix.
//!
//! `engine=podman` takes Podman for the containers, in Docker's place. With `table=1` there is one
//! line of the manual's table for each fault instead of the figures.
//!
//! A new fault is one line in `cases.rs`, without which nothing is measured. Everything happens in
//! two network namespaces, on processes, containers and in directories of its own, beside foreign
//! rules that have to stay as they are.

#![expect(clippy::print_stdout, reason = "the measurements are its output")]

mod accuracy;
mod asking;
mod balancer;
mod bed;
mod cases;
mod engine;
mod figure;
mod flow;
mod kill;
mod names;
mod owner;
mod processes;
mod proxied;
mod route;
mod snapshot;
mod talk;
mod times;
mod unit;
mod words;

use std::process::ExitCode;

use firedrill_proxy::interception;
use firedrill_undo::{guardian_main, worker_main_with};

use words::Words;

/// What goes wrong in a measurement ends it.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let first = words.next().unwrap_or_default();
    let first = first.to_string_lossy();
    match first.as_ref() {
        "guardian" => return guardian_main(words),
        "worker" => return worker_main_with(interception::run, words),
        _ => {}
    }
    let rest: Vec<String> = words.map(|w| w.to_string_lossy().into_owned()).collect();
    let outcome = match first.as_ref() {
        "owner" => owner::run(&rest).map(|()| true),
        "times" => Words::read(&rest).and_then(|words| times::measure(&words)),
        "accuracy" => Words::read(&rest).and_then(|words| accuracy::measure(&words)),
        "proxied" => Words::read(&rest).and_then(|words| proxied::measure(&words)),
        "kill" => Words::read(&rest).and_then(|words| kill::matrix(&words)),
        _ => Err("times, accuracy, proxied or kill".into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{}", serde_json::json!({"error": error.to_string()}));
            ExitCode::FAILURE
        }
    }
}
