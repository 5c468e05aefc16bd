//! Ours and its peers, each on one system until it has an interval.

use firedrill_judge::margin::{Approach, Ask, Entry, Margin, Question, Recovery, Step, Verdict};

use crate::system::{Cost, System, magnitude, place};

/// What one run found, in shares of the axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The break point at the end of the run.
    pub(crate) truth: f64,
    pub(crate) cost: Cost,
    pub(crate) answered: bool,
    pub(crate) within_budget: bool,
}

impl Found {
    pub(crate) fn covers(&self) -> bool {
        self.low - 1e-9 <= self.truth && self.truth <= self.high + 1e-9
    }
}

/// The adaptive search; every system recovers at once.
pub(crate) fn adaptive(
    question: &Question,
    system: &mut System,
) -> Result<Found, Box<dyn std::error::Error>> {
    let mut margin = Margin::new(question.clone())?;
    let mut cost = Cost::default();
    let answered = loop {
        let entry = match margin.step() {
            Step::Try(ask) => Entry::Trial(system.trial(ask, question, &mut cost)),
            Step::Recover { .. } => Entry::Recovery(Recovery {
                recovered: true,
                bad: system.unseen(),
            }),
            Step::Stop(end) => break !matches!(end, firedrill_judge::margin::End::NotAnswered(_)),
        };
        margin.record(entry)?;
    };
    let interval = margin.answer().break_point;
    Ok(Found {
        low: interval.low.map_or(0.0, |m| place(question, m)),
        high: interval.high.map_or(1.0, |m| place(question, m)),
        truth: system.break_point(),
        cost,
        answered,
        within_budget: cost.bad <= question.budget.bad_events_max,
    })
}

/// Halves what lies between a magnitude that held and one that broke, from the whole axis on.
/// The ends of the axis are taken for granted.
pub(crate) fn bisection(question: &Question, system: &mut System) -> Found {
    let mut cost = Cost::default();
    let (mut low, mut high) = (0.0, 1.0);
    while high - low > step(question) {
        let middle = f64::midpoint(low, high);
        if breaks(question, system, middle, &mut cost) {
            high = middle;
        } else {
            low = middle;
        }
    }
    found(low, high, system, cost)
}

/// Goes up by the resolution until something breaks.
pub(crate) fn ramp(question: &Question, system: &mut System) -> Found {
    let mut cost = Cost::default();
    let mut at = 0.0;
    while at < 1.0 && !breaks(question, system, at, &mut cost) {
        at += step(question);
    }
    found((at - step(question)).max(0.0), at, system, cost)
}

fn found(low: f64, high: f64, system: &System, cost: Cost) -> Found {
    Found {
        low,
        high,
        truth: system.break_point(),
        cost,
        answered: true,
        within_budget: true,
    }
}

/// The same trial, cut short by the same test; undecided, the rate seen decides.
pub(crate) fn breaks(question: &Question, system: &mut System, at: f64, cost: &mut Cost) -> bool {
    let ask = Ask {
        magnitude: magnitude(question, at),
        approach: Approach::Below,
        dwell: question.dwell,
        bad_events_max: question.budget.bad_events_per_trial_max,
        bad_rate_max: question.bad_rate_max,
        alpha_break: question.alpha,
        alpha_hold: question.alpha,
        carried: (0, 0),
    };
    let record = system.trial(&ask, question, cost);
    let requests = record.bad + record.good.unwrap_or(0);
    match record.verdict {
        Verdict::Break => true,
        Verdict::Hold => false,
        Verdict::NotYet => record.bad as f64 > question.bad_rate_max * requests as f64,
    }
}

/// The resolution as a share of the axis.
pub(crate) fn step(question: &Question) -> f64 {
    match question.scale {
        firedrill_judge::margin::Scale::Linear => {
            question.resolution / (question.largest - question.lowest)
        }
        firedrill_judge::margin::Scale::Log => {
            question.resolution.ln_1p() / (question.largest / question.lowest).ln()
        }
    }
}
