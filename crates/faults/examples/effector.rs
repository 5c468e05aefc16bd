//! Both parts of a drill in one small program, for this crate's tests.
//!
//! `guardian …` and `worker …` are the hidden commands of the guardian and of its workers.
//! `owner STATE LEASE_MS FAULT ARGUMENTS TARGET` (the last two in JSON) applies a fault, says in one
//! line of JSON what came of it, and renews until it is killed or its standard input ends. Each line
//! of input is answered by one of output: `observe`, which waits for the whole effect, `look`, which
//! does not, `revert`, and `replace`, which waits for the guardian's death and starts another.
//! `recover STATE` undoes what the dead left.

use std::error::Error;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use firedrill_faults::{Fault, Selector, Site, Target};
use firedrill_proxy::interception;
use firedrill_undo::{
    Applied, Filter, Guardian, SpawnConfig, StateDir, guardian_main, recover, worker_main_with,
};
use serde_json::{Value, json};

/// How long an effect may take to be seen, and a guardian to die.
const LONG: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let command = words.next().unwrap_or_default();
    match command.to_str() {
        Some("guardian") => return guardian_main(words),
        Some("worker") => return worker_main_with(interception::run, words),
        _ => {}
    }
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let outcome = match command.to_str() {
        Some("owner") => own(&words),
        Some("recover") => clean(&words),
        _ => Err("owner, recover, guardian or worker".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = say(&json!({ "refused": chain(error.as_ref()) }));
            ExitCode::FAILURE
        }
    }
}

fn own(words: &[String]) -> Result<(), Box<dyn Error>> {
    let [state, lease_ms, fault, arguments, target] = words else {
        return Err("owner STATE LEASE_MS FAULT ARGUMENTS TARGET".into());
    };
    let arguments: Value = serde_json::from_str(arguments)?;
    let fault = Fault::parse(fault, arguments.as_object().ok_or("not an object")?)?;
    let selector = Selector::parse(&serde_json::from_str(target)?)?;
    fault.check_target(selector.kind())?;
    let selection = selector.select(0)?;
    let primitives = fault.compile(&Site::of(&selection.chosen))?;
    let lease = Duration::from_millis(lease_ms.parse()?);
    let mut config = SpawnConfig::new(StateDir::at(state), "one".parse()?, "a test");
    config.lease = lease;
    let guardian = Guardian::spawn(config)?;
    let applied = guardian.apply(primitives)?;
    say(&begun(&guardian, &applied, &selection.chosen))?;
    serve(&guardian, applied.id, lease / 4)
}

fn begun(guardian: &Guardian, applied: &Applied, targets: &[Target]) -> Value {
    json!({
        "guardian": guardian.ready().guardian.pid,
        "injected-us": applied.injected_in.as_micros(),
        "mechanisms": applied.mechanisms,
        "skipped": applied.skipped,
        "targets": targets.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn serve(guardian: &Guardian, id: u64, beat: Duration) -> Result<(), Box<dyn Error>> {
    let (lines, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        match asked.recv_timeout(beat) {
            Err(RecvTimeoutError::Timeout) => {
                // A dead guardian is found by whoever asks for it.
                let _ = guardian.renew();
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Ok(line) => say(&match answer(guardian, id, &line) {
                Ok(answer) => answer,
                Err(error) => json!({ "refused": chain(error.as_ref()) }),
            })?,
        }
    }
}

fn answer(guardian: &Guardian, id: u64, line: &str) -> Result<Value, Box<dyn Error>> {
    Ok(match line {
        "observe" => serde_json::to_value(guardian.observe_until(id, LONG)?)?,
        "look" => serde_json::to_value(guardian.observe(id)?)?,
        "revert" => serde_json::to_value(guardian.revert(id)?)?,
        "replace" => {
            guardian.watch(LONG)?;
            serde_json::to_value(guardian.recover_after_guardian_death()?)?
        }
        _ => return Err("observe, look, revert or replace".into()),
    })
}

fn clean(words: &[String]) -> Result<(), Box<dyn Error>> {
    let [state] = words else {
        return Err("recover STATE".into());
    };
    let report = recover(&StateDir::at(state), &Filter::All)?;
    let reverted: Vec<_> = report.recovered.iter().map(|one| &one.reverted).collect();
    say(&json!({ "recovered": reverted, "left": report.left.len() }))
}

fn say(value: &Value) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()?;
    Ok(())
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
