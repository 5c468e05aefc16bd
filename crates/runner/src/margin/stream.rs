//! The KPI's windows, and what is good and bad of them.

use std::time::Duration;

use firedrill_engine::Event;
use firedrill_experiment::call::KpiSource;
use firedrill_judge::margin::Verdict;
use firedrill_judge::{Degraded, Window, recovered};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ask::Watched;
use super::record::Stopped;
use crate::kpi::Streams;
use crate::provider::Cancel;

/// A window is told once its last request has ended; this much later, nobody is there to tell.
const SILENCE: Duration = Duration::from_secs(10);
/// More than this share of the requests sent late, and what is bad may be the generator's fault.
const LATE_MAX: f64 = 0.01;
/// More than this, and the load was another than was asked for.
const LATE_EVEN_IF_GOOD_MAX: f64 = 0.1;

pub(super) struct Stream {
    watched: Watched,
    streams: Streams,
    inbox: mpsc::UnboundedReceiver<Event>,
}

/// Of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) good: u64,
    pub(super) bad: u64,
}

impl Stream {
    pub(super) fn open(watched: &Watched, seed: u64, began: Instant) -> Self {
        let (events, inbox) = mpsc::unbounded_channel();
        let mut streams = Streams::new(seed, events);
        let source = KpiSource::Load(watched.call.clone());
        streams.start(0, &source, began.elapsed());
        Self {
            watched: watched.clone(),
            streams,
            inbox,
        }
    }

    /// The next window; the end of the drill comes first.
    pub(super) async fn next(&mut self, cancel: &mut Cancel) -> Result<Window, Stopped> {
        let silence = SILENCE + self.watched.call.timeout;
        tokio::select! {
            event = tokio::time::timeout(silence, self.inbox.recv()) => match event {
                Ok(Some(Event::Kpi { window, .. })) => Ok(window),
                Ok(Some(Event::KpiEnded { trouble: Some(why), .. })) => {
                    Err(Stopped::Sensor(format!("KPI `{}`: {why}", self.watched.name)))
                }
                Ok(_) => Err(Stopped::Sensor(format!("KPI `{}` ended", self.watched.name))),
                Err(_) => Err(Stopped::Sensor(format!(
                    "nothing was heard of KPI `{}` for {silence:?}",
                    self.watched.name
                ))),
            },
            _ = cancel.cancelled() => Err(Stopped::Halted),
        }
    }

    pub(super) fn counts(&self, window: &Window) -> Counted {
        if let Some((_, max)) = self.watched.objective.latency {
            let max = u64::try_from(max.as_micros()).unwrap_or(u64::MAX);
            let good = window.latency.count_between(0, max);
            return Counted {
                good,
                bad: window.latency.len().saturating_sub(good),
            };
        }
        let (good, bad) = match self.watched.count_degraded_as {
            Degraded::Good => (window.good.saturating_add(window.degraded), window.bad),
            Degraded::Bad => (window.good, window.bad.saturating_add(window.degraded)),
        };
        Counted { good, bad }
    }

    /// How long after `from` it was well, for so long.
    pub(super) fn well_since(
        &self,
        from: Duration,
        windows: &[Window],
        long: Duration,
    ) -> Option<Duration> {
        let Watched {
            objective,
            count_degraded_as,
            ..
        } = &self.watched;
        recovered(from, windows, objective, long, *count_degraded_as)
    }

    pub(super) async fn close(&mut self) {
        self.streams.stop(0);
        while let Ok(Some(event)) = tokio::time::timeout(SILENCE, self.inbox.recv()).await {
            if matches!(event, Event::KpiEnded { .. }) {
                return;
            }
        }
    }
}

/// That the generator kept its schedule, as far as this verdict needs it: a request that was sent
/// late and answered well all the same was answered well.
pub(super) fn on_time(windows: &[Window], verdict: Verdict) -> Result<(), Stopped> {
    let late: u64 = windows.iter().map(|window| window.late).sum();
    let all: u64 = windows
        .iter()
        .map(|window| window.counts().requests())
        .sum();
    let share = late as f64 / all.max(1) as f64;
    let most = match verdict {
        Verdict::Break => LATE_MAX,
        Verdict::Hold | Verdict::NotYet => LATE_EVEN_IF_GOOD_MAX,
    };
    if share <= most {
        return Ok(());
    }
    Err(Stopped::Sensor(format!(
        "the generator sent {:.1} % of its requests late, so what was measured is the generator",
        share * 100.0
    )))
}

/// Milliseconds.
pub(super) fn latency(windows: &[Window], quantile: f64) -> f64 {
    let mut windows = windows.iter();
    let Some(first) = windows.next() else {
        return 0.0;
    };
    let mut all = first.latency.clone();
    for window in windows {
        // It grows as needed, so nothing is too large for it.
        let _fits = all.add(&window.latency);
    }
    all.value_at_quantile(quantile) as f64 / 1e3
}
