//! Both parts of a drill in one small program, for this crate's tests.
//!
//! `guardian …` is the hidden command that [`firedrill_undo::Guardian::spawn`] runs, `worker …` the
//! one by which a guardian starts a worker.
//! `owner STATE DRILL LEASE_MS PID…` pauses the processes, says so, and renews until it is killed;
//! a line on its standard input makes it try to apply again, and say what came of it.
//! `recover STATE` undoes what the dead left.
//! `mark FILE` creates a file: a rollback command that can be seen to have run.

use std::error::Error;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use firedrill_kernel::ProcessIdentity;
use firedrill_undo::{
    Filter, Guardian, Primitive, SpawnConfig, StateDir, guardian_main, recover, worker_main,
};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let command = words.next().unwrap_or_default();
    if command == "guardian" {
        return guardian_main(words);
    }
    if command == "worker" {
        return worker_main(words);
    }
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let outcome = match command.to_string_lossy().as_ref() {
        "owner" => own(&words),
        "recover" => clean(&words),
        "mark" => mark(&words),
        _ => Err("owner, guardian, recover or mark".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn own(words: &[String]) -> Result<(), Box<dyn Error>> {
    let [state, drill, lease_ms, pids @ ..] = words else {
        return Err("owner STATE DRILL LEASE_MS PID…".into());
    };
    let mut config = SpawnConfig::new(StateDir::at(state), drill.parse()?, "a test");
    config.lease = Duration::from_millis(lease_ms.parse()?);
    let guardian = Arc::new(Guardian::spawn(config.clone())?);
    let mut effects = Vec::new();
    for pid in pids {
        let process = ProcessIdentity::of(pid.parse()?)?.ok_or("a target is gone")?;
        effects.push(Primitive::StopProcess { process });
    }
    if let Some(file) = std::env::var_os("ROLLBACK_MARK") {
        let me = std::env::current_exe()?.to_string_lossy().into_owned();
        let argv = vec![me, "mark".into(), file.to_string_lossy().into_owned()];
        guardian.apply(vec![Primitive::RunRollbacks { argv }])?;
    }
    guardian.apply(effects.clone())?;
    say(&format!("applied {}", guardian.ready().guardian.pid))?;
    let (lines, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        match asked.recv_timeout(config.lease / 3) {
            Ok(_) => match guardian.apply(effects.clone()) {
                Ok(_) => say("applied again")?,
                Err(error) => say(&format!("refused: {error}"))?,
            },
            Err(RecvTimeoutError::Timeout) => {
                // A refusal is expected after the lease; the test asks by standard input.
                let _ = guardian.renew();
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn clean(words: &[String]) -> Result<(), Box<dyn Error>> {
    let [state] = words else {
        return Err("recover STATE".into());
    };
    let report = recover(&StateDir::at(state), &Filter::All)?;
    say(&format!("recovered {}", report.recovered.len()))
}

fn mark(words: &[String]) -> Result<(), Box<dyn Error>> {
    let [file] = words else {
        return Err("mark FILE".into());
    };
    let mut marks = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?;
    marks.write_all(b"run\n")?;
    Ok(())
}

fn say(line: &str) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
