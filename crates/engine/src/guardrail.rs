//! Guardrails: probes that stop the drill when they leave their tolerance.
//!
//! A guardrail that cannot be read is a reason to stop, not to go on.

use std::time::Duration;

use firedrill_experiment::document::{Guardrail, GuardrailMode};
use firedrill_experiment::journal::{Interruption, RunStatus};

use crate::activity::{Mode, execute};
use crate::drill::Drill;
use crate::effect::Level;
use crate::hypothesis::within;
use crate::machine::{Either, either};
use crate::record::Runs;
use crate::stop::Stop;

impl Drill {
    /// Checks those that come first, and starts the others beside the drill.
    pub(crate) async fn start_guardrails(&self) -> Result<(), Stop> {
        let guardrails = self.experiment().guardrails.clone();
        for guardrail in guardrails {
            if guardrail.mode == GuardrailMode::PreCheck {
                if let Some(stop) = look(self, &guardrail, Mode::Foreground).await? {
                    return Err(stop);
                }
                continue;
            }
            let drill = self.clone();
            self.core().spawn(async move {
                let done = drill.clone();
                let done = drill.core().until(move || done.guardrails_done());
                if let Either::Second(Some(stop)) =
                    either(done, keep_watch(&drill, &guardrail)).await
                {
                    drill.raise(stop);
                }
            });
        }
        Ok(())
    }
}

async fn keep_watch(drill: &Drill, guardrail: &Guardrail) -> Option<Stop> {
    loop {
        match look(drill, guardrail, Mode::Background).await {
            Ok(None) => {}
            // The drill has given up on what runs beside it; it needs no telling.
            Err(Stop::Signal(_)) => return None,
            Ok(Some(stop)) | Err(stop) => return Some(stop),
        }
        let GuardrailMode::Every(period) = guardrail.mode else {
            return None;
        };
        drill
            .core()
            .sleep(period.max(Duration::from_millis(1)))
            .await;
    }
}

async fn look(drill: &Drill, guardrail: &Guardrail, mode: Mode) -> Result<Option<Stop>, Stop> {
    let scratch = Runs::default();
    let entry = execute(drill, &guardrail.probe, &scratch, mode).await?;
    let run = entry.read();
    let met = match (&run, &guardrail.probe.tolerance) {
        (Some(run), Some(tolerance)) if run.status == Some(RunStatus::Succeeded) => {
            within(drill, tolerance, &run.output, mode).await?
        }
        _ => false,
    };
    if met {
        return Ok(None);
    }
    let reason = format!("guardrail `{}` left its tolerance", guardrail.probe.name);
    drill.log(Level::Error, reason.clone());
    let interruption = Interruption {
        kind: "guardrail".into(),
        name: Some(guardrail.probe.name.clone()),
        reason,
    };
    Ok(Some(Stop::Guardrail(interruption)))
}
