//! Where the phases begin and end, and what the KPIs did in each.

use std::time::Duration;

use firedrill_experiment::document::{Expectation, Expected, Kpi, Objective as Wanted};
use firedrill_experiment::journal::{Outcome, Phase};
use firedrill_judge::{Degraded, HarmWatch, Judgement, Objective, Tally, Window, judge, recovered};

use super::{IN_FLIGHT, WELL_FOR, Watch};
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

/// Watches for harm under the fault, in the terms of the expectation.
pub(super) fn harm_watch(kpi: &Kpi, expect: &Expectation) -> HarmWatch {
    let (objective, degraded) = expected(kpi, expect, Phase::Fault);
    HarmWatch::new(&objective, kpi.confidence, degraded)
}

/// What one phase asks of a KPI.
fn expected(kpi: &Kpi, expect: &Expectation, phase: Phase) -> (Objective, Degraded) {
    let Wanted {
        success_ratio_min,
        latency,
        worst_window,
    } = kpi.objective;
    let full = Objective {
        success_ratio_min,
        success_ratio_max: None,
        latency,
        worst_window,
    };
    match (phase, expect.during) {
        (Phase::Baseline | Phase::Recovery, _) | (Phase::Fault, Expected::Continue) => {
            (full, Degraded::Bad)
        }
        // The burst of a failover is bounded by its worst window; an average would hide it.
        (Phase::Transition, Expected::Continue) => (
            Objective {
                worst_window,
                ..Objective::default()
            },
            Degraded::Bad,
        ),
        (Phase::Transition, Expected::Degrade) => (
            Objective {
                worst_window,
                ..Objective::default()
            },
            Degraded::Good,
        ),
        (Phase::Fault, Expected::Degrade) => (full, Degraded::Good),
        (Phase::Transition, Expected::Stop { .. }) => (Objective::default(), Degraded::Bad),
        (Phase::Fault, Expected::Stop { success_ratio_max }) => (
            Objective {
                success_ratio_max: Some(success_ratio_max),
                ..Objective::default()
            },
            Degraded::Good,
        ),
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
            recovered(over, &stream.windows, &objective, WELL_FOR, degraded)
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

    /// The windows of a stretch. Requests that a coming fault may catch in flight count with it.
    pub(super) fn windows_in(&self, kpi: usize, stretch: Stretch) -> Vec<Window> {
        let shift = |phase: Phase, edge: Duration, is_start: bool| match (phase, is_start) {
            (Phase::Baseline, false) | (Phase::Transition, true) => edge.saturating_sub(IN_FLIGHT),
            _ => edge,
        };
        let disturbed = self.disturbance_began().is_some();
        let (mut start, mut end) = (stretch.start, stretch.end);
        if disturbed {
            start = shift(stretch.phase, start, true);
            end = shift(stretch.phase, end, false);
            if stretch.phase == Phase::Fault && self.0.expect.transition.is_zero() {
                start = start.saturating_sub(IN_FLIGHT);
            }
        }
        let streams = self.0.streams.borrow();
        let Some(stream) = streams.get(kpi) else {
            return Vec::new();
        };
        let middle = |window: &Window| window.start + window.length / 2;
        stream
            .windows
            .iter()
            .filter(|w| middle(w) >= start && middle(w) < end)
            .cloned()
            .collect()
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
                Some(took) => (
                    Outcome::Met,
                    vec![format!(
                        "Well again {:.1} s after the fault's end.",
                        took.as_secs_f64()
                    )],
                ),
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
                    Some(judged) if outcome == Outcome::Missed => judged.decisive(),
                    _ => said,
                };
                let lost = stretch.phase == Phase::Recovery && outcome == Outcome::Missed;
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

pub(super) fn outcome(outcome: firedrill_judge::Outcome) -> Outcome {
    match outcome {
        firedrill_judge::Outcome::Met => Outcome::Met,
        firedrill_judge::Outcome::Missed => Outcome::Missed,
        firedrill_judge::Outcome::Undecided => Outcome::Undecided,
    }
}
