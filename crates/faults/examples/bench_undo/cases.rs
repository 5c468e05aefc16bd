use std::error::Error;
use std::time::{Duration, Instant};

use firedrill_faults::Site;
use firedrill_kernel::clock::boottime;
use firedrill_kernel::{Pidfd, Signal};
use firedrill_undo::{
    DrillId, Filter, Guardian, SpawnConfig, StateDir, Watch, active_drills, halt, recover,
};

use crate::owner::{Owner, pause};
use crate::quantiles::{print, print_value};
use crate::targets::Targets;

const TARGETS: usize = 10;

/// Long enough that no lease ends by itself.
const LONG: Duration = Duration::from_secs(60);

/// SIGKILL of the owner, until the last target runs again.
pub(crate) fn owner_killed(mechanism: &str, tries: usize) -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let mut targets = Targets::start(TARGETS)?;
    let mut clean = Vec::with_capacity(tries);
    for number in 0..tries {
        let drill = format!("killed-{number}");
        let mut owner = Owner::pausing(&targets, root.path(), &drill, LONG, mechanism)?;
        targets.ask_in_vain()?;
        let start = Instant::now();
        owner.kill()?;
        targets.await_answers()?;
        clean.push(start.elapsed());
        owner.bury()?;
    }
    ensure_nothing_left(root.path())?;
    print(&format!("owner-killed.{mechanism}"), clean);
    Ok(())
}

/// SIGKILL of the guardian, until its replacement has undone everything.
pub(crate) fn guardian_killed(tries: usize) -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let mut targets = Targets::start(TARGETS)?;
    let (mut clean, mut injected) = (Vec::new(), Vec::new());
    for number in 0..tries {
        let guardian = spawn(root.path(), &format!("guarded-{number}"))?;
        let effects = pause("auto")?.compile(&Site::of(&targets.identities()?))?;
        let applied = guardian.apply(effects)?;
        injected.push(applied.injected_in);
        guardian.observe_until(applied.id, LONG)?;
        targets.ask_in_vain()?;
        let pidfd = Pidfd::open(&guardian.ready().guardian)?.ok_or("the guardian ended")?;
        let start = Instant::now();
        pidfd.send(Signal::Kill)?;
        if guardian.watch(LONG)? != Watch::Died {
            return Err("the guardian's death went unnoticed".into());
        }
        let reverted = guardian.recover_after_guardian_death()?;
        targets.await_answers()?;
        clean.push(start.elapsed());
        if !reverted.residue.is_empty() {
            return Err(format!("residue: {:?}", reverted.residue).into());
        }
        guardian.finish()?;
    }
    ensure_nothing_left(root.path())?;
    print("guardian-killed", clean);
    print("time-to-inject", injected);
    Ok(())
}

/// SIGSTOP of the owner beyond its lease: how late the undo is, and whether it can apply again.
pub(crate) fn lease_expired(tries: usize) -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let mut targets = Targets::start(TARGETS)?;
    let (mut late, mut applied_again) = (Vec::new(), 0_u32);
    for number in 0..tries {
        let drill = format!("expired-{number}");
        let lease = Duration::from_millis(300);
        let mut owner = Owner::pausing(&targets, root.path(), &drill, lease, "auto")?;
        targets.ask_in_vain()?;
        owner.signal(Signal::Stop)?;
        targets.await_answers()?;
        let clean = boottime();
        let lease_file = root.path().join("drills").join(&drill).join("lease");
        let deadline: u64 = std::fs::read_to_string(lease_file)?.trim().parse()?;
        late.push(clean.saturating_sub(Duration::from_nanos(deadline)));
        owner.signal(Signal::Cont)?;
        applied_again += u32::from(owner.applies_again()?);
        owner.bury()?;
    }
    ensure_nothing_left(root.path())?;
    print("owner-stopped.after-deadline", late);
    print_value(
        "owner-stopped.applied-again",
        f64::from(applied_again),
        "drills",
        tries,
    );
    Ok(())
}

/// SIGKILL of both: how long a recovery takes.
pub(crate) fn both_killed(tries: usize) -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let state = StateDir::at(root.path());
    let mut targets = Targets::start(TARGETS)?;
    let mut clean = Vec::new();
    for number in 0..tries {
        let drill = format!("both-{number}");
        let mut owner = Owner::pausing(&targets, root.path(), &drill, LONG, "auto")?;
        targets.ask_in_vain()?;
        // The guardian first: otherwise it would undo before it dies.
        let guardian = Pidfd::open(&owner.guardian)?.ok_or("the guardian ended")?;
        guardian.send(Signal::Kill)?;
        owner.kill()?;
        guardian.wait_for_exit(LONG)?;
        owner.bury()?;
        let start = Instant::now();
        let report = recover(&state, &Filter::All)?;
        targets.await_answers()?;
        clean.push(start.elapsed());
        if report
            .recovered
            .iter()
            .filter(|recovered| recovered.clean)
            .count()
            != 1
        {
            return Err(format!("not recovered: {report:?}").into());
        }
    }
    ensure_nothing_left(root.path())?;
    print("both-killed.recover", clean);
    Ok(())
}

/// `halt`, until the last target runs again.
pub(crate) fn halted(tries: usize) -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let state = StateDir::at(root.path());
    let mut targets = Targets::start(TARGETS)?;
    let mut clean = Vec::new();
    for number in 0..tries {
        let guardian = spawn(root.path(), &format!("halted-{number}"))?;
        let applied = guardian.apply(pause("auto")?.compile(&Site::of(&targets.identities()?))?)?;
        guardian.observe_until(applied.id, LONG)?;
        targets.ask_in_vain()?;
        let start = Instant::now();
        halt(&state, &Filter::All, LONG)?;
        targets.await_answers()?;
        clean.push(start.elapsed());
        guardian.finish()?;
    }
    ensure_nothing_left(root.path())?;
    print("halted", clean);
    Ok(())
}

fn spawn(root: &std::path::Path, drill: &str) -> Result<Guardian, Box<dyn Error>> {
    let drill: DrillId = drill.parse()?;
    let mut config = SpawnConfig::new(StateDir::at(root), drill, "bench");
    config.lease = LONG;
    Ok(Guardian::spawn(config)?)
}

fn ensure_nothing_left(root: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let left = active_drills(&StateDir::at(root))?;
    if left.is_empty() {
        return Ok(());
    }
    Err(format!("{} drills are still active", left.len()).into())
}
