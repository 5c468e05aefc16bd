//! The last act: a drill of our own is killed with SIGKILL, and the fault must end all the same.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_kernel::process;
use firedrill_undo::{StateDir, active_drills};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::GlobalArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BAD, DIM, GOOD};
use crate::verdict::millis;

/// How long the fault may take to be in place: a baseline, and a bit.
const BEGIN_LIMIT: Duration = Duration::from_secs(15);
/// After this it counts as never undone.
const UNDO_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_micros(100);

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Killed {
    drill_pid: u32,
    paused: Vec<u32>,
    /// From the SIGKILL until the last process ran again; absent: it did not.
    all_run_again_ms: Option<f64>,
}

/// Runs the document as a drill of its own, kills it once its fault is in place, and watches.
pub(super) fn drill(document: Value, exe: &Path, global: &GlobalArgs) -> Result<Killed, Failure> {
    let state = global.state()?;
    let directory = state.path().join("demo");
    let path = directory.join("killed.json");
    std::fs::write(&path, by_signal(document).to_string())?;
    let mut child = Command::new(exe)
        .args(["run", "--quiet", "--journal-path"])
        .arg(directory.join("killed-journal.json"))
        .arg(&path)
        .env("FIREDRILL_STATE_DIR", state.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let paused = match paused_by(child.id(), &state) {
        Ok(paused) => paused,
        Err(failure) => {
            child.kill()?;
            child.wait()?;
            return Err(failure);
        }
    };
    let killed = Instant::now();
    child.kill()?;
    let all_run_again_ms = wait_until_running(&paused, killed).map(|took| took.as_secs_f64() * 1e3);
    let drill_pid = child.id();
    child.wait()?;
    Ok(Killed {
        drill_pid,
        paused,
        all_run_again_ms,
    })
}

/// By SIGSTOP, so that anybody can see the state in `ps`.
fn by_signal(mut document: Value) -> Value {
    for activity in document
        .get_mut("method")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(provider) = activity.get_mut("provider").and_then(Value::as_object_mut) {
            provider.insert("arguments".into(), json!({"mechanism": "signal"}));
        }
    }
    document
}

/// The targets of this drill, once all of them are stopped.
fn paused_by(owner: u32, state: &StateDir) -> Result<Vec<u32>, Failure> {
    let end = Instant::now() + BEGIN_LIMIT;
    while Instant::now() < end {
        let drills = active_drills(state)?;
        let targets: Vec<u32> = drills
            .iter()
            .filter(|drill| drill.owner.pid == owner)
            .flat_map(|drill| &drill.faults)
            .flat_map(|fault| &fault.effects)
            .flat_map(firedrill_undo::Primitive::targets)
            .map(|target| target.pid)
            .collect();
        if !targets.is_empty() && targets.iter().all(|pid| is_stopped(*pid)) {
            return Ok(targets);
        }
        pause(Duration::from_millis(5));
    }
    Err(Failure::new(
        Exit::Failed,
        "the drill to be killed did not begin its fault in time",
    ))
}

fn wait_until_running(pids: &[u32], since: Instant) -> Option<Duration> {
    while since.elapsed() < UNDO_LIMIT {
        if !pids.iter().any(|pid| is_stopped(*pid)) {
            return Some(since.elapsed());
        }
        pause(POLL);
    }
    None
}

fn is_stopped(pid: u32) -> bool {
    matches!(process::stat(pid), Ok(Some(stat)) if stat.state.is_stopped())
}

#[expect(
    clippy::disallowed_methods,
    reason = "an onlooker that must not wake anything while it waits"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

impl Killed {
    pub(super) fn all_run_again(&self) -> bool {
        self.all_run_again_ms.is_some()
    }

    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        let pids: Vec<String> = self.paused.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "  kill -9 {}   while processes {} were paused",
            self.drill_pid,
            pids.join(", ")
        );
        let _ = match self.all_run_again_ms {
            Some(ms) => writeln!(
                text,
                "  {GOOD}All run again after {}{GOOD:#}  {DIM}undone by the guardian, from its log{DIM:#}",
                millis(ms)
            ),
            None => writeln!(
                text,
                "  {BAD}They do not run again{BAD:#}: firedrill recover"
            ),
        };
        text
    }
}
