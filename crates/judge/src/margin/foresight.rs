//! What an answer takes, by playing the search on a system that is as clear as can be.

use super::answer::End;
use super::machine::{Entry, Margin, Recovery, Step};
use super::question::{Question, Wrong};
use super::trial::{Approach, Ask, Trial, TrialRecord, Verdict};

/// A search that was played, and not made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Foreseen {
    /// Trials that are borne, and that are not.
    pub held: u32,
    pub broke: u32,
    pub bad_events: u64,
    pub end: End,
}

/// Plays the question: each trial below `breaks_at` has good requests alone, each at or above it
/// bad ones alone, and ends with the fewest that prove it. Without `breaks_at` all is borne. Each
/// trial that breaks costs `unseen` bad events on top, which are told after its end.
///
/// # Errors
/// Why the question cannot be asked.
pub fn foresee(
    question: &Question,
    breaks_at: Option<f64>,
    unseen: u64,
) -> Result<Foreseen, Wrong> {
    let mut margin = Margin::new(question.clone())?;
    let to_hold = question.requests_to_hold();
    let (mut held, mut broke) = (0, 0);
    let end = loop {
        let entry = match margin.step() {
            Step::Stop(end) => break *end,
            Step::Recover { .. } => Entry::Recovery(Recovery {
                recovered: true,
                bad: if last_is_broken(&margin) { unseen } else { 0 },
            }),
            Step::Try(ask) => {
                let is_broken = breaks_at.is_some_and(|at| ask.magnitude >= at);
                *(if is_broken { &mut broke } else { &mut held }) += 1;
                Entry::Trial(play(ask, is_broken, to_hold))
            }
        };
        // It is what was asked for.
        if margin.record(entry).is_err() {
            break End::NotAnswered(super::Unanswered::TrialsSpent);
        }
    };
    Ok(Foreseen {
        held,
        broke,
        bad_events: margin.answer().bad_events,
        end,
    })
}

fn last_is_broken(margin: &Margin) -> bool {
    matches!(margin.journal().last(), Some(Entry::Trial(trial))
        if trial.bad > 0 || trial.approach != Approach::Below)
}

fn play(ask: &Ask, is_broken: bool, to_hold: u64) -> TrialRecord {
    let mut trial = Trial::new(ask);
    if !is_broken {
        let record = trial.observe(ask.dwell.min, 0, to_hold);
        return record.unwrap_or_else(|| trial.ended(Verdict::Hold));
    }
    loop {
        // The cap ends it at the latest.
        if let Some(record) = trial.observe(ask.dwell.min, 1, 0) {
            return record;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::margin::{Aim, Budget, Dwell, Scale, Target, Unanswered};

    fn question(aim: Aim) -> Question {
        Question {
            lowest: 10.0,
            largest: 1_000.0,
            scale: Scale::Log,
            resolution: 0.25,
            bad_rate_max: 0.01,
            alpha: 0.05,
            aim,
            normal: None,
            dwell: Dwell {
                min: Duration::from_secs(1),
                max: Duration::from_secs(20),
            },
            budget: Budget {
                bad_events_max: 1_000,
                bad_events_per_trial_max: 100,
                trials_max: 60,
                unseen_max: 0,
                before_max: 0,
            },
            recovery_within: Duration::from_secs(10),
        }
    }

    const SEARCH: Aim = Aim::Search {
        jump_max: 2.0,
        hysteresis: false,
    };

    #[test]
    fn a_certificate_that_holds_costs_nothing_and_a_search_costs_its_breaks() {
        let target = Target::Magnitude(100.0);
        let certify = Aim::Certify {
            target,
            risk_max: 0.1,
        };
        let proven = foresee(&question(certify), None, 50).unwrap();
        assert_eq!((proven.end, proven.bad_events), (End::Proven, 0));
        assert!(proven.held > 1 && proven.broke == 0, "{proven:?}");

        let found = foresee(&question(SEARCH), Some(100.0), 0).unwrap();
        let unseen = foresee(&question(SEARCH), Some(100.0), 20).unwrap();
        assert_eq!(found.end, End::Found);
        assert!(found.broke > 0 && found.bad_events > 0, "{found:?}");
        assert_eq!(
            unseen.bad_events,
            found.bad_events + 20 * u64::from(found.broke)
        );
    }

    #[test]
    fn what_is_spent_unseen_is_kept_back_from_every_trial_and_from_the_budget() {
        let mut asked = question(SEARCH);
        asked.budget.unseen_max = 99;
        let Step::Try(ask) = Margin::new(asked.clone()).unwrap().step().clone() else {
            panic!()
        };
        assert_eq!(ask.bad_events_max, 1);
        (asked.budget.unseen_max, asked.budget.before_max) = (60, 40);
        let refused = Margin::new(asked.clone()).unwrap_err();
        assert!(matches!(refused, Wrong::Unseen { most: 100, .. }));

        // A budget of 300 with 90 to be seen late: nothing begins once 210 are spent.
        asked.budget.bad_events_max = 300;
        (asked.budget.unseen_max, asked.budget.before_max) = (90, 0);
        let spent = foresee(&asked, Some(100.0), 90).unwrap();
        assert_eq!(spent.end, End::NotAnswered(Unanswered::BadEventsSpent));
        assert!(
            (210..=300).contains(&spent.bad_events),
            "never more than all: {spent:?}"
        );
    }
}
