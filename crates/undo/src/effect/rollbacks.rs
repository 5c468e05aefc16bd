use std::process::{Command, Stdio};
use std::time::Duration;

use firedrill_kernel::signals::start_unblocked;

use super::{Effect, EffectError, Observed, OwnerState};
use crate::primitive::Primitive;
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;

/// The rollbacks of the owner's own actions, to be run in its stead.
#[derive(Debug)]
pub(crate) struct Rollbacks {
    argv: Vec<String>,
}

impl Rollbacks {
    pub(super) fn new(argv: Vec<String>) -> Self {
        Self { argv }
    }

    /// To its end, which may take as long as its own limits allow.
    fn run(&self) -> Result<(), String> {
        let (program, arguments) = self
            .argv
            .split_first()
            .ok_or_else(|| "the command is empty".to_owned())?;
        let status = start_unblocked(&mut Command::new(program))
            .args(arguments)
            // The command must not itself try to recover: its caller holds that lock.
            .env("FIREDRILL_RECOVERING", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| format!("{program}: {error}"))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("{program}: {status}"))
    }
}

impl Effect for Rollbacks {
    fn primitive(&self) -> Primitive {
        Primitive::RunRollbacks {
            argv: self.argv.clone(),
        }
    }

    fn restore(&mut self, _drill: &DrillId, owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        if owner == OwnerState::Present {
            return reverted;
        }
        match self.run() {
            Ok(()) => reverted.undone = 1,
            Err(why) => reverted.residue.push(Residue::RollbacksFailed { why }),
        }
        reverted
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        Ok(())
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        Ok(Observed::default())
    }

    fn waits_for_owner(&self) -> bool {
        true
    }
}
