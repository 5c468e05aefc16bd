//! What was watched, as the journal tells it.

use std::collections::BTreeMap;
use std::time::Duration;

use firedrill_experiment::call::KpiSource;
use firedrill_experiment::document::{Expected, Kpi};
use firedrill_experiment::journal::{
    Drill as Record, Effect, Estimate, FaultRecord, KpiPhase, KpiRecord, LatencySummary, Phase,
    PhaseRecord, Point, RecoveryRecord, WorstWindow,
};
use firedrill_judge::{Tally, Window};

use super::phases::Stretch;
use super::{Fault, Stream, Watch};
use crate::drill::Drill;
use crate::verdict::{Facts, Ruling};

/// Bounds of the latency buckets per decade.
const BUCKETS_PER_DECADE: i32 = 20;

impl Watch {
    pub(crate) fn describe(&self, drill: &Drill, ruling: Ruling, facts: &Facts) -> Record {
        let identity = drill.identity();
        let mut notes = Vec::new();
        if ruling.verdict != firedrill_experiment::journal::Verdict::Inconclusive {
            notes.extend(
                facts
                    .failed_actions
                    .iter()
                    .map(|what| format!("An action failed: {what}.")),
            );
        }
        let disturbed = self.disturbance_ended().is_some();
        let limit = self.limit().as_secs_f64();
        let took = self.0.recovered_after.get().map(|took| took.as_secs_f64());
        let timed = took.is_some() || self.0.lost.borrow().is_some();
        Record {
            version: identity.version.clone(),
            id: identity.drill.clone(),
            seed: identity.seed,
            digest: identity.digest.clone(),
            verdict: ruling.verdict,
            effect: ruling.effect,
            reasons: ruling.reasons,
            expectation: expectation(self.0.expect.during).into(),
            phases: self
                .stretches()
                .into_iter()
                .map(|stretch| self.phase(stretch))
                .collect(),
            kpis: self.kpis(),
            faults: self
                .0
                .faults
                .borrow()
                .values()
                .filter_map(fault_record)
                .collect(),
            recovery: (disturbed && timed).then_some(RecoveryRecord { took, limit }),
            actions: self.0.actions.borrow().clone(),
            notes,
            canary: None,
        }
    }

    fn phase(&self, stretch: Stretch) -> PhaseRecord {
        PhaseRecord {
            phase: stretch.phase,
            start: stretch.start.as_secs_f64(),
            end: stretch.end.as_secs_f64(),
            kpis: (0..self.0.kpis.len())
                .filter_map(|kpi| self.kpi_phase(kpi, stretch))
                .collect(),
        }
    }

    fn kpi_phase(&self, kpi: usize, stretch: Stretch) -> Option<KpiPhase> {
        let windows = self.windows_in(kpi, stretch);
        let mut tally = Tally::new();
        windows.iter().for_each(|window| tally.push(window));
        let judgement = self.judge(kpi, stretch)?;
        let (outcome, findings) = self.outcome(kpi, stretch);
        Some(KpiPhase {
            kpi: self.0.kpis.get(kpi)?.name.clone(),
            outcome,
            findings,
            requests: tally.requests(),
            good: tally.good(),
            degraded: tally.degraded(),
            bad: tally.bad(),
            success_ratio: judgement.success_ratio.map(|estimate| Estimate {
                value: estimate.value,
                low: estimate.low,
                high: estimate.high,
                confidence: estimate.confidence,
            }),
            latency: tally
                .latency()
                .filter(|hist| !hist.is_empty())
                .map(|hist| LatencySummary {
                    p50: millis(hist.value_at_quantile(0.5)),
                    p90: millis(hist.value_at_quantile(0.9)),
                    p99: millis(hist.value_at_quantile(0.99)),
                    max: millis(hist.max()),
                }),
            worst_window: judgement.worst_window.map(|worst| WorstWindow {
                start: worst.start.as_secs_f64(),
                length: worst.length.as_secs_f64(),
                bad: worst.bad,
                requests: worst.requests,
            }),
        })
    }

    fn kpis(&self) -> Vec<KpiRecord> {
        if self.0.watching_since.get().is_none() {
            return Vec::new();
        }
        let streams = self.0.streams.borrow();
        let stretches = self.stretches();
        let kpis = self.0.kpis.iter().zip(streams.iter()).enumerate();
        kpis.map(|(index, (kpi, stream))| {
            let latency = stretches
                .iter()
                .map(|stretch| (stretch.phase, buckets(&self.windows_in(index, *stretch))))
                .collect::<BTreeMap<Phase, _>>();
            kpi_record(kpi, stream, latency)
        })
        .collect()
    }
}

fn kpi_record(kpi: &Kpi, stream: &Stream, latency: BTreeMap<Phase, Vec<(f64, u64)>>) -> KpiRecord {
    let window = stream
        .windows
        .first()
        .map_or(Duration::ZERO, |window| window.length);
    let source = stream.source.as_ref();
    // A load's windows are told when their last request has ended.
    let of_load = window + source.map_or(Duration::ZERO, KpiSource::patience);
    let reaction = source.and_then(KpiSource::reaction).unwrap_or(of_load);
    KpiRecord {
        name: kpi.name.clone(),
        source: source.map_or_else(String::new, KpiSource::describe),
        traffic: source.map_or("synthetic", KpiSource::traffic).into(),
        objective: objective(kpi),
        reaction_ms: reaction.as_secs_f64() * 1e3,
        late_share: late_share(&stream.windows),
        series: stream.windows.iter().map(point).collect(),
        latency,
    }
}

fn point(window: &Window) -> Point {
    let quantile =
        |q| (!window.latency.is_empty()).then(|| millis(window.latency.value_at_quantile(q)));
    Point {
        at: window.start.as_secs_f64(),
        length: window.length.as_secs_f64(),
        good: window.good,
        degraded: window.degraded,
        bad: window.bad,
        p50: quantile(0.5),
        p99: quantile(0.99),
    }
}

fn objective(kpi: &Kpi) -> String {
    let mut parts = Vec::new();
    if let Some(min) = kpi.objective.success_ratio_min {
        parts.push(format!("at least {} % succeed", min * 100.0));
    }
    if let Some((quantile, max)) = kpi.objective.latency {
        parts.push(format!(
            "p{} at most {} ms",
            quantile * 100.0,
            max.as_secs_f64() * 1e3
        ));
    }
    if let Some((length, bad)) = kpi.objective.worst_window {
        parts.push(format!(
            "at most {bad} bad in any {} s",
            length.as_secs_f64()
        ));
    }
    if let Some(bad) = kpi.objective.bad_max {
        parts.push(format!("at most {bad} bad in a phase"));
    }
    parts.join(", ")
}

fn expectation(expected: Expected) -> &'static str {
    match expected {
        Expected::Continue => "continue",
        Expected::Degrade => "degrade",
        Expected::Stop { .. } => "stop",
    }
}

fn fault_record(fault: &Fault) -> Option<FaultRecord> {
    let report = fault.report.as_ref()?;
    let met = fault.exposure != Some(0);
    Some(FaultRecord {
        activity: fault.activity.clone(),
        fault: report.fault.clone(),
        mechanism: report.mechanism.clone(),
        undo_class: report.undo_class,
        targets: report.targets.clone(),
        requested: report.requested.clone(),
        achieved: report
            .refused
            .clone()
            .map(|why| format!("refused: {why}"))
            .or(report.achieved.clone()),
        measured: report.measured.clone(),
        effect: if report.observed && met {
            Effect::Observed
        } else {
            Effect::Unobserved
        },
        exposure: fault.exposure,
        applied: report.applied.unwrap_or_default().as_secs_f64(),
        reverted: report.reverted.map(|at| at.as_secs_f64()),
        inject_ms: report.inject.as_secs_f64() * 1e3,
        revert_ms: report.revert.map(|took| took.as_secs_f64() * 1e3),
        residue: report.residue.clone(),
    })
}

/// Upper bound in milliseconds and count; bounds are powers of ten, twenty to the decade.
fn buckets(windows: &[Window]) -> Vec<(f64, u64)> {
    let mut counts: BTreeMap<i32, u64> = BTreeMap::new();
    for window in windows {
        for value in window.latency.iter_recorded() {
            let decades = millis(value.value_iterated_to()).max(1e-3).log10();
            let bucket = (decades * f64::from(BUCKETS_PER_DECADE)).ceil() as i32;
            *counts.entry(bucket).or_default() += value.count_at_value();
        }
    }
    counts
        .into_iter()
        .map(|(bucket, count)| {
            (
                10f64.powf(f64::from(bucket) / f64::from(BUCKETS_PER_DECADE)),
                count,
            )
        })
        .collect()
}

pub(super) fn late_share(windows: &[Window]) -> f64 {
    let late: u64 = windows.iter().map(|window| window.late).sum();
    let all: u64 = windows
        .iter()
        .map(|window| window.good + window.degraded + window.bad)
        .sum();
    if all == 0 {
        0.0
    } else {
        late as f64 / all as f64
    }
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}
