//! The streams' sources: opened, listened for, and not believed when they fall silent.

use std::time::Duration;

use firedrill_experiment::call::{self, Call, KpiSource};
use firedrill_experiment::document::{Activity, ActivityKind};
use firedrill_experiment::journal::Phase;
use firedrill_judge::requests_needed_for;

use super::guards::{Lost, own_streams};
use super::{Stream, Watch};
use crate::asked::{expected, objective};
use crate::drill::Drill;
use crate::effect::{Effect, Level};
use crate::stop::Stop;

/// Beyond what a source may take by itself: whoever reads it tells before, if anybody reads it.
const SILENCE: Duration = Duration::from_secs(10);

impl Watch {
    pub(super) fn open_streams(&self, drill: &Drill) -> Result<(), Stop> {
        let kpis = self.0.kpis.iter();
        let kpis = kpis.map(|kpi| (kpi.name.as_str(), &kpi.provider));
        let all = kpis.chain(own_streams(&self.0.guardrails));
        let now = self.0.core.now();
        for (index, (name, provider)) in all.enumerate() {
            let mut source = call::resolve_kpi(provider, &drill.scope())
                .map_err(|error| Stop::Aborted(format!("`{name}` cannot be watched: {error}")))?;
            if let KpiSource::Counters(call) = &mut source {
                call.latency_limits = self.latency_limits(index);
            }
            if let Some(stream) = self.0.streams.borrow_mut().get_mut(index) {
                stream.source = Some(source.clone());
                stream.ended = false;
                stream.heard = now;
            }
            self.0.core.emit(Effect::StartKpi { kpi: index, source });
        }
        self.0.core.touch();
        Ok(())
    }

    /// On which somebody has to be able to say how many took longer.
    fn latency_limits(&self, stream: usize) -> Vec<Duration> {
        const PHASES: [Phase; 4] = [
            Phase::Baseline,
            Phase::Transition,
            Phase::Fault,
            Phase::Recovery,
        ];
        let kpi = self.0.kpis.get(stream).into_iter();
        let asked =
            kpi.flat_map(|kpi| PHASES.map(|phase| expected(kpi, &self.0.expect, phase).0.latency));
        let guards = self.guards_of(stream).into_iter();
        let guarded = guards.map(|at| objective(&self.0.guardrails[at].objective).latency);
        let limits = asked.chain(guarded).flatten();
        limits.map(|(_, limit)| limit).collect()
    }

    pub(super) fn ended(&self, drill: &Drill, stream: usize, trouble: Option<String>) {
        {
            let mut streams = self.0.streams.borrow_mut();
            let Some(stream) = streams.get_mut(stream) else {
                return;
            };
            stream.ended = true;
            stream.trouble = stream.trouble.take().or_else(|| trouble.clone());
        }
        let Some(why) = trouble else { return };
        if self.guards_lost(drill, stream, Lost::Sensor(&why)) {
            return;
        }
        let Some(kpi) = self.0.kpis.get(stream) else {
            return;
        };
        // In the baseline nothing is in place, and its own judgement says why nothing will be.
        if self.0.is_past_baseline.get() && !drill.guardrails_done() {
            let why = format!("`{}`: {why}", kpi.name);
            drill.log(Level::Error, why.clone());
            drill.raise(Stop::Blind(why));
        }
    }

    /// Listens for silence as long as the drill lasts: a stream of which nothing is heard, not
    /// even that it failed, has nobody at its other end.
    pub(crate) async fn mind_silence(self, drill: Drill) {
        loop {
            let watch = self.clone();
            self.0
                .core
                .until(move || watch.next_silence().is_some())
                .await;
            let Some((stream, due)) = self.next_silence() else {
                continue;
            };
            self.0.core.sleep_until(due).await;
            if self.next_silence() == Some((stream, due)) {
                let why = "nothing was heard of it any more".to_owned();
                self.ended(&drill, stream, Some(why));
            }
        }
    }

    /// Which stream is the first to be too silent, and when.
    fn next_silence(&self) -> Option<(usize, Duration)> {
        let streams = self.0.streams.borrow();
        let live = streams.iter().enumerate().filter(|(_, s)| !s.ended);
        live.filter_map(|(at, stream)| {
            let allowed = stream.source.as_ref()?.patience() + SILENCE;
            Some((at, stream.heard + allowed))
        })
        .min_by_key(|(_, due)| *due)
    }

    /// Why the fault could not be judged with the traffic that the baseline has shown.
    pub(crate) fn too_little_traffic(&self, drill: &Drill) -> Vec<String> {
        let method = drill.experiment().method.clone();
        let Some(lasts) = method.iter().filter_map(|one| lasts(drill, one)).max() else {
            return Vec::new();
        };
        let streams = self.0.streams.borrow();
        let kpis = self.0.kpis.iter().zip(streams.iter());
        kpis.filter_map(|(kpi, stream)| {
            let Some(source @ KpiSource::Counters(_)) = &stream.source else {
                return None;
            };
            let asked = expected(kpi, &self.0.expect, Phase::Fault).0;
            let needed = requests_needed_for(&asked, kpi.confidence)?;
            let rate = seen_rate(stream)?;
            let counts = lasts.saturating_sub(self.0.expect.transition + source.lag());
            let expected = rate * counts.as_secs_f64();
            (expected < needed as f64).then(|| {
                let longer = (needed as f64 - expected) / rate.max(1e-9);
                format!(
                    "KPI `{}` cannot answer: at the {rate:.1} requests/s of the baseline about {expected:.0} meet the fault, and {} % confidence takes {needed} at the least; make the fault {longer:.0} s longer, or wait for more traffic.",
                    kpi.name,
                    kpi.confidence * 100.0,
                )
            })
        })
        .collect()
    }
}

/// How long a fault of the method is in place.
fn lasts(drill: &Drill, activity: &Activity) -> Option<Duration> {
    if activity.kind != ActivityKind::Action || !drill.is_selected(activity) {
        return None;
    }
    match call::resolve(&activity.provider, &drill.scope()) {
        Ok(Call::Fault(call)) => Some(call.duration),
        _ => None,
    }
}

/// Requests per second so far.
fn seen_rate(stream: &Stream) -> Option<f64> {
    let (first, last) = (stream.windows.first()?, stream.windows.last()?);
    let time = (last.start + last.length).saturating_sub(first.start);
    let requests: f64 = stream
        .windows
        .iter()
        .map(|window| window.counts().requests() as f64)
        .sum();
    (!time.is_zero()).then(|| requests / time.as_secs_f64())
}
