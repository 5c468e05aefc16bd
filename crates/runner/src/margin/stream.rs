//! The KPI's windows, of which time each of them tells, and what is good and bad of them.

use std::collections::VecDeque;
use std::time::Duration;

use firedrill_engine::Event;
use firedrill_experiment::call::KpiSource;
use firedrill_experiment::journal::margin::Stopped;
use firedrill_judge::margin::Verdict;
use firedrill_judge::{Degraded, Window, recovered};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::source::Watched;
use crate::kpi::{Asks, Heard, Streams, read_counters};
use crate::provider::{Cancel, Providers};

/// A window is told once its last request has ended; this much later, nobody is there to tell.
const SILENCE: Duration = Duration::from_secs(10);
/// More than this share of the requests sent late, and what is bad may be the generator's fault.
const LATE_MAX: f64 = 0.01;
/// More than this, and the load was another than was asked for.
const LATE_EVEN_IF_GOOD_MAX: f64 = 0.1;
/// Windows that say how much traffic there is now.
const PACE: usize = 20;

pub(super) struct Stream {
    watched: Watched,
    from: From,
    pace: VecDeque<(Duration, u64)>,
}

/// Whose windows these are.
enum From {
    Load {
        streams: Streams,
        inbox: mpsc::UnboundedReceiver<Event>,
    },
    Counters {
        stop: Option<oneshot::Sender<()>>,
        inbox: mpsc::UnboundedReceiver<Heard>,
    },
}

/// A window, and its times since the search began.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) window: Window,
    /// Nothing in it happened before this.
    pub(super) since: Duration,
    /// All that happened before this is in it, or in one before.
    pub(super) until: Duration,
}

/// Of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) good: u64,
    pub(super) bad: u64,
}

impl Stream {
    pub(super) fn open(
        watched: &Watched,
        seed: u64,
        providers: &Providers,
        began: Instant,
    ) -> Self {
        let now = began.elapsed();
        let from = match &watched.source {
            source @ KpiSource::Load(_) => {
                let (events, inbox) = mpsc::unbounded_channel();
                let mut streams = Streams::new(seed, events);
                streams.start(0, source, now);
                From::Load { streams, inbox }
            }
            KpiSource::Counters(call) => {
                let (stop, inbox) = read_counters(call, &Asks::of(providers), now);
                From::Counters {
                    stop: Some(stop),
                    inbox,
                }
            }
        };
        Self {
            watched: watched.clone(),
            from,
            pace: VecDeque::new(),
        }
    }

    /// The next window; the end of the drill comes first. A source that cannot be believed any
    /// more has no next one, and neither has one that began anew: what it lost, nobody knows.
    pub(super) async fn next(&mut self, cancel: &mut Cancel) -> Result<Seen, Stopped> {
        let silence = SILENCE + self.watched.source.patience();
        let name = &self.watched.name;
        let sensor = |why: String| Err(Stopped::Sensor(format!("KPI `{name}`: {why}")));
        let heard = async {
            let told = tokio::time::timeout(silence, self.from.next()).await;
            match told {
                Ok(Some(Heard::Window { window, asked })) => Ok((window, asked)),
                Ok(Some(Heard::Reset { at })) => sensor(format!(
                    "its counters began anew after {:.1} s, and what they had counted since the reading before is lost",
                    at.as_secs_f64()
                )),
                Ok(Some(Heard::Ended { trouble: Some(why) })) => sensor(why),
                Ok(Some(Heard::Ended { trouble: None }) | None) => sensor("it ended".into()),
                Err(_) => sensor(format!("nothing was heard of it for {silence:?}")),
            }
        };
        let (window, asked) = tokio::select! {
            heard = heard => heard?,
            _ = cancel.cancelled() => return Err(Stopped::Halted),
        };
        let lag = self.watched.source.lag();
        self.pace
            .push_back((window.length, window.counts().requests()));
        if self.pace.len() > PACE {
            self.pace.pop_front();
        }
        Ok(Seen {
            since: asked.0.saturating_sub(lag),
            until: asked.1.saturating_sub(lag),
            window,
        })
    }

    /// Requests per second of late; nothing before a window was seen.
    pub(super) fn rate(&self) -> Option<f64> {
        let time: Duration = self.pace.iter().map(|(length, _)| *length).sum();
        let requests: u64 = self.pace.iter().map(|(_, requests)| requests).sum();
        (!time.is_zero()).then(|| requests as f64 / time.as_secs_f64())
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

    /// Whether it may be of a system without the fault that ended at `from`. A generator's window
    /// with that moment in it is; what others counted may be from before it.
    pub(super) fn may_be_well(&self, seen: &Seen, from: Duration) -> bool {
        match self.from {
            From::Load { .. } => true,
            From::Counters { .. } => seen.since >= from,
        }
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
        let patience = SILENCE + self.watched.source.patience();
        self.from.stop();
        while let Ok(Some(heard)) = tokio::time::timeout(patience, self.from.next()).await {
            if matches!(heard, Heard::Ended { .. }) {
                return;
            }
        }
    }
}

impl From {
    async fn next(&mut self) -> Option<Heard> {
        match self {
            Self::Counters { inbox, .. } => inbox.recv().await,
            Self::Load { inbox, .. } => loop {
                return Some(match inbox.recv().await? {
                    Event::Kpi { window, .. } => Heard::Window {
                        asked: (window.start, window.counts().end()),
                        window,
                    },
                    Event::KpiEnded { trouble, .. } => Heard::Ended { trouble },
                    _ => continue,
                });
            },
        }
    }

    fn stop(&mut self) {
        match self {
            Self::Load { streams, .. } => streams.stop(0),
            // Gone is as good as told.
            Self::Counters { stop, .. } => drop(stop.take()),
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
