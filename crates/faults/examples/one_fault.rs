//! Both sides of a drill in one small program, for this crate's tests.
//!
//! `guardian …` and `worker …` are the hidden commands that a drill starts.
//! `owner STATE FAULT ARGUMENTS TARGET` applies one fault, says so, and renews until it is killed;
//! when its guardian dies, it starts another, and ends. `ARGUMENTS` is JSON; `TARGET` is `host`,
//! `cgroup:PATH` or `pid:N`.

use std::error::Error;
use std::io::{Write as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use firedrill_faults::{Fault, Site, Target};
use firedrill_kernel::ProcessIdentity;
use firedrill_proxy::interception;
use firedrill_undo::{Guardian, SpawnConfig, StateDir, Watch, guardian_main, worker_main_with};
use serde_json::Value;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let command = words.next().unwrap_or_default();
    if command == "guardian" {
        return guardian_main(words);
    }
    if command == "worker" {
        return worker_main_with(interception::run, words);
    }
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let outcome = if command == "owner" {
        own(&words)
    } else {
        Err("guardian, worker or owner".into())
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever awaits "applied" reads this instead.
            let _ = say(&format!("failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn own(words: &[String]) -> Result<(), Box<dyn Error>> {
    let [state, name, arguments, target] = words else {
        return Err("owner STATE FAULT ARGUMENTS TARGET".into());
    };
    let config = SpawnConfig::new(StateDir::at(state), "owned".parse()?, "a test");
    let beat = config.lease / 4;
    let guardian = Guardian::spawn(config)?;
    let arguments: Value = serde_json::from_str(arguments)?;
    let fault = Fault::parse(name, arguments.as_object().ok_or("not an object")?)?;
    let targets = [aim(target)?];
    let applied = guardian.apply(fault.compile(&Site::of(&targets))?)?;
    guardian.observe_until(applied.id, Duration::from_secs(5))?;
    say(&format!("applied {}", guardian.ready().guardian.pid))?;
    loop {
        match guardian.watch(beat)? {
            Watch::Quiet => guardian.renew()?,
            Watch::Ended(_) => return Ok(()),
            Watch::Died => {
                guardian.recover_after_guardian_death()?;
                guardian.finish()?;
                return Ok(());
            }
        }
    }
}

fn aim(word: &str) -> Result<Target, Box<dyn Error>> {
    if let Some(path) = word.strip_prefix("cgroup:") {
        return Ok(Target::Cgroup(path.into()));
    }
    if let Some(pid) = word.strip_prefix("pid:") {
        let identity = ProcessIdentity::of(pid.parse()?)?.ok_or("the target is gone")?;
        return Ok(identity.into());
    }
    Ok(Target::Host)
}

fn say(line: &str) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
