//! A drill's owner in a process of its own, from both sides.

use std::io::{BufRead as _, BufReader, Write as _, stdout};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_faults::Site;
use firedrill_undo::{Filter, Guardian, GuardianError, SpawnConfig, StateDir, recover};

use crate::Outcome;
use crate::bed::{self, Bed};
use crate::cases::{Case, parse};
use crate::processes::{self, wait};

/// Longer than a guardian is kept stopped, so that its owner waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The owner as the bench sees it.
pub(crate) struct Owner {
    pub(crate) child: Child,
    output: BufReader<ChildStdout>,
}

/// How an owner is to behave.
pub(crate) struct Plan<'a> {
    pub(crate) state: &'a Path,
    pub(crate) drill: &'a str,
    pub(crate) lease: Duration,
    /// How long it keeps the fault in place.
    pub(crate) hold: Duration,
    /// A step of the log at which its guardian stops.
    pub(crate) stop_at: Option<&'a str>,
    /// A step at which its guardian and every replacement kill themselves.
    pub(crate) crash_at: Option<&'a str>,
    pub(crate) seed: u64,
}

impl Owner {
    pub(crate) fn start(bed: &mut Bed, case: &Case, plan: &Plan<'_>) -> Outcome<Self> {
        let (target, _) = bed.targets(case.aim)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("owner")
            .arg(plan.state)
            .arg(&bed.cgroup)
            .args([plan.drill, &plan.lease.as_millis().to_string()])
            .args([plan.hold.as_millis().to_string(), plan.seed.to_string()])
            .args([plan.stop_at.unwrap_or("-"), plan.crash_at.unwrap_or("-")])
            .args([case.fault, &bed.arguments(case), &target])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self { child, output })
    }

    /// The next line that it says; empty when it has ended.
    pub(crate) fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Whether it ended within the limit; killed if it did not.
    pub(crate) fn bury(mut self, limit: Duration) -> Outcome<bool> {
        let end = Instant::now() + limit;
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= end {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(false);
            }
            processes::rest();
        }
        Ok(true)
    }
}

/// The owner's own side: what `Owner::start` passes after `owner`.
pub(crate) fn run(words: &[String]) -> Outcome<()> {
    let [
        state,
        cgroup,
        drill,
        lease,
        hold,
        seed,
        stop,
        crash,
        fault,
        arguments,
        target,
    ] = words
    else {
        return Err("the owner's words are not those of the bench".into());
    };
    std::fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
    let state = StateDir::at(state);
    let mut config = SpawnConfig::new(state.clone(), drill.parse()?, "bench");
    config.lease = Duration::from_millis(lease.parse()?);
    config.reply_limit = PATIENCE;
    for (name, step) in [("FIREDRILL_STOP_AT", stop), ("FIREDRILL_CRASH_AT", crash)] {
        if step != "-" {
            config.environment.push((name.into(), step.into()));
        }
    }
    let lease = config.lease;
    let hold = Duration::from_millis(hold.parse()?);
    let targets = bed::targets(target)?;
    let site = Site {
        seed: seed.parse()?,
        ..Site::of(&targets)
    };
    let effects = parse(fault, arguments)?.compile(&site)?;
    let Ok(guardian) = Guardian::spawn(config) else {
        // Without a guardian nothing was applied; its log may be there.
        recover(&state, &Filter::All)?;
        return Ok(());
    };
    let drilled = (|| {
        let applied = guardian.apply(effects)?;
        guardian.observe_until(applied.id, lease)?;
        say("applied").ok();
        let end = Instant::now() + hold;
        while Instant::now() < end {
            wait((lease / 4).min(end.saturating_duration_since(Instant::now())));
            guardian.renew()?;
        }
        guardian.revert(applied.id).map(drop)
    })();
    if let Err(GuardianError::Died | GuardianError::NoReply { .. }) = drilled
        && guardian.recover_after_guardian_death().is_err()
    {
        recover(&state, &Filter::All)?;
        return Ok(());
    }
    if guardian.finish().is_err() {
        recover(&state, &Filter::All)?;
    }
    Ok(())
}

fn say(line: &str) -> Outcome<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
