//! The hidden command `worker` as a program of its own, and a guardian that can be killed: for this
//! crate's tests.
//!
//! `worker …` is what [`firedrill_worker::WorkerHandle::spawn`] runs.
//! `guardian JOB LEASE_MS` starts a worker for the job (JSON), says its pid, and waits.

#![expect(clippy::print_stdout, reason = "the worker's pid is its output")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use firedrill_kernel::clock::boottime;
use firedrill_worker::{Job, WorkerConfig, WorkerHandle, worker_main};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let command = words.next().unwrap_or_default();
    if command == "worker" {
        return worker_main(words);
    }
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match guard(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn guard(words: &[String]) -> Result<(), Box<dyn Error>> {
    let [job, lease_ms] = words else {
        return Err("guardian JOB LEASE_MS".into());
    };
    let job: Job = serde_json::from_str(job)?;
    let lease = Duration::from_millis(lease_ms.parse()?);
    let worker = WorkerHandle::spawn(&WorkerConfig::new(), &job, boottime() + lease)?;
    println!("{}", worker.identity().pid);
    loop {
        std::thread::park();
    }
}
