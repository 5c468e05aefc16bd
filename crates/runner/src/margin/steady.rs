//! The document's hypothesis, asked again between two trials.

use std::time::Duration;

use firedrill_engine::{Options, Plan, effect::Signal};
use firedrill_experiment::document::HypothesisStrategy;
use firedrill_experiment::journal::margin::Stopped;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::control::Controls;
use crate::fault::Faults;
use crate::provider::{Cancel, Providers};
use crate::rollback::Rollbacks;
use crate::settings::Settings;
use crate::{Ports, drive};

/// Between two looks at a hypothesis that is not met.
const AGAIN: Duration = Duration::from_millis(250);

/// A drill that breaks nothing: it asks the hypothesis, and is over.
pub(super) struct Steady {
    plan: Plan,
    providers: Providers,
}

impl Steady {
    /// Nothing where the document has no hypothesis. Controls see it where `run` shows it to them:
    /// before and after the method.
    pub(super) fn of(plan: &Plan, providers: &Providers) -> Option<Self> {
        let hypothesis = plan.experiment.hypothesis.as_ref()?;
        if hypothesis.probes.is_empty() {
            return None;
        }
        let mut plan = plan.clone();
        let experiment = &mut plan.experiment;
        experiment.method.clear();
        experiment.rollbacks.clear();
        experiment.guardrails.clear();
        experiment.kpi_guardrails.clear();
        experiment.controls.clear();
        experiment.kpis.clear();
        if let Some(hypothesis) = &mut experiment.hypothesis {
            hypothesis.controls.clear();
            for probe in &mut hypothesis.probes {
                probe.controls.clear();
            }
        }
        plan.options = Options {
            hypothesis_strategy: HypothesisStrategy::BeforeMethodOnly,
            ..Options::default()
        };
        Some(Self {
            plan,
            providers: providers.clone(),
        })
    }

    /// Waits until it is met, at most so long; then says what is not well.
    pub(super) async fn wait(
        &self,
        within: Duration,
        cancel: &mut Cancel,
    ) -> Result<Option<String>, Stopped> {
        let until = Instant::now() + within;
        loop {
            let complaint = self.ask(cancel).await?;
            if complaint.is_none() || Instant::now() + AGAIN > until {
                return Ok(complaint);
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                _ = cancel.cancelled() => return Err(Stopped::Halted),
            }
        }
    }

    /// What is not well of it; nothing when it is met.
    async fn ask(&self, cancel: &mut Cancel) -> Result<Option<String>, Stopped> {
        let (signal, signals) = mpsc::unbounded_channel();
        let ports = Ports {
            providers: self.providers.clone(),
            controls: Controls::new(self.providers.clone(), Settings::default()),
            faults: Faults::none(),
            rollbacks: Rollbacks::none(),
            trials: None,
        };
        let asking = drive(self.plan.clone(), ports, signals, |_, _| ());
        tokio::pin!(asking);
        let journal = tokio::select! {
            journal = &mut asking => journal,
            _ = cancel.cancelled() => {
                let _asked = signal.send(Signal::ExitNow);
                asking.await;
                return Err(Stopped::Halted);
            }
        };
        let met = journal
            .steady_states
            .before
            .as_ref()
            .is_some_and(|state| state.steady_state_met == Some(true));
        if met {
            return Ok(None);
        }
        let reason = journal
            .firedrill
            .and_then(|drill| drill.reasons.into_iter().next());
        Ok(Some(
            reason.unwrap_or_else(|| "the hypothesis was not met".into()),
        ))
    }
}
