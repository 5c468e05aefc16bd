//! Where the phases begin and end, and what the KPIs did in each.

use std::time::Duration;

use firedrill_experiment::call::KpiSource;
use firedrill_experiment::document::{Expectation, Expected, Kpi};
use firedrill_experiment::journal::{Outcome, Phase};
use firedrill_judge::{Degraded, HarmWatch, Judgement, Objective, Tally, Window, judge, recovered};

use super::{Harms, IN_FLIGHT, Stream, WELL_FOR, Watch};
use crate::asked::{expected, objective};
use crate::verdict::{Evidence, FaultEvidence, Finding};

/// A stretch of the drill, in time since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) phase: Phase,
    pub(super) start: Duration,
    pub(super) end: Duration,
}

/// Why a drill does not go on after its baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    Unhealthy(String),
    /// Too little was seen to say.
    Undecided(String),
}

/// Watches for harm, in the terms of the expectation.
pub(super) fn harms(kpi: &Kpi, expect: &Expectation) -> Harms {
    let watch = |phase| {
        let (objective, degraded) = expected(kpi, expect, phase);
        HarmWatch::new(&objective, kpi.confidence, degraded)
    };
    Harms {
        transition: watch(Phase::Transition),
        fault: watch(Phase::Fault),
    }
}

impl Watch {
    pub(super) fn disturbance_began(&self) -> Option<Duration> {
        let faults = self.0.faults.borrow();
        let applied = faults.values().filter_map(|fault| {
            fault
                .report
                .as_ref()
                .and_then(|r| r.applied)
                .or(fault.applied)
        });
        applied.chain(self.0.opaque_began.get()).min()
    }

    /// `None` while something is in place, or if nothing ever was.
    pub(super) fn disturbance_ended(&self) -> Option<Duration> {
        let faults = self.0.faults.borrow();
        let mut last = None;
        for fault in faults.values() {
            let report = fault.report.as_ref()?;
            last = last.max(report.reverted.filter(|_| report.applied.is_some()));
        }
        if self.0.opaque_began.get().is_some() {
            last = last.max(Some(self.0.opaque_over.get()?));
        }
        last
    }

    pub(super) fn fault_phase_began(&self) -> Option<Duration> {
        Some(self.disturbance_began()? + self.0.expect.transition)
    }

    pub(super) fn baseline_problem(&self, begin: Duration, end: Duration) -> Option<Problem> {
        let stretch = Stretch {
            phase: Phase::Baseline,
            start: begin,
            end,
        };
        (0..self.0.kpis.len()).find_map(|kpi| {
            let judgement = self.judge(kpi, stretch)?;
            let said = judgement.findings.join(" ");
            let trouble = self
                .0
                .streams
                .borrow()
                .get(kpi)
                .and_then(|stream| stream.trouble.clone());
            let name = &self.0.kpis[kpi].name;
            if let Some(trouble) = trouble {
                return Some(Problem::Undecided(format!("`{name}`: {trouble}")));
            }
            match judgement.outcome {
                firedrill_judge::Outcome::Met => None,
                firedrill_judge::Outcome::Missed => {
                    Some(Problem::Unhealthy(format!("`{name}`: {said}")))
                }
                firedrill_judge::Outcome::Undecided => {
                    Some(Problem::Undecided(format!("`{name}`: {said}")))
                }
            }
        })
    }

    /// How long after the end of the fault every KPI was well again.
    pub(super) fn recovery_time(&self, over: Duration) -> Option<Duration> {
        let streams = self.0.streams.borrow();
        let times = self.0.kpis.iter().zip(streams.iter()).map(|(kpi, stream)| {
            let (objective, degraded) = expected(kpi, &self.0.expect, Phase::Recovery);
            // A counter that lags still tells of the fault when that is gone.
            let lag = lag(stream);
            let windows: Vec<Window> = match lag.is_zero() {
                true => stream.windows.clone(),
                false => {
                    let since = stream.windows.iter().filter(|w| w.start >= over + lag);
                    since.cloned().collect()
                }
            };
            recovered(over, &windows, &objective, WELL_FOR, degraded)
        });
        times.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    pub(super) fn stretches(&self) -> Vec<Stretch> {
        let Some(since) = self.0.watching_since.get() else {
            return Vec::new();
        };
        let now = self.0.core.now();
        let Some(began) = self.disturbance_began() else {
            return vec![Stretch {
                phase: Phase::Baseline,
                start: since,
                end: now,
            }];
        };
        let over = self.disturbance_ended().unwrap_or(now);
        let settled = (began + self.0.expect.transition).min(over);
        let mut stretches = vec![Stretch {
            phase: Phase::Baseline,
            start: since,
            end: began,
        }];
        if settled > began {
            stretches.push(Stretch {
                phase: Phase::Transition,
                start: began,
                end: settled,
            });
        }
        if over > settled {
            stretches.push(Stretch {
                phase: Phase::Fault,
                start: settled,
                end: over,
            });
        }
        stretches.push(Stretch {
            phase: Phase::Recovery,
            start: over,
            end: self.last_seen().max(over),
        });
        stretches
    }

    fn last_seen(&self) -> Duration {
        let streams = self.0.streams.borrow();
        let ends = streams
            .iter()
            .filter_map(|stream| stream.windows.last().map(|last| last.start + last.length));
        ends.max().unwrap_or_default()
    }

    /// The windows of a stretch. Requests that a coming fault may catch in flight count with it,
    /// and so does what a counter tells of it later.
    pub(super) fn windows_in(&self, kpi: usize, stretch: Stretch) -> Vec<Window> {
        let streams = self.0.streams.borrow();
        let Some(stream) = streams.get(kpi) else {
            return Vec::new();
        };
        let (mut start, mut end) = (stretch.start, stretch.end);
        if self.disturbance_began().is_some() {
            let (early, late) = (early(stream), late(stream));
            let is_first = stretch.phase == Phase::Transition
                || stretch.phase == Phase::Fault && self.0.expect.transition.is_zero();
            match stretch.phase {
                Phase::Baseline => end = end.saturating_sub(early),
                _ if is_first => start = start.saturating_sub(early),
                Phase::Transition | Phase::Fault | Phase::Recovery => start += late,
            }
            if matches!(stretch.phase, Phase::Transition | Phase::Fault) {
                end += late;
            }
        }
        stream
            .windows
            .iter()
            .filter(|w| middle(w) >= start && (middle(w) < end || stretch.phase == Phase::Recovery))
            .cloned()
            .collect()
    }

    /// The harm that this window proves, in the terms of the phase that it is in.
    pub(super) fn harm_in(&self, kpi: usize, window: &Window) -> Option<String> {
        let began = self.disturbance_began()?;
        let (settled, over) = (self.fault_phase_began()?, self.disturbance_ended());
        let mut streams = self.0.streams.borrow_mut();
        let stream = streams.get_mut(kpi)?;
        let (early, lag) = (early(stream), lag(stream));
        let harms = stream.harm.as_mut()?;
        let end = window.start + window.length;
        let is_over = over.is_some_and(|over| end > over);
        let watch = if is_over {
            return None;
        } else if window.start >= settled + lag {
            &mut harms.fault
        } else if middle(window) >= began.saturating_sub(early) && middle(window) < settled {
            &mut harms.transition
        } else {
            return None;
        };
        watch.observe(window).map(|harm| harm.finding.clone())
    }

    /// `None`: nothing is asked of the KPI in this phase, or nothing was seen of it.
    pub(super) fn judge(&self, kpi: usize, stretch: Stretch) -> Option<Judgement> {
        let definition = self.0.kpis.get(kpi)?;
        let (objective, degraded) = expected(definition, &self.0.expect, stretch.phase);
        let mut tally = Tally::new();
        for window in self.windows_in(kpi, stretch) {
            tally.push(&window);
        }
        Some(judge(&objective, &tally, definition.confidence, degraded))
    }

    /// The outcome of a KPI in a stretch, as the verdict counts it.
    pub(super) fn outcome(&self, kpi: usize, stretch: Stretch) -> (Outcome, Vec<String>) {
        let Some(judgement) = self.judge(kpi, stretch) else {
            return (Outcome::Undecided, Vec::new());
        };
        match stretch.phase {
            Phase::Recovery => match self.0.recovered_after.get() {
                Some(took) => self.recovered(kpi, stretch, took),
                None => match self.0.lost.borrow().clone() {
                    Some(why) => (Outcome::Missed, vec![why]),
                    None => (
                        Outcome::Undecided,
                        vec!["The drill ended before a recovery could be seen.".into()],
                    ),
                },
            },
            // Without a worst window there is nothing to judge in a transition.
            Phase::Transition if judgement.findings.is_empty() => (Outcome::Met, Vec::new()),
            Phase::Fault if self.0.expect.during == Expected::Degrade => {
                self.degraded(kpi, stretch, judgement)
            }
            _ => (outcome(judgement.outcome), judgement.findings),
        }
    }

    /// It came back in time; what that cost is judged where the document says.
    fn recovered(&self, kpi: usize, stretch: Stretch, took: Duration) -> (Outcome, Vec<String>) {
        let well = format!(
            "Well again {:.1} s after the fault's end.",
            took.as_secs_f64()
        );
        let own = self
            .0
            .kpis
            .get(kpi)
            .map(|kpi| (objective(&kpi.phases.recovery), kpi.confidence));
        let Some((own, confidence)) = own.filter(|(own, _)| *own != Objective::default()) else {
            return (Outcome::Met, vec![well]);
        };
        let mut tally = Tally::new();
        for window in self.windows_in(kpi, stretch) {
            tally.push(&window);
        }
        let judged = judge(&own, &tally, confidence, Degraded::Bad);
        let said = [vec![well], judged.findings].concat();
        (outcome(judged.outcome), said)
    }

    /// A system that should degrade, and shows no degraded answer, was not tested.
    fn degraded(
        &self,
        kpi: usize,
        stretch: Stretch,
        judgement: Judgement,
    ) -> (Outcome, Vec<String>) {
        let degraded: u64 = self
            .windows_in(kpi, stretch)
            .iter()
            .map(|window| window.degraded)
            .sum();
        let mut findings = judgement.findings;
        if degraded == 0 && judgement.outcome == firedrill_judge::Outcome::Met {
            findings.push(
                "No answer was degraded, although the fault should have made the system degrade."
                    .into(),
            );
            return (Outcome::Undecided, findings);
        }
        findings.push(format!(
            "{degraded} answers came with reduced functionality."
        ));
        (outcome(judgement.outcome), findings)
    }

    pub(crate) fn evidence(&self) -> Evidence {
        let mut findings = Vec::new();
        let disturbed = self.disturbance_began().is_some();
        for stretch in self.stretches() {
            if !disturbed
                || (stretch.phase == Phase::Recovery
                    && self.0.lost.borrow().is_none()
                    && self.0.recovered_after.get().is_none())
            {
                continue;
            }
            for (kpi, definition) in self.0.kpis.iter().enumerate() {
                let (outcome, said) = self.outcome(kpi, stretch);
                let judged = self.judge(kpi, stretch);
                let sentences = match judged {
                    Some(judged)
                        if outcome == Outcome::Missed && stretch.phase != Phase::Recovery =>
                    {
                        judged.decisive()
                    }
                    _ => said,
                };
                let lost = stretch.phase == Phase::Recovery && self.0.lost.borrow().is_some();
                if !lost && stretch.phase != Phase::Baseline {
                    findings.push(Finding {
                        phase: stretch.phase,
                        kpi: definition.name.clone(),
                        outcome,
                        sentences,
                    });
                }
            }
        }
        Evidence {
            findings,
            not_recovered: self.0.lost.borrow().clone(),
            faults: self.fault_evidence(),
            opaque_actions: self
                .0
                .actions
                .borrow()
                .iter()
                .filter(|a| a.undo_class == firedrill_experiment::document::UndoClass::Opaque)
                .count(),
            trouble: self.trouble(),
            harm: self.0.harm.borrow().clone(),
        }
    }

    fn fault_evidence(&self) -> Vec<FaultEvidence> {
        let faults = self.0.faults.borrow();
        faults
            .values()
            .filter_map(|fault| {
                let report = fault.report.as_ref()?;
                Some(FaultEvidence {
                    name: fault.activity.clone(),
                    refused: report.refused.clone(),
                    observed: report.observed,
                    exposure: fault.exposure,
                    exposure_unread: fault.counts_exposure && fault.exposure.is_none(),
                    residue: report.residue.clone(),
                })
            })
            .collect()
    }

    /// A generator that cannot keep its own schedule measures itself.
    fn trouble(&self) -> Vec<String> {
        const LATE_MAX: f64 = 0.01;
        let streams = self.0.streams.borrow();
        let mut trouble = Vec::new();
        for (kpi, stream) in self.0.kpis.iter().zip(streams.iter()) {
            trouble.extend(
                stream
                    .trouble
                    .iter()
                    .map(|what| format!("`{}` could not be watched to the end: {what}", kpi.name)),
            );
            trouble.extend(stream.resets.iter().map(|at| {
                format!(
                    "`{}`: its counters began anew {:.1} s into the drill, so what came just before is not known.",
                    kpi.name,
                    at.as_secs_f64()
                )
            }));
            let late = super::describe::late_share(&stream.windows);
            if late > LATE_MAX {
                trouble.push(format!(
                    "`{}`: the load generator sent {:.1} % of its requests late, so it may have measured itself.",
                    kpi.name,
                    late * 100.0
                ));
            }
            if !stream.ended && self.0.watching_since.get().is_some() {
                trouble.push(format!(
                    "`{}`: the stream did not say what it saw in time.",
                    kpi.name
                ));
            }
        }
        trouble
    }
}

fn middle(window: &Window) -> Duration {
    window.start + window.length / 2
}

/// Half of the time between two readings: where a window lies across an edge, its middle may be on
/// either side of it.
fn half_interval(stream: &Stream) -> Option<Duration> {
    match stream.source.as_ref()? {
        KpiSource::Load(_) => None,
        KpiSource::Counters(call) => Some(call.interval / 2),
    }
}

/// How long before a fault begins a window may have its middle and hold requests that met it.
fn early(stream: &Stream) -> Duration {
    half_interval(stream).unwrap_or(IN_FLIGHT)
}

/// How long after an edge a window may have its middle and hold requests from before it.
fn late(stream: &Stream) -> Duration {
    half_interval(stream).unwrap_or_default() + lag(stream)
}

fn lag(stream: &Stream) -> Duration {
    stream
        .source
        .as_ref()
        .map_or(Duration::ZERO, KpiSource::lag)
}

pub(super) fn outcome(outcome: firedrill_judge::Outcome) -> Outcome {
    match outcome {
        firedrill_judge::Outcome::Met => Outcome::Met,
        firedrill_judge::Outcome::Missed => Outcome::Missed,
        firedrill_judge::Outcome::Undecided => Outcome::Undecided,
    }
}
