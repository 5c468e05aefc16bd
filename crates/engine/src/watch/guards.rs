//! Guardrails on streams: which stream each one watches, and what stops the drill.

use std::time::Duration;

use firedrill_experiment::document::{GuardedStream, KpiGuardrail};
use firedrill_experiment::journal::Interruption;
use firedrill_judge::Window;
use serde_json::{Map, Value};

use super::Watch;
use crate::drill::Drill;
use crate::effect::Level;
use crate::stop::Stop;

/// The sources of the streams that guardrails have of their own, in order.
pub(super) fn own_streams(
    guardrails: &[KpiGuardrail],
) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
    guardrails
        .iter()
        .filter_map(|guardrail| match &guardrail.watched {
            GuardedStream::Own(provider) => Some((guardrail.name.as_str(), provider)),
            GuardedStream::Kpi(_) => None,
        })
}

impl Watch {
    /// Those that watch this stream, by their place.
    pub(super) fn guards_of(&self, stream: usize) -> Vec<usize> {
        let mut own = self.0.kpis.len();
        let mut found = Vec::new();
        for (at, guardrail) in self.0.guardrails.iter().enumerate() {
            let watched = match guardrail.watched {
                GuardedStream::Kpi(kpi) => kpi,
                GuardedStream::Own(_) => {
                    own += 1;
                    own - 1
                }
            };
            if watched == stream {
                found.push(at);
            }
        }
        found
    }

    /// Takes a window in. The first guardrail that it breaks, and why.
    pub(super) fn guarded(&self, stream: usize, window: &Window) -> Option<(String, String)> {
        let disturbed = self.disturbance_began();
        let mut guards = self.0.guards.borrow_mut();
        let mut first = None;
        for at in self.guards_of(stream) {
            let Some(guard) = guards.get_mut(at) else {
                continue;
            };
            let why = guard.observe(window, disturbed).map(str::to_owned);
            if let Some(why) = why {
                first.get_or_insert((guard.name().to_owned(), why));
            }
        }
        first
    }

    /// A guardrail that cannot see is a reason to stop, not to go on.
    pub(super) fn guards_lost(&self, drill: &Drill, stream: usize, why: Lost<'_>) -> bool {
        let guards = self.0.guards.borrow();
        let Some(guard) = self
            .guards_of(stream)
            .first()
            .and_then(|at| guards.get(*at))
        else {
            return false;
        };
        let reason = match why {
            Lost::Sensor(why) => guard.blind(why),
            Lost::Counts => guard.reset(),
        };
        let name = guard.name().to_owned();
        drop(guards);
        self.stop_by_guardrail(drill, name, reason);
        true
    }

    pub(super) fn stop_by_guardrail(&self, drill: &Drill, name: String, reason: String) {
        if drill.guardrails_done() {
            return;
        }
        drill.log(Level::Error, reason.clone());
        drill.raise(Stop::Guardrail(Interruption {
            kind: "guardrail".into(),
            name: Some(name),
            reason,
        }));
    }

    pub(super) fn reset(&self, drill: &Drill, stream: usize, at: Duration) {
        if let Some(stream) = self.0.streams.borrow_mut().get_mut(stream) {
            stream.resets.push(at);
        }
        self.guards_lost(drill, stream, Lost::Counts);
    }
}

/// What a guardrail lost.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lost<'a> {
    Sensor(&'a str),
    /// What was counted just before a restart.
    Counts,
}
