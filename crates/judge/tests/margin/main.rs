//! Whole searches and certificates on simulated systems, and on systems that make no sense.
#![expect(
    clippy::unwrap_used,
    reason = "what the tests share is written like the tests"
)]

mod properties;
#[path = "../../examples/bench_margin/search.rs"]
mod search;
#[path = "../../examples/bench_margin/system.rs"]
mod system;

use std::time::Duration;

use firedrill_judge::margin::{
    Aim, Ask, End, Entry, Margin, Normal, NormalIs, Question, Recovery, Refused, Scale, Step,
    Target, TrialRecord, Unanswered, Verdict, Wrong,
};
use system::{Cost, KINDS, Kind, Reading, System};

const RECOVERED: Entry = Entry::Recovery(Recovery {
    recovered: true,
    bad: 0,
});

/// Carries out every step until the machine stops.
fn run(question: &Question, system: &mut System) -> (Margin, Cost) {
    let mut margin = Margin::new(question.clone()).unwrap();
    let cost = go_on(&mut margin, question, system);
    (margin, cost)
}

fn go_on(margin: &mut Margin, question: &Question, system: &mut System) -> Cost {
    let mut cost = Cost::default();
    loop {
        let entry = match margin.step() {
            Step::Try(ask) => Entry::Trial(system.trial(ask, question, &mut cost)),
            Step::Recover { .. } => RECOVERED,
            Step::Stop(_) => return cost,
        };
        margin.record(entry).unwrap();
    }
}

fn certificate(target: f64) -> Question {
    Question {
        aim: Aim::Certify {
            target: Target::Magnitude(target),
            risk_max: 0.2,
        },
        ..system::question(Scale::Linear)
    }
}

fn end(margin: &Margin) -> End {
    match margin.step() {
        Step::Stop(end) => *end,
        other => panic!("not at its end: {other:?}"),
    }
}

fn trials(margin: &Margin) -> Vec<TrialRecord> {
    let trials = margin.journal().iter().filter_map(|entry| match entry {
        Entry::Trial(trial) => Some(*trial),
        Entry::Recovery(_) => None,
    });
    trials.collect()
}

/// As `cargo xtask bench margin` has it with 500 runs each.
#[test]
fn a_source_that_is_read_now_and_then_is_no_less_right_and_never_beyond_the_budget() {
    for reading in [Reading::seconds(1, 0), Reading::seconds(5, 15)] {
        for (name, kind) in KINDS {
            let runs = (0..6_u64).map(|seed| {
                let mut system = System::draw(kind, seed).read(reading);
                search::adaptive(&reading.asks(Scale::Log), &mut system).unwrap()
            });
            let runs: Vec<_> = runs.collect();
            assert!(runs.iter().all(|run| run.within_budget), "{name}");
            let covered = runs.iter().filter(|run| run.covers()).count();
            assert!(covered >= 5, "{name}, {reading:?}: {covered} of 6");
        }
    }
}

/// `cargo xtask bench margin` has 500 runs each; a few are enough to see it break.
#[test]
fn the_interval_covers_a_break_point_that_is_known() {
    for (name, kind) in KINDS {
        let covered = (0..8_u64).filter(|seed| {
            let scale = if seed % 2 == 0 {
                Scale::Linear
            } else {
                Scale::Log
            };
            let question = system::question(scale);
            search::adaptive(&question, &mut System::draw(kind, *seed))
                .unwrap()
                .covers()
        });
        let covered = covered.count();
        assert!(covered >= 7, "{name}: {covered} of 8");
    }
}

#[test]
fn the_peers_are_searches_too() {
    let question = system::question(Scale::Linear);
    for seed in 0..5 {
        let bisection = search::bisection(&question, &mut System::draw(Kind::Sharp, seed));
        let ramp = search::ramp(&question, &mut System::draw(Kind::Sharp, seed));
        assert!(bisection.covers() && bisection.answered, "{bisection:?}");
        assert_eq!(bisection.cost.trials, 5);
        assert!(ramp.covers() && ramp.low < ramp.high, "{ramp:?}");
        assert!(ramp.cost.beyond <= 0.05, "{ramp:?}");
    }
}

#[test]
fn a_certificate_is_proven_at_its_target_and_disproven_below() {
    for seed in 0..20 {
        let mut system = System::draw(Kind::Sharp, seed);
        let at = system.break_point() * 1_000.0;
        let (proven, cost) = run(&certificate(at * 0.9), &mut system);
        assert_eq!(end(&proven), End::Proven, "seed {seed}");
        let answer = proven.answer();
        assert_eq!(
            (answer.break_point.low, answer.break_point.high),
            (Some(at * 0.9), None)
        );
        assert!(cost.trials <= 8 && cost.bad <= 30, "{cost:?}");
        assert!(trials(&proven).iter().any(|t| t.magnitude == at * 0.9));

        let (disproven, _) = run(&certificate(1_000.0), &mut System::draw(Kind::Sharp, seed));
        let End::Disproven { at: broke } = end(&disproven) else {
            panic!("seed {seed}: {:?}", end(&disproven));
        };
        assert!(broke > at, "seed {seed}: {broke} is below {at}");
        assert_eq!(trials(&disproven).last().unwrap().verdict, Verdict::Break);
        assert_eq!(disproven.answer().break_point.high, Some(broke));
    }
}

#[test]
fn a_certificate_of_so_many_times_normal_tells_the_headroom() {
    let question = |is| Question {
        aim: Aim::Certify {
            target: Target::Times(3.0),
            risk_max: 0.2,
        },
        normal: Some(Normal { value: 100.0, is }),
        ..system::question(Scale::Linear)
    };
    for (is, target) in [(NormalIs::AddedTo, 200.0), (NormalIs::Replaced, 300.0)] {
        let seed = (0..)
            .find(|s| System::draw(Kind::Sharp, *s).break_point() > 0.4)
            .unwrap();
        let (margin, _) = run(&question(is), &mut System::draw(Kind::Sharp, seed));
        let answer = margin.answer();
        assert_eq!(answer.held, Some(target));
        let headroom = answer.headroom.unwrap();
        assert_eq!((headroom.low, headroom.times_low), (Some(200.0), Some(3.0)));
        assert_eq!(headroom.high, None);
    }
}

#[test]
fn a_system_that_remembers_is_told_from_one_that_does_not() {
    let question = Question {
        aim: Aim::Search {
            jump_max: 150.0,
            hysteresis: true,
        },
        ..system::question(Scale::Linear)
    };
    for seed in 0..8 {
        let draw = || System::draw(Kind::Sharp, seed);
        let (plain, _) = run(&question, &mut draw());
        let hysteresis = plain.answer().hysteresis.unwrap();
        assert!(!hysteresis.remembers, "seed {seed}: {hysteresis:?}");
        assert_eq!(hysteresis.difference_low, 0.0);

        let lower = draw().break_point() * 0.5;
        let (sticky, _) = run(&question, &mut draw().remembering(lower));
        assert_eq!(end(&sticky), End::Found);
        let hysteresis = sticky.answer().hysteresis.unwrap();
        let (low, high) = (
            hysteresis.from_above.low.unwrap(),
            hysteresis.from_above.high.unwrap(),
        );
        assert!(hysteresis.remembers, "seed {seed}: {hysteresis:?}");
        assert!(
            low <= lower * 1_000.0 && lower * 1_000.0 <= high,
            "{hysteresis:?}"
        );
    }
}

#[test]
fn a_search_that_finds_no_end_says_on_which_side() {
    let question = system::question(Scale::Linear);
    let answered = |verdict: Verdict| {
        let mut margin = Margin::new(question.clone()).unwrap();
        loop {
            let entry = match margin.step() {
                Step::Try(ask) => judged(ask, verdict, 1),
                Step::Recover { .. } => RECOVERED,
                Step::Stop(end) => return (*end, margin.answer().break_point),
            };
            margin.record(entry).unwrap();
        }
    };
    let (end, interval) = answered(Verdict::Hold);
    assert_eq!(
        (end, interval.low, interval.high),
        (End::BeyondLargest, Some(1_000.0), None)
    );
    let (end, interval) = answered(Verdict::Break);
    assert_eq!(
        (end, interval.low, interval.high),
        (End::BelowLowest, None, Some(0.0))
    );
}

fn judged(ask: &Ask, verdict: Verdict, bad: u64) -> Entry {
    Entry::Trial(TrialRecord {
        magnitude: ask.magnitude,
        approach: ask.approach,
        verdict,
        bad,
        good: None,
        bad_before: 0,
    })
}

#[test]
fn an_empty_budget_ends_a_search_without_an_answer() {
    let mut question = system::question(Scale::Linear);
    question.budget.bad_events_max = 10;
    let (margin, cost) = run(&question, &mut System::draw(Kind::Sharp, 3));
    assert_eq!(end(&margin), End::NotAnswered(Unanswered::BadEventsSpent));
    // A trial is looked at after every ten requests.
    assert!(cost.bad < 10 + 10, "{cost:?}");
    assert_eq!(margin.answer().bad_events, cost.bad);

    let mut question = system::question(Scale::Linear);
    question.budget.trials_max = 3;
    let (margin, cost) = run(&question, &mut System::draw(Kind::Sharp, 3));
    assert_eq!(end(&margin), End::NotAnswered(Unanswered::TrialsSpent));
    assert_eq!(cost.trials, 3);
}

#[test]
fn a_system_that_does_not_recover_is_left_alone() {
    let mut margin = Margin::new(system::question(Scale::Linear)).unwrap();
    let Step::Try(ask) = margin.step().clone() else {
        panic!("nothing to try");
    };
    margin.record(judged(&ask, Verdict::Hold, 0)).unwrap();
    let unwell = Recovery {
        recovered: false,
        bad: 7,
    };
    margin.record(Entry::Recovery(unwell)).unwrap();
    assert_eq!(end(&margin), End::NotAnswered(Unanswered::NotRecovered));
    assert_eq!(
        (margin.answer().recovered, margin.answer().bad_events),
        (false, 7)
    );
}

#[test]
fn a_journal_is_taken_up_where_it_ended_and_nothing_else_is() {
    let question = Question {
        aim: Aim::Search {
            jump_max: 150.0,
            hysteresis: true,
        },
        ..system::question(Scale::Linear)
    };
    let (whole, _) = run(&question, &mut System::draw(Kind::Noisy { percent: 3 }, 5));
    let text = serde_json::to_string(whole.journal()).unwrap();
    let journal: Vec<Entry> = serde_json::from_str(&text).unwrap();
    for cut in [0, 1, journal.len() / 2, journal.len()] {
        let mut again = Margin::new(question.clone()).unwrap();
        again.replay(&journal[..cut]).unwrap();
        again.replay(&journal[cut..]).unwrap();
        assert_eq!(again, whole, "cut at {cut}");
    }
    let mut other = Margin::new(question.clone()).unwrap();
    assert_eq!(
        other.replay(&journal[1..]),
        Err(Refused::NotNow { entry: 0 })
    );
    let finer = Question {
        resolution: 37.0,
        ..question
    };
    let refused = Margin::new(finer).unwrap().replay(&journal);
    assert!(
        matches!(refused, Err(Refused::OffAxis { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_question_that_cannot_be_asked_says_why() {
    let wrong = |change: fn(&mut Question)| {
        let mut question = system::question(Scale::Log);
        change(&mut question);
        Margin::new(question).unwrap_err()
    };
    assert!(matches!(wrong(|q| q.lowest = 0.0), Wrong::Range { .. }));
    assert!(matches!(
        wrong(|q| q.largest = f64::NAN),
        Wrong::Range { .. }
    ));
    assert!(matches!(
        wrong(|q| q.resolution = -1.0),
        Wrong::Resolution { .. }
    ));
    assert!(matches!(
        wrong(|q| q.resolution = 1e-6),
        Wrong::TooFine { .. }
    ));
    assert!(matches!(
        wrong(|q| q.bad_rate_max = 0.0),
        Wrong::BadRate { .. }
    ));
    assert!(matches!(wrong(|q| q.alpha = 0.7), Wrong::Alpha { .. }));
    assert!(matches!(
        wrong(|q| q.dwell.max = Duration::ZERO),
        Wrong::Dwell { .. }
    ));
    assert!(matches!(
        wrong(|q| q.budget.bad_events_max = 0),
        Wrong::Budget
    ));
    let jump = |q: &mut Question| {
        q.aim = Aim::Search {
            jump_max: 1.0,
            hysteresis: false,
        }
    };
    assert!(matches!(wrong(jump), Wrong::Jump { .. }));
    let certify = |target, risk_max| {
        let aim = Aim::Certify { target, risk_max };
        let question = Question {
            aim,
            ..system::question(Scale::Linear)
        };
        Margin::new(question).unwrap_err()
    };
    assert!(matches!(
        certify(Target::Magnitude(2_000.0), 0.2),
        Wrong::Target { .. }
    ));
    assert_eq!(certify(Target::Times(3.0), 0.2), Wrong::NoNormal);
    assert!(matches!(
        certify(Target::Magnitude(500.0), 0.0),
        Wrong::Risk { .. }
    ));
    let text = certify(Target::Magnitude(2_000.0), 0.2).to_string();
    assert_eq!(
        text,
        "the target of 2000 does not lie above the lowest magnitude (0) and up to the largest allowed (1000)"
    );
}

#[test]
fn the_fewest_requests_that_hold_are_what_a_clean_trial_takes() {
    let question = system::question(Scale::Linear);
    // Looked at after every ten, a clean trial of the simulation takes 380.
    assert_eq!(question.requests_to_hold().div_ceil(10), 38);
}
