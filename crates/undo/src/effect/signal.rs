use std::time::Duration;

use firedrill_kernel::{Pidfd, Presence, process};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, SkipReason, Skipped};
use crate::primitive::{Expected, Primitive, Signalling};
use crate::residue::Reverted;
use crate::state::DrillId;

/// A process that was sent a signal. Nothing is known that takes one back.
#[derive(Debug)]
pub(crate) struct SignalledProcess {
    signalling: Signalling,
    pidfd: Pidfd,
    /// It ignored the signal before it was sent.
    ignored: bool,
}

impl SignalledProcess {
    pub(super) fn prepare(signalling: Signalling) -> Result<Prepared, EffectError> {
        let process = signalling.process;
        let Some(pidfd) = Pidfd::open(&process)? else {
            let why = SkipReason::Vanished;
            return Ok(Prepared::Skipped(Skipped { process, why }));
        };
        let effect = Self {
            signalling,
            pidfd,
            ignored: false,
        };
        Ok(Prepared::ready(Self {
            ignored: effect.is_in("SigIgn")?,
            ..effect
        }))
    }

    /// Whether the signal is in one of the masks of `/proc/PID/status`.
    fn is_in(&self, mask: &str) -> Result<bool, EffectError> {
        let text = process::status_field(self.signalling.process.pid, mask)?;
        let bits = text.and_then(|text| u64::from_str_radix(&text, 16).ok());
        let bit = self.signalling.signal.number().saturating_sub(1);
        Ok(bits.is_some_and(|bits| bits >> bit & 1 == 1))
    }
}

impl Effect for SignalledProcess {
    fn primitive(&self) -> Primitive {
        Primitive::SignalProcess(self.signalling)
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        self.pidfd.send(self.signalling.signal)?;
        Ok(())
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        Reverted::default()
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let process = self.signalling.process;
        let gone = process.presence()? == Presence::Gone;
        let waits = !gone && (self.is_in("ShdPnd")? || self.is_in("SigPnd")?);
        let there = match self.signalling.expect {
            Expected::Taken => gone || !waits,
            Expected::Survives => !gone && !waits,
            Expected::Ends => gone,
        };
        let mut observed = Observed::of(process, there);
        if self.ignored && !gone {
            let pid = process.pid;
            observed
                .idle
                .push(format!("process {pid} ignores the signal"));
        }
        Ok(observed)
    }
}
