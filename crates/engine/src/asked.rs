//! What each phase asks of a KPI.

use firedrill_experiment::document::{Expectation, Expected, Kpi, Objective as Wanted};
use firedrill_experiment::journal::Phase;
use firedrill_judge::{Degraded, Objective};

/// What one phase asks of a KPI.
pub fn expected(kpi: &Kpi, expect: &Expectation, phase: Phase) -> (Objective, Degraded) {
    let full = objective(&kpi.objective);
    // The burst of a failover is bounded by counts; an average would hide it.
    let counts = Objective {
        worst_window: full.worst_window,
        bad_max: full.bad_max,
        ..Objective::default()
    };
    let (asked, degraded) = match (phase, expect.during) {
        (Phase::Baseline | Phase::Recovery, _) | (Phase::Fault, Expected::Continue) => {
            (full, Degraded::Bad)
        }
        (Phase::Transition, Expected::Continue) => (counts, Degraded::Bad),
        (Phase::Transition, Expected::Degrade) => (counts, Degraded::Good),
        (Phase::Fault, Expected::Degrade) => (full, Degraded::Good),
        (Phase::Transition, Expected::Stop { .. }) => (Objective::default(), Degraded::Bad),
        (Phase::Fault, Expected::Stop { success_ratio_max }) => (
            Objective {
                success_ratio_max: Some(success_ratio_max),
                ..Objective::default()
            },
            Degraded::Good,
        ),
    };
    let own = match phase {
        Phase::Baseline => &kpi.phases.baseline,
        Phase::Transition => &kpi.phases.transition,
        Phase::Fault => &kpi.phases.fault,
        Phase::Recovery => &kpi.phases.recovery,
    };
    let own = objective(own);
    let asked = Objective {
        success_ratio_min: own.success_ratio_min.or(asked.success_ratio_min),
        success_ratio_max: asked.success_ratio_max,
        latency: own.latency.or(asked.latency),
        worst_window: own.worst_window.or(asked.worst_window),
        bad_max: own.bad_max.or(asked.bad_max),
    };
    (asked, degraded)
}

/// What the judge is asked, as the document says it.
pub(crate) fn objective(wanted: &Wanted) -> Objective {
    Objective {
        success_ratio_min: wanted.success_ratio_min,
        success_ratio_max: None,
        latency: wanted.latency,
        worst_window: wanted.worst_window,
        bad_max: wanted.bad_max,
    }
}
