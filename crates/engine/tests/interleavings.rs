//! Drives whole drills through random interleavings, failures and interrupts.
//!
//! The world here is a queue of answers with random delays; the engine must get to its end,
//! account for every activity it started, and play the rollbacks as the strategy says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use firedrill_engine::effect::{ControlReply, Failure, FaultReport, Outcome, Progress, Signal};
use firedrill_engine::plan::Identity;
use firedrill_engine::{CallId, Effect, Engine, Event, Options, Plan};
use firedrill_experiment::call::Call;
use firedrill_experiment::document::{
    Experiment, HypothesisStrategy, RollbackStrategy, Strictness, UndoClass,
};
use firedrill_experiment::journal::{Interruption, Journal, RunStatus, Status, Verdict};
use firedrill_experiment::scope::Scope;
use proptest::prelude::*;
use serde_json::{Value, json};

/// How one activity will behave.
#[derive(Debug, Clone, Copy)]
struct Act {
    action: bool,
    background: bool,
    fault: bool,
    rollback: bool,
    fate: u8,
    millis: u16,
}

#[derive(Debug, Clone)]
struct Case {
    probes: Vec<Act>,
    method: Vec<Act>,
    rollbacks: Vec<Act>,
    signal: Option<(u16, u8)>,
    second_signal: Option<u16>,
    hypothesis: u8,
    strategy: u8,
    fail_fast: bool,
    guardrail: bool,
}

fn act() -> impl Strategy<Value = Act> {
    (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0u8..10,
        0u16..400,
    )
        .prop_map(|(action, background, fault, rollback, fate, millis)| Act {
            action,
            background,
            fault,
            rollback,
            fate,
            millis,
        })
}

fn case() -> impl Strategy<Value = Case> {
    let acts = |n| prop::collection::vec(act(), 0..n);
    (
        acts(3),
        acts(6),
        acts(4),
        prop::option::of((0u16..1500, 0u8..5)),
        prop::option::of(0u16..2000),
        0u8..5,
        0u8..4,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(
                probes,
                method,
                rollbacks,
                signal,
                second_signal,
                hypothesis,
                strategy,
                fail_fast,
                guardrail,
            )| Case {
                probes,
                method,
                rollbacks,
                signal,
                second_signal,
                hypothesis,
                strategy,
                fail_fast,
                guardrail,
            },
        )
}

fn activity(name: &str, act: Act) -> Value {
    let provider = if act.fault && act.action {
        json!({"type": "fault", "name": "infrastructure.process-pause", "target": {"pid": 1}, "duration": "1s"})
    } else {
        json!({"type": "process", "path": name})
    };
    let mut activity = json!({
        "type": if act.action { "action" } else { "probe" },
        "name": name,
        "background": act.background,
        "provider": provider,
    });
    if act.rollback && act.action {
        activity["rollback"] = json!({"type": "action", "name": format!("undo {name}"),
            "provider": {"type": "process", "path": "undo"}});
    }
    activity
}

fn document(case: &Case) -> Value {
    let named = |prefix: &str, acts: &[Act]| -> Vec<Value> {
        acts.iter()
            .enumerate()
            .map(|(i, act)| activity(&format!("{prefix}{i}"), *act))
            .collect()
    };
    let probes: Vec<Value> = case
        .probes
        .iter()
        .enumerate()
        .map(|(i, act)| {
            let mut probe = activity(
                &format!("probe{i}"),
                Act {
                    action: false,
                    ..*act
                },
            );
            probe["tolerance"] = json!(0);
            probe
        })
        .collect();
    let mut document = json!({
        "title": "t", "description": "d",
        "blast-radius": {"targets-max": 1},
        "method": named("method", &case.method),
        "rollbacks": named("back", &case.rollbacks),
    });
    if !probes.is_empty() {
        document["steady-state-hypothesis"] = json!({"title": "h", "probes": probes});
    }
    if case.guardrail {
        document["guardrails"] = json!([{"mode": {"every": "100ms"}, "probe": {
            "type": "probe", "name": "guard", "tolerance": 0, "provider": {"type": "process", "path": "guard"}}}]);
    }
    document
}

fn options(case: &Case) -> Options {
    use HypothesisStrategy as H;
    use RollbackStrategy as R;
    Options {
        hypothesis_strategy: [
            H::Default,
            H::BeforeMethodOnly,
            H::AfterMethodOnly,
            H::DuringMethodOnly,
            H::Continuously,
        ][case.hypothesis as usize],
        hypothesis_frequency: Duration::from_millis(70),
        rollback_strategy: [R::Default, R::Always, R::Never, R::Deviated][case.strategy as usize],
        fail_fast: case.fail_fast,
        ..Options::default()
    }
}

fn plan(case: &Case) -> Plan {
    Plan {
        experiment: Experiment::from_value(document(case), Strictness::Lenient)
            .expect("a valid document"),
        scope: Scope::default(),
        options: options(case),
        identity: Identity {
            version: "0".into(),
            drill: "test".into(),
            seed: 0,
            digest: String::new(),
            platform: String::new(),
            node: String::new(),
            epoch: jiff::Timestamp::UNIX_EPOCH,
        },
        obstacle: None,
    }
}

/// What the world saw.
#[derive(Debug, Default)]
struct World {
    queue: BTreeMap<(Duration, u64), Event>,
    order: u64,
    open: BTreeMap<CallId, String>,
    cancelled: BTreeSet<CallId>,
    faults: BTreeSet<CallId>,
    started: Vec<String>,
    trace: Vec<String>,
    armed: bool,
    rollbacks_while_faulted: bool,
}

impl World {
    fn at(&mut self, time: Duration, event: Event) {
        self.order += 1;
        self.queue.insert((time, self.order), event);
    }

    fn perform(&mut self, case: &Case, now: Duration, effect: &Effect) {
        match effect {
            Effect::Call {
                id, activity, call, ..
            } => {
                self.open.insert(*id, activity.clone());
                self.started.push(activity.clone());
                let act = fate_of(case, activity);
                let end = now + Duration::from_millis(act.millis.into());
                if let Call::Fault(_) = call {
                    self.faults.insert(*id);
                    self.at(
                        now + Duration::from_millis(1),
                        Event::FaultApplied { id: *id },
                    );
                    self.at(
                        end.max(now + Duration::from_millis(2)),
                        Event::FaultEnded {
                            id: *id,
                            report: report(now, end),
                        },
                    );
                }
                self.at(
                    end.max(now + Duration::from_millis(3)),
                    Event::CallEnded {
                        id: *id,
                        outcome: outcome(act),
                    },
                );
            }
            Effect::Cancel { id } => {
                self.cancelled.insert(*id);
                if self.faults.contains(id) {
                    self.at(
                        now + Duration::from_millis(5),
                        Event::FaultEnded {
                            id: *id,
                            report: report(now, now),
                        },
                    );
                }
            }
            Effect::Control { id, .. } => self.at(
                now,
                Event::ControlEnded {
                    id: *id,
                    reply: ControlReply::default(),
                },
            ),
            Effect::ArmRollbacks(_) => self.armed = true,
            Effect::DisarmRollbacks => self.armed = false,
            Effect::Progress(Progress::RollbacksStarted) => {
                self.rollbacks_while_faulted |= !self.faults.is_empty();
            }
            _ => {}
        }
    }
}

fn fate_of(case: &Case, name: &str) -> Act {
    let still = Act {
        action: true,
        background: false,
        fault: false,
        rollback: false,
        fate: 0,
        millis: 10,
    };
    let find = |prefix: &str, acts: &[Act]| {
        name.strip_prefix(prefix)
            .and_then(|index| index.parse::<usize>().ok())
            .and_then(|index| acts.get(index).copied())
    };
    find("probe", &case.probes)
        .or(find("method", &case.method))
        .or(find("back", &case.rollbacks))
        .unwrap_or(still)
}

fn outcome(act: Act) -> Outcome {
    let failure = || Failure {
        message: "no".into(),
        exception: vec!["no\n".into()],
    };
    match act.fate {
        0..=5 => Outcome::Succeeded(json!({"status": 0, "stdout": "", "stderr": ""})),
        6 => Outcome::Succeeded(json!({"status": 3, "stdout": "", "stderr": ""})),
        7 => Outcome::Failed(failure()),
        8 => Outcome::Aborted(failure()),
        _ => Outcome::Interrupted(Interruption {
            kind: "activity".into(),
            name: None,
            reason: "asked".into(),
        }),
    }
}

fn report(applied: Duration, reverted: Duration) -> FaultReport {
    FaultReport {
        fault: "infrastructure.process-pause".into(),
        mechanism: "test".into(),
        undo_class: UndoClass::Reversible,
        targets: vec![],
        requested: String::new(),
        achieved: None,
        measured: Vec::new(),
        notes: Vec::new(),
        observed: true,
        applied: Some(applied),
        reverted: Some(reverted),
        inject: Duration::ZERO,
        revert: None,
        residue: vec![],
        refused: None,
    }
}

const SIGNALS: [Signal; 5] = [
    Signal::Interrupt,
    Signal::Terminate,
    Signal::ExitGracefully,
    Signal::ExitNow,
    Signal::Halt,
];

/// Runs a case to its end, or panics if it does not get there.
fn run(case: &Case) -> (World, Journal) {
    let mut engine = Engine::new(plan(case));
    let mut world = World::default();
    if let Some((at, which)) = case.signal {
        world.at(
            Duration::from_millis(at.into()),
            Event::Interrupted(SIGNALS[which as usize]),
        );
    }
    if let Some(at) = case.second_signal {
        world.at(
            Duration::from_millis(at.into()),
            Event::Interrupted(Signal::Interrupt),
        );
    }
    let (mut now, mut event) = (Duration::ZERO, None);
    for _ in 0..20_000 {
        let mut wake = None;
        for effect in engine.step(now, event.take()) {
            world.trace.push(format!("{now:?} {}", brief(&effect)));
            if let Effect::WakeAt(time) = effect {
                wake = Some(time);
                continue;
            }
            if let Effect::Finished(journal) = effect {
                assert!(engine.step(now, None).is_empty(), "effects after the end");
                return (world, *journal);
            }
            world.perform(case, now, &effect);
        }
        let next = world.queue.keys().next().copied();
        match (next, wake) {
            (Some(key), wake) if wake.is_none_or(|wake| key.0 <= wake) => {
                now = now.max(key.0);
                event = world.queue.remove(&key);
                match &event {
                    Some(Event::CallEnded { id, .. }) => drop(world.open.remove(id)),
                    Some(Event::FaultEnded { id, .. }) => drop(world.faults.remove(id)),
                    _ => {}
                }
            }
            (_, Some(wake)) => now = now.max(wake),
            (None, None) => panic!("the drill waits for nothing: {:#?}", world.trace),
            (Some(_), None) => unreachable!("the first arm takes it"),
        }
    }
    panic!(
        "the drill did not end: {:#?}",
        &world.trace[world.trace.len() - 50..]
    );
}

fn brief(effect: &Effect) -> String {
    match effect {
        Effect::Finished(journal) => format!("finished {:?}", journal.status),
        other => format!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn every_drill_ends_and_accounts_for_what_it_started(case in case()) {
        let (world, journal) = run(&case);
        for (id, name) in &world.open {
            prop_assert!(world.cancelled.contains(id), "`{name}` neither ended nor was cancelled");
        }
        prop_assert!(world.faults.is_empty(), "a fault outlives its drill");
        prop_assert!(!world.armed, "the rollbacks stay armed");
        prop_assert!(!world.rollbacks_while_faulted, "rollbacks began while a fault was in place");
        for name in world.started.iter().filter(|name| name.starts_with("method")) {
            prop_assert!(journal.run.iter().any(|run| run.activity["name"] == json!(name)), "`{name}` is not in the journal");
        }
    }

    #[test]
    fn rollbacks_are_played_as_the_strategy_says(case in case()) {
        let (world, journal) = run(&case);
        let played = world.started.iter().any(|name| name.starts_with("back") || name.starts_with("undo"));
        let exit_now = world.trace.iter().any(|line| line.contains("SIGUSR2"));
        match options(&case).rollback_strategy {
            RollbackStrategy::Never => prop_assert!(!played),
            RollbackStrategy::Deviated => prop_assert!(!played || journal.deviated),
            RollbackStrategy::Always => {
                let interrupted_inside = journal.rollbacks.iter().any(|run| run.status.is_none());
                let count = journal.rollbacks.len();
                let expected = case.rollbacks.len();
                prop_assert!(exit_now || interrupted_inside || count >= expected || journal.status == Status::Interrupted,
                    "{count} of {expected} rollbacks");
            }
            RollbackStrategy::Default => {
                let guarded = world.trace.iter().any(|line| line.contains("left its tolerance"));
                if exit_now {
                    prop_assert!(!played || journal.status == Status::Interrupted);
                } else if journal.status == Status::Completed && !guarded {
                    prop_assert_eq!(journal.rollbacks.len(), world.started.iter()
                        .filter(|name| name.starts_with("back") || name.starts_with("undo")).count());
                    prop_assert!(journal.rollbacks.len() >= case.rollbacks.len());
                } else if journal.status == Status::Failed {
                    prop_assert!(!played);
                }
            }
        }
    }

    #[test]
    fn the_same_events_give_the_same_effects(case in case()) {
        prop_assert_eq!(run(&case).0.trace, run(&case).0.trace);
    }

    #[test]
    fn a_stopped_drill_is_never_held(case in case()) {
        let (_, journal) = run(&case);
        if matches!(journal.status, Status::Interrupted | Status::Aborted | Status::Failed) {
            let verdict = journal.firedrill.map(|drill| drill.verdict);
            prop_assert_ne!(verdict, Some(Verdict::Held));
        }
    }

    #[test]
    fn a_per_action_rollback_runs_only_if_its_action_ran(case in case()) {
        let (world, journal) = run(&case);
        for run in &journal.rollbacks {
            if let Some(name) = run.activity["name"].as_str().and_then(|name| name.strip_prefix("undo ")) {
                prop_assert!(journal.run.iter().any(|run| run.activity["name"] == json!(name)) || world.started.iter().any(|s| s == name));
            }
        }
    }
}

#[test]
fn an_interrupted_activity_has_no_status_in_the_journal() {
    let slow = Act {
        action: true,
        background: false,
        fault: false,
        rollback: false,
        fate: 0,
        millis: 400,
    };
    let case = Case {
        probes: vec![],
        method: vec![slow],
        rollbacks: vec![],
        signal: Some((50, 0)),
        second_signal: None,
        hypothesis: 0,
        strategy: 0,
        fail_fast: false,
        guardrail: false,
    };
    let (_, journal) = run(&case);
    assert_eq!(journal.status, Status::Interrupted);
    assert_eq!(journal.run.len(), 1);
    assert_eq!(journal.run[0].status, None::<RunStatus>);
    assert!(journal.run[0].end.is_some());
}

/// A slow action in the background, one rollback, and Ctrl-C while the drill waits.
fn interrupted_while_waiting(background_rollback: bool) -> Journal {
    let still = Act {
        action: true,
        background: true,
        fault: false,
        rollback: false,
        fate: 0,
        millis: 300,
    };
    let case = Case {
        probes: vec![],
        method: vec![still],
        rollbacks: vec![Act {
            background: background_rollback,
            millis: 20,
            ..still
        }],
        signal: Some((50, 0)),
        second_signal: None,
        hypothesis: 0,
        strategy: 1,
        fail_fast: false,
        guardrail: false,
    };
    run(&case).1
}

#[test]
fn a_signal_while_waiting_for_the_background_leaves_the_rollbacks_whole() {
    for background in [false, true] {
        let journal = interrupted_while_waiting(background);
        assert_eq!(journal.status, Status::Interrupted);
        assert_eq!(journal.rollbacks.len(), 1);
        assert_eq!(
            journal.rollbacks[0].status,
            Some(RunStatus::Succeeded),
            "in the background: {background}"
        );
    }
}

#[test]
fn a_rollback_of_ones_own_does_not_make_a_measured_effect_unknown() {
    let fault = Act {
        action: true,
        background: false,
        fault: true,
        rollback: false,
        fate: 0,
        millis: 50,
    };
    let case = Case {
        probes: vec![],
        method: vec![fault],
        rollbacks: vec![Act {
            fault: false,
            ..fault
        }],
        signal: None,
        second_signal: None,
        hypothesis: 0,
        strategy: 0,
        fail_fast: false,
        guardrail: false,
    };
    let drill = run(&case).1.firedrill.expect("our part of the journal");
    assert_eq!(
        drill.effect,
        Some(firedrill_experiment::journal::Effect::Observed)
    );
    assert_eq!(drill.actions.len(), 1);
}
