//! Whatever a system answers: no panic, no number that is none, no limit passed, no claim
//! beyond what was tried.

use std::time::Duration;

use firedrill_judge::margin::{
    Aim, Approach, Ask, End, Entry, Margin, Question, Recovery, Scale, Step, Target, Trial,
    TrialRecord, Verdict,
};
use proptest::prelude::*;

use super::{RECOVERED, system, trials};

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Hold),
        Just(Verdict::Break),
        Just(Verdict::NotYet)
    ]
}

fn answers() -> impl Strategy<Value = Vec<(Verdict, u64, Option<u64>, u64, bool)>> {
    let count = || prop_oneof![0_u64..50, any::<u64>()];
    let good = prop_oneof![Just(None), count().prop_map(Some)];
    prop::collection::vec(
        (
            verdicts(),
            count(),
            good,
            0_u64..3,
            prop::bool::weighted(0.98),
        ),
        1..80,
    )
}

fn questions() -> impl Strategy<Value = Question> {
    let aim = prop_oneof![
        (0.01_f64..0.9, 0.1_f64..=1.0).prop_map(|(risk_max, share)| Aim::Certify {
            target: Target::Magnitude(1_000.0 * share),
            risk_max,
        }),
        (1.5_f64..300.0, any::<bool>()).prop_map(|(jump, hysteresis)| Aim::Search {
            jump_max: 50.0 + jump,
            hysteresis,
        }),
    ];
    (aim, any::<bool>(), 1e-6_f64..0.99, 1_u64..200, 1_u32..70).prop_map(
        |(aim, is_log, bad_rate_max, bad_events_max, trials_max)| {
            let scale = if is_log { Scale::Log } else { Scale::Linear };
            let mut question = Question {
                aim,
                bad_rate_max,
                ..system::question(scale)
            };
            question.budget.bad_events_max = bad_events_max;
            question.budget.bad_events_per_trial_max = 20;
            question.budget.trials_max = trials_max;
            question
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_answers_of_a_system_bring_it_down_or_beyond_its_limits(
        question in questions(), answers in answers(),
    ) {
        let mut margin = Margin::new(question.clone()).unwrap();
        let mut answers = answers.into_iter();
        loop {
            let entry = match margin.step() {
                Step::Stop(_) => break,
                Step::Recover { .. } => {
                    let Some((.., bad, recovered)) = answers.next() else { break };
                    Entry::Recovery(Recovery { recovered, bad })
                }
                Step::Try(ask) => {
                    let highest = question.target().unwrap().unwrap_or(question.largest);
                    prop_assert!(ask.magnitude >= question.lowest && ask.magnitude <= highest);
                    if let Approach::Above { from } = ask.approach {
                        prop_assert!(from > ask.magnitude && from <= question.largest);
                    }
                    check_safety(&margin, ask)?;
                    let left = question.budget.bad_events_max - margin.answer().bad_events;
                    prop_assert!(ask.bad_events_max > 0 && ask.bad_events_max <= left.min(20));
                    let Some((verdict, bad, good, bad_before, _)) = answers.next() else { break };
                    let bad = bad.min(ask.bad_events_max);
                    Entry::Trial(TrialRecord {
                        magnitude: ask.magnitude, approach: ask.approach, verdict, bad, good, bad_before,
                    })
                }
            };
            margin.record(entry).unwrap();
            check(&margin)?;
        }
        let mut again = Margin::new(question).unwrap();
        again.replay(margin.journal()).unwrap();
        prop_assert_eq!(again, margin);
    }

    #[test]
    fn a_system_looked_at_after_every_request_never_costs_more_than_the_budget(
        question in questions(), rates in prop::collection::vec(0.0_f64..1.0, 70), seed in any::<u64>(),
    ) {
        let mut margin = Margin::new(question.clone()).unwrap();
        let mut rates = rates.into_iter();
        let mut drawn = seed;
        while let (Step::Try(ask), Some(rate)) = (margin.step().clone(), rates.next()) {
            let mut trial = Trial::new(&ask);
            let mut requests = 0;
            let record = loop {
                drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let is_bad = ((drawn >> 33) as f64 / f64::from(u32::MAX >> 1)) < rate * rate;
                requests += 1;
                let elapsed = Duration::from_millis(requests * 200);
                if let Some(record) = trial.observe(elapsed, u64::from(is_bad), u64::from(!is_bad)) {
                    break record;
                }
            };
            margin.record(Entry::Trial(record)).unwrap();
            margin.record(RECOVERED).unwrap();
            prop_assert!(margin.answer().bad_events <= question.budget.bad_events_max);
        }
    }
}

/// No trial from below goes further than its aim allows.
fn check_safety(margin: &Margin, ask: &Ask) -> Result<(), TestCaseError> {
    let question = margin.question();
    let tried = trials(margin);
    let ascending = tried.iter().filter(|t| t.approach == Approach::Below);
    let held = ascending.filter(|t| t.verdict == Verdict::Hold);
    let highest = held.map(|t| t.magnitude).reduce(f64::max);
    match question.aim {
        Aim::Certify { .. } if tried.is_empty() => {
            prop_assert_eq!(ask.magnitude, question.lowest);
        }
        Aim::Certify { risk_max, .. } => {
            let risk = margin.risk().unwrap();
            prop_assert!(risk <= risk_max, "{risk} at {}", ask.magnitude);
        }
        Aim::Search { .. } if ask.approach != Approach::Below => {}
        Aim::Search { jump_max, .. } => {
            let reach = match question.scale {
                Scale::Linear => highest.map(|held| held + jump_max),
                Scale::Log => highest.map(|held| held * jump_max),
            };
            prop_assert!(ask.magnitude <= reach.unwrap_or(question.lowest));
        }
    }
    Ok(())
}

/// What must be true of every answer.
fn check(margin: &Margin) -> Result<(), TestCaseError> {
    let answer = margin.answer();
    let interval = answer.break_point;
    let tried: Vec<f64> = trials(margin).iter().map(|t| t.magnitude).collect();
    for end in [interval.low, interval.high, answer.held]
        .into_iter()
        .flatten()
    {
        prop_assert!(tried.contains(&end), "{end} was never tried: {tried:?}");
    }
    if let (Some(low), Some(high)) = (interval.low, interval.high) {
        prop_assert!(low <= high, "{interval:?}");
    }
    if answer.end == Some(End::Proven) {
        let target = margin.question().target().unwrap().unwrap();
        let held = |t: &TrialRecord| t.magnitude == target && t.verdict == Verdict::Hold;
        prop_assert!(trials(margin).iter().any(held));
        prop_assert!(trials(margin).iter().all(|t| t.verdict != Verdict::Break));
    }
    let plotted = margin.plotted();
    let sum: f64 = plotted.cells.iter().map(|(.., p)| p).sum();
    prop_assert!((sum + plotted.below_lowest + plotted.beyond_highest - 1.0).abs() < 1e-9);
    prop_assert!(
        plotted
            .cells
            .iter()
            .all(|(from, to, p)| from < to && *p >= 0.0)
    );
    Ok(())
}
