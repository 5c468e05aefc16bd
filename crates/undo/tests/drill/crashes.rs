//! The guardian is killed at every step of the log and of the effects, and so is the recovery.

use std::process::Command;

use firedrill_undo::crash::STEPS;
use firedrill_undo::{Filter, Guardian, GuardianError, active_drills, recover};

use crate::herd::{Herd, program, wait_for};

#[test]
fn a_guardian_killed_at_any_step_is_recovered_by_its_owner() {
    for step in STEPS {
        let herd = Herd::of(3);
        assert!(drill_until_death(&herd, step), "{step} was never reached");
        // What the replacement did not get done, because it was killed at the same step, or
        // because the first one was not ready yet, the owner does itself.
        recover(&herd.state(), &Filter::All).unwrap();
        assert!(herd.all_running(), "{step}");
        let active = active_drills(&herd.state()).unwrap();
        assert!(active.is_empty(), "{step}: {active:?}");
    }
}

#[test]
fn a_guardian_killed_at_any_step_is_recovered_from_outside() {
    for step in STEPS {
        let herd = Herd::of(3);
        let mut owner = Command::new(program())
            .arg("owner")
            .arg(herd.root.path())
            .args(["one", "30000"])
            .args(herd.pids())
            .env("FIREDRILL_CRASH_AT", step)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Without a standard input it gives up the drill at once, and so reaches every step.
        owner.wait().unwrap();
        wait_for(step, || !is_guarded(&herd));
        // The first recovery may be killed at the same step; the second is not.
        Command::new(program())
            .arg("recover")
            .arg(herd.root.path())
            .env("FIREDRILL_CRASH_AT", step)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        recover(&herd.state(), &Filter::All).unwrap();
        assert!(herd.all_running(), "{step}");
        let active = active_drills(&herd.state()).unwrap();
        assert!(active.is_empty(), "{step}: {active:?}");
    }
}

/// Whether the guardian died on the way, as it was told to.
fn drill_until_death(herd: &Herd, step: &str) -> bool {
    let mut config = herd.config();
    config.environment = vec![("FIREDRILL_CRASH_AT".into(), step.into())];
    let guardian = match Guardian::spawn(config) {
        Ok(guardian) => guardian,
        Err(error) => return is_death(&error),
    };
    let died = match guardian.apply(herd.stops()) {
        Ok(applied) => guardian.revert(applied.id).err(),
        Err(error) => Some(error),
    };
    match died {
        // What dies while finishing cannot be replaced by a handle that is used up.
        None => match guardian.finish() {
            Ok(_) => step == "ended.before-removal",
            Err(error) => is_death(&error),
        },
        Some(error) => {
            assert!(is_death(&error), "{step}: {error}");
            if guardian.recover_after_guardian_death().is_ok() {
                assert!(herd.all_running(), "{step}");
                let _ = guardian.finish();
            }
            true
        }
    }
}

fn is_death(error: &GuardianError) -> bool {
    matches!(error, GuardianError::Died)
}

fn is_guarded(herd: &Herd) -> bool {
    active_drills(&herd.state())
        .unwrap()
        .iter()
        .any(|active| active.guardian_presence == firedrill_kernel::Presence::Alive)
}
