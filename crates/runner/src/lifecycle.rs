//! The drill's events, for handlers that Python controls registered: in order, one at a time.

use firedrill_engine::effect::{Check, Progress};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::control::Controls;

type Happening = (&'static str, Vec<Value>);

/// A queue of events that a task of its own tells.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    experiment: Value,
    controls: Controls,
    queue: mpsc::UnboundedSender<Happening>,
    teller: JoinHandle<()>,
}

impl Lifecycle {
    pub(crate) fn new(experiment: Value, controls: Controls) -> Self {
        let (queue, mut happenings) = mpsc::unbounded_channel::<Happening>();
        let voice = controls.clone();
        let teller = tokio::spawn(async move {
            while let Some((name, arguments)) = happenings.recv().await {
                voice.tell(name, arguments).await;
            }
        });
        Self {
            experiment,
            controls,
            queue,
            teller,
        }
    }

    pub(crate) fn note(&self, progress: &Progress) {
        if !self.controls.are_listening() {
            return;
        }
        if let Some(happening) = self.happening(progress) {
            // The teller ends with the drill; what comes later is told to nobody.
            let _ = self.queue.send(happening);
        }
    }

    /// Tells what is left.
    pub(crate) async fn end(self) {
        drop(self.queue);
        let _ = self.teller.await;
    }

    /// The names and arguments of chaostoolkit-lib's `RunEventHandler`; a journal is not told
    /// before it is complete.
    fn happening(&self, progress: &Progress) -> Option<Happening> {
        let experiment = self.experiment.clone();
        let journal = || json!({});
        Some(match progress {
            Progress::HypothesisStarted {
                check: Check::Before,
            } => ("start_hypothesis_before", vec![experiment]),
            Progress::HypothesisStarted {
                check: Check::After,
            } => ("start_hypothesis_after", vec![experiment]),
            Progress::HypothesisChecked { check, state } => match check {
                Check::Before => (
                    "hypothesis_before_completed",
                    vec![experiment, json!(state), journal()],
                ),
                Check::During { iteration } => (
                    "continuous_hypothesis_iteration",
                    vec![json!(iteration), json!(state)],
                ),
                Check::After => (
                    "hypothesis_after_completed",
                    vec![experiment, json!(state), journal()],
                ),
            },
            Progress::MethodStarted => ("start_method", vec![experiment]),
            Progress::MethodEnded => ("method_completed", vec![experiment, Value::Null]),
            Progress::RollbacksStarted => ("start_rollbacks", vec![experiment]),
            Progress::RollbacksEnded => ("rollbacks_completed", vec![experiment, journal()]),
            Progress::ActivityStarted { activity } => ("start_activity", vec![activity.clone()]),
            Progress::ActivityEnded { run } => {
                ("activity_completed", vec![run.activity.clone(), json!(run)])
            }
            Progress::Stopped { signal: Some(_) } => ("signal_exit", vec![]),
            Progress::Stopped { signal: None } => ("interrupted", vec![experiment, journal()]),
            _ => return None,
        })
    }
}
