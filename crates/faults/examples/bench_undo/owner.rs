use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _, stdin, stdout};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use firedrill_faults::{Fault, Site};
use firedrill_kernel::{Pidfd, ProcessIdentity, Signal};
use firedrill_undo::{Guardian, SpawnConfig, StateDir};
use serde_json::json;

use crate::targets::{Targets, target};

/// A drill's owner in a process of its own, seen from the bench.
pub(crate) struct Owner {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) guardian: ProcessIdentity,
}

impl Owner {
    /// Starts it and returns when its targets are paused.
    pub(crate) fn pausing(
        targets: &Targets,
        state: &Path,
        drill: &str,
        lease: Duration,
        mechanism: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("owner")
            .arg(state)
            .args([drill, &lease.as_millis().to_string(), mechanism])
            .args(targets.pids().iter().map(ToString::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let guardian = line
            .trim()
            .strip_prefix("applied ")
            .and_then(|pid| pid.parse().ok())
            .ok_or_else(|| format!("the owner said {line:?}"))?;
        let guardian = ProcessIdentity::of(guardian)?.ok_or("the guardian ended")?;
        Ok(Self {
            child,
            input,
            output,
            guardian,
        })
    }

    pub(crate) fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.child.kill()?)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Box<dyn Error>> {
        let identity = ProcessIdentity::of(self.child.id())?.ok_or("the owner ended")?;
        Pidfd::open(&identity)?
            .ok_or("the owner ended")?
            .send(signal)?;
        Ok(())
    }

    /// Whether it could pause its targets again.
    pub(crate) fn applies_again(&mut self) -> Result<bool, Box<dyn Error>> {
        self.input.write_all(b"again\n")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim() != "refused")
    }

    /// Returns when nothing of the drill is left.
    pub(crate) fn bury(mut self) -> Result<(), Box<dyn Error>> {
        // It may be dead already.
        let _ = self.child.kill();
        self.child.wait()?;
        if let Some(pidfd) = Pidfd::open(&self.guardian)?
            && !pidfd.wait_for_exit(Duration::from_secs(30))?
        {
            return Err("the guardian outlived its owner by 30 s".into());
        }
        Ok(())
    }
}

/// The owner's own side: `owner STATE DRILL LEASE_MS MECHANISM PID…`
pub(crate) fn run(words: &[String]) -> Result<(), Box<dyn Error>> {
    let [state, drill, lease_ms, mechanism, pids @ ..] = words else {
        return Err("owner STATE DRILL LEASE_MS MECHANISM PID…".into());
    };
    let mut config = SpawnConfig::new(StateDir::at(state), drill.parse()?, "bench");
    config.lease = Duration::from_millis(lease_ms.parse()?);
    let renewal = config.lease / 3;
    let guardian = Guardian::spawn(config)?;
    let mut targets = Vec::new();
    for pid in pids {
        targets.push(target(pid.parse()?)?);
    }
    let effects = pause(mechanism)?.compile(&Site::of(&targets))?;
    let applied = guardian.apply(effects.clone())?;
    if !guardian
        .observe_until(applied.id, Duration::from_secs(5))?
        .is_complete()
    {
        return Err("the pause was not observed".into());
    }
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
        match asked.recv_timeout(renewal) {
            Ok(_) if guardian.apply(effects.clone()).is_ok() => say("applied")?,
            Ok(_) => say("refused")?,
            Err(RecvTimeoutError::Timeout) => {
                // Refused after the lease; the bench asks for that by standard input.
                let _ = guardian.renew();
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

pub(crate) fn pause(mechanism: &str) -> Result<Fault, Box<dyn Error>> {
    let arguments = json!({ "mechanism": mechanism });
    let arguments = arguments.as_object().ok_or("not an object")?;
    Ok(Fault::parse("infrastructure.process-pause", arguments)?)
}

fn say(line: &str) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
