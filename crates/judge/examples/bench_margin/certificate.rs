//! Certificates: is it at least this much? Ours, and a ramp up to the target.

use std::error::Error;

use firedrill_judge::margin::{Aim, End, Entry, Margin, Question, Recovery, Step, Target};

use crate::search::{breaks, step};
use crate::system::{Cost, System, magnitude};

/// How far the target lies from the break point, as a share of the axis.
const AWAY: f64 = 0.1;

/// What one run said of a target that is known to hold, or known to break.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Certified {
    /// Absent without an answer.
    pub(crate) right: Option<bool>,
    pub(crate) cost: Cost,
}

pub(crate) fn ours(
    question: &Question,
    system: &mut System,
    holds: bool,
) -> Result<Certified, Box<dyn Error>> {
    let target = magnitude(question, target(system, holds));
    let question = Question {
        aim: Aim::Certify {
            target: Target::Magnitude(target),
            risk_max: 0.2,
        },
        ..question.clone()
    };
    let mut margin = Margin::new(question.clone())?;
    let mut cost = Cost::default();
    let right = loop {
        let entry = match margin.step() {
            Step::Try(ask) => Entry::Trial(system.trial(ask, &question, &mut cost)),
            Step::Recover { .. } => Entry::Recovery(Recovery {
                recovered: true,
                bad: 0,
            }),
            Step::Stop(End::Proven) => break Some(holds),
            Step::Stop(End::Disproven { .. }) => break Some(!holds),
            Step::Stop(_) => break None,
        };
        margin.record(entry)?;
    };
    Ok(Certified { right, cost })
}

/// Goes up by the resolution, and at last to the target itself.
pub(crate) fn ramp(question: &Question, system: &mut System, holds: bool) -> Certified {
    let target = target(system, holds);
    let mut cost = Cost::default();
    let mut at = 0.0;
    let broke = loop {
        if breaks(question, system, at, &mut cost) {
            break true;
        }
        if at >= target {
            break false;
        }
        at = (at + step(question)).min(target);
    };
    Certified {
        right: Some(broke != holds),
        cost,
    }
}

fn target(system: &System, holds: bool) -> f64 {
    system.break_point() + if holds { -AWAY } else { AWAY }
}
