//! Arms that others lead traffic to: a source for each, of the kinds of a KPI, with the same sensors.
//!
//! - [`Apart`]: both streams, and what they told since the last look;
//! - `pairs`: which windows of both are of the same time;
//! - `width`: how exactly a source knows how long requests took.

mod pairs;
mod width;

use std::time::Duration;

use firedrill_engine::Event;
use firedrill_experiment::call::{KpiSource, resolve_kpi};
use firedrill_experiment::document::{Canary, CanaryAsk, check_arms};
use firedrill_experiment::journal::ArmsRecord;
use firedrill_experiment::scope::Scope;
use firedrill_experiment::units::format_duration;
use firedrill_judge::canary::{Batch, Before};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ask::Asked;
use super::sense;
use crate::kpi::{Asks, Streams};
use pairs::{Pairs, Slack};
use width::Width;

const NAMES: [&str; 2] = ["control", "experiment"];

/// More than this share of a load sent late, and it may have measured itself;
const LATE_MAX: f64 = 0.01;
/// unless that is at most this share of what went badly.
const EXPLAINED_MAX: f64 = 0.1;

/// A proportion is known after so many readings.
const READINGS_MIN: u32 = 4;

/// Both streams, which end with it.
pub(super) struct Apart {
    _streams: Streams,
    events: mpsc::UnboundedReceiver<Event>,
    widths: [Width; 2],
    pairs: Pairs,
    began: Instant,
    /// Of both loads.
    sent: [Sent; 2],
    last: [Batch; 2],
}

/// What a load sent: nothing is late of counters.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    late: u64,
    bad: u64,
    all: u64,
}

/// Both sources, once variables are filled in.
pub(super) fn sources(
    canary: &Canary,
    arms: [&Map<String, Value>; 2],
    scope: &Scope,
    reasons: &mut Vec<String>,
) -> Option<[KpiSource; 2]> {
    let [control, experiment] = [0, 1].map(|at| {
        resolve_kpi(arms[at], scope)
            .map_err(|error| reasons.push(format!("`arms.{}`: {error}", NAMES[at])))
            .ok()
    });
    let sources = [control?, experiment?];
    reasons.extend(check_arms(&sources[0], &sources[1]).err());
    for (name, source) in NAMES.iter().zip(&sources) {
        reasons.extend(unanswerable(canary, source).map(|why| format!("`arms.{name}`: {why}")));
    }
    Some(sources)
}

/// Why this source cannot tell what the canary asks.
fn unanswerable(canary: &Canary, source: &KpiSource) -> Option<String> {
    let asks_times = |ask| matches!(ask, CanaryAsk::Latency { .. });
    if !source.has_latencies() && canary.kpis.iter().any(|kpi| asks_times(kpi.asks)) {
        return Some("it does not say how long requests took".into());
    }
    let least = source.interval() * READINGS_MIN + source.lag() * 2;
    if canary.baseline < least {
        return Some(format!(
            "it is read every {} and up to {} behind, so a `baseline` of {} does not show how much traffic it gets; make it {} or longer",
            format_duration(source.interval()),
            format_duration(source.lag()),
            format_duration(canary.baseline),
            format_duration(least)
        ));
    }
    (canary.duration.1 < least).then(|| {
        format!(
            "it shows nothing of the fault within a `duration` of at most {}; make `max` {} or longer",
            format_duration(canary.duration.1),
            format_duration(least)
        )
    })
}

/// Until an event is among what is judged, or the sensor is called missing.
pub(super) fn reaction(source: &KpiSource) -> Duration {
    let seen = match source {
        KpiSource::Load(call) => crate::kpi::window(call.rate) + call.timeout,
        KpiSource::Counters(_) => source.reaction().unwrap_or_default(),
    };
    // Windows of the same time are waited for.
    seen + source.interval()
}

impl Apart {
    pub(super) async fn begin(asked: &Asked, sources: &[KpiSource; 2]) -> Result<Self, String> {
        let asks = Asks::new(asked.verify_tls);
        let [control, experiment] = sources;
        let width = |at: usize, width: Result<Width, String>| {
            width.map_err(|why| format!("the {}'s sensor: {why}", NAMES[at]))
        };
        let widths = [
            width(0, Width::of(control, &asks).await)?,
            width(1, Width::of(experiment, &asks).await)?,
        ];
        let (sender, events) = mpsc::unbounded_channel();
        let mut streams = Streams::new(asked.seed, sender).with_asks(asks);
        for (at, source) in sources.iter().enumerate() {
            streams.start(at, source, Duration::ZERO);
        }
        Ok(Self {
            _streams: streams,
            events,
            widths,
            pairs: Pairs::new(
                [Slack::of(control), Slack::of(experiment)],
                experiment.shows_life(),
            ),
            began: Instant::now(),
            sent: <[Sent; 2]>::default(),
            last: <[Batch; 2]>::default(),
        })
    }

    /// What both did in the time that is known of both; nothing, if that is no longer than before.
    ///
    /// # Errors
    /// Why a sensor is not believed.
    pub(super) fn look(&mut self) -> Result<Option<[Batch; 2]>, String> {
        while let Ok(event) = self.events.try_recv() {
            self.hear(event)?;
        }
        let Some(taken) = self.pairs.take() else {
            return Ok(None);
        };
        let mut batches = <[Batch; 2]>::default();
        for ((batch, windows), width) in batches.iter_mut().zip(taken).zip(&self.widths) {
            for window in windows {
                batch.good = batch.good.saturating_add(window.good);
                // Reduced functionality is no success of a canary.
                let bad = window.bad.saturating_add(window.degraded);
                batch.bad = batch.bad.saturating_add(bad);
                batch.times.extend(width.times(&window.latency));
            }
        }
        self.last.clone_from(&batches);
        Ok(Some(batches))
    }

    /// Adds what came since the last look to what is recorded.
    pub(super) fn add_to(&self, record: &mut ArmsRecord) {
        sense::add(record, self.last.each_ref());
    }

    fn hear(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Kpi { kpi, window } => {
                if let Some(sent) = self.sent.get_mut(kpi) {
                    sent.late += window.late;
                    sent.all += window.counts().requests();
                    sent.bad += window.bad;
                }
                self.pairs.add(kpi, window);
                Ok(())
            }
            Event::KpiReset { kpi, .. } => Err(format!(
                "the {}'s counters began anew, so what came just before is not known",
                name(kpi)
            )),
            Event::KpiEnded { kpi, trouble } => {
                let why = trouble.unwrap_or_else(|| "it ended".into());
                Err(format!("the {}'s sensor is not believed: {why}", name(kpi)))
            }
            _ => Ok(()),
        }
    }

    /// From now on, only what came after this counts.
    pub(super) fn turn(&mut self) -> Before {
        self.pairs.turn(self.began.elapsed())
    }

    /// Why harm, or that there is none, may not be claimed although it was counted: the load that
    /// would have to look worse than it is was sent late.
    pub(super) fn doubt(&self, is_harm: bool) -> Option<String> {
        let arm = usize::from(is_harm);
        let sent = self.sent.get(arm).filter(|sent| sent.may_explain())?;
        Some(format!(
            "{} of {} requests of the {}'s load were sent late, so it may have measured itself",
            sent.late,
            sent.all,
            name(arm)
        ))
    }
}

impl Sent {
    /// Whether being late may be what is seen, and not what answers.
    fn may_explain(self) -> bool {
        let is_much = self.late as f64 > self.all as f64 * LATE_MAX;
        is_much && self.late as f64 > self.bad as f64 * EXPLAINED_MAX
    }
}

fn name(at: usize) -> &'static str {
    NAMES.get(at).copied().unwrap_or("canary")
}
