//! The stop of a drill as a control action, and what STPA asks of one: that it is not missing, not
//! unsafe, neither early nor late, in order, neither too short nor too long, and that several do
//! not conflict. The sensors' part of the list is in `firedrill_judge::sensor`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; time is virtual"
)]

use std::time::Duration;

use firedrill_engine::effect::{ControlReply, FaultReport, Outcome, Signal};
use firedrill_engine::plan::Identity;
use firedrill_engine::{CallId, Effect, Engine, Event, Options, Plan};
use firedrill_experiment::call::Call;
use firedrill_experiment::document::{Experiment, Strictness, UndoClass};
use firedrill_experiment::journal::{Journal, Verdict};
use firedrill_experiment::scope::Scope;
use firedrill_judge::{Window, latency_histogram};
use serde_json::{Value, json};

const TICK: Duration = Duration::from_millis(100);

/// A drill, and what it did, in order.
struct Stand {
    engine: Engine,
    now: Duration,
    faults: Vec<CallId>,
    applied: Duration,
    did: Vec<String>,
    journal: Option<Box<Journal>>,
}

fn document(more: &Value) -> Value {
    let pause = |name: &str| {
        json!({"type": "action", "name": name, "provider": {"type": "fault",
            "name": "infrastructure.process-pause", "target": {"pid": 1}, "duration": "60s"}})
    };
    let mut document = json!({
        "title": "t", "description": "d", "blast-radius": {"targets-max": 1},
        "phases": {"baseline": "1s"}, "recovery": {"within": "1s"},
        "kpis": [{"name": "orders", "objective": {"success-ratio": 0.9},
            "provider": {"type": "load", "url": "http://127.0.0.1:1/", "rate": 1000}}],
        "method": [pause("first"), pause("second")],
        "rollbacks": [{"type": "action", "name": "clean", "provider": {"type": "process", "path": "true"}}],
    });
    for (key, value) in more.as_object().unwrap() {
        document[key] = value.clone();
    }
    document
}

impl Stand {
    /// Up to the first fault, which is in place.
    fn with(more: &Value) -> Self {
        let experiment = Experiment::from_value(document(more), Strictness::Strict).unwrap();
        let plan = Plan {
            experiment,
            scope: Scope::default(),
            options: Options {
                rollback_strategy: firedrill_experiment::document::RollbackStrategy::Always,
                ..Options::default()
            },
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
        };
        let mut stand = Self {
            engine: Engine::new(plan),
            now: Duration::ZERO,
            faults: Vec::new(),
            applied: Duration::ZERO,
            did: Vec::new(),
            journal: None,
        };
        stand.step(None);
        while stand.faults.is_empty() {
            stand.window(100, 0);
            assert!(stand.now < Duration::from_secs(10), "{:?}", stand.did);
        }
        stand
    }

    fn step(&mut self, event: Option<Event>) {
        let mut answers = Vec::new();
        for effect in self.engine.step(self.now, event) {
            match effect {
                Effect::Call {
                    id,
                    call: Call::Fault(_),
                    activity,
                    ..
                } => {
                    self.did.push(format!("begin {activity}"));
                    self.faults.push(id);
                    self.applied = self.now;
                    answers.push(Event::FaultApplied { id });
                }
                Effect::Call { id, activity, .. } => {
                    self.did.push(format!("call {activity}"));
                    let output = json!({"status": 0, "stdout": "", "stderr": ""});
                    answers.push(Event::CallEnded {
                        id,
                        outcome: Outcome::Succeeded(output),
                    });
                }
                Effect::Cancel { id } if self.faults.contains(&id) => {
                    self.did.push("take back".into());
                }
                Effect::Control { id, .. } => answers.push(Event::ControlEnded {
                    id,
                    reply: ControlReply::default(),
                }),
                Effect::StopKpi { kpi } => answers.push(Event::KpiEnded { kpi, trouble: None }),
                Effect::Finished(journal) => {
                    self.did.push("finish".into());
                    self.journal = Some(journal);
                }
                _ => {}
            }
        }
        for answer in answers {
            self.step(Some(answer));
        }
    }

    /// The KPI's next window.
    fn window(&mut self, good: u64, bad: u64) {
        let start = self.now;
        self.now += TICK;
        self.step(Some(Event::Kpi {
            kpi: 0,
            window: Window {
                start,
                length: TICK,
                good,
                degraded: 0,
                bad,
                late: 0,
                latency: latency_histogram().unwrap(),
            },
        }));
    }

    /// The fault is gone.
    fn gone(&mut self) {
        let id = *self.faults.last().unwrap();
        let report = FaultReport {
            fault: "infrastructure.process-pause".into(),
            mechanism: "test".into(),
            undo_class: UndoClass::Reversible,
            targets: Vec::new(),
            requested: String::new(),
            achieved: None,
            measured: Vec::new(),
            notes: Vec::new(),
            observed: true,
            applied: Some(self.applied),
            reverted: Some(self.now),
            inject: Duration::ZERO,
            revert: None,
            residue: Vec::new(),
            refused: None,
        };
        self.step(Some(Event::FaultEnded { id, report }));
        self.step(Some(Event::CallEnded {
            id,
            outcome: Outcome::Succeeded(Value::Null),
        }));
    }

    /// Time passes, with a KPI that is well, until the drill is over.
    fn verdict(&mut self) -> Verdict {
        while self.journal.is_none() {
            self.window(100, 0);
            assert!(self.now < Duration::from_secs(120), "{:?}", self.did);
        }
        let journal = self.journal.as_ref().unwrap();
        journal.firedrill.as_ref().unwrap().verdict
    }

    fn times(&self, what: &str) -> usize {
        self.did.iter().filter(|did| *did == what).count()
    }

    fn place(&self, what: &str) -> usize {
        let found = self.did.iter().position(|did| did == what);
        found.unwrap_or_else(|| panic!("no `{what}` in {:?}", self.did))
    }
}

fn guarded() -> Value {
    json!({"guardrails": [{"kpi": "orders", "name": "guard", "objective": {"success-ratio": 0.95}}]})
}

#[test]
fn control_missing_the_step_that_proves_harm_takes_the_fault_back() {
    let mut stand = Stand::with(&guarded());
    stand.window(0, 100);
    assert!(stand.times("take back") > 0, "{:?}", stand.did);
}

#[test]
fn control_unsafe_nothing_is_begun_after_a_stop() {
    let mut stand = Stand::with(&guarded());
    stand.window(0, 100);
    stand.gone();
    stand.verdict();
    assert_eq!(stand.times("begin first"), 1);
    assert_eq!(stand.times("begin second"), 0, "{:?}", stand.did);
}

#[test]
fn control_early_a_stream_that_is_well_stops_nothing() {
    let mut stand = Stand::with(&guarded());
    for _ in 0..300 {
        stand.window(99, 1);
    }
    assert_eq!(stand.times("take back"), 0, "{:?}", stand.did);
}

#[test]
fn control_late_harm_in_the_transition_is_not_waited_with() {
    let burst = json!({
        "expect": {"during": "continue", "transition": "30s"},
        "kpis": [{"name": "orders", "objective": {"success-ratio": 0.9, "bad-events-max": 50},
            "provider": {"type": "load", "url": "http://127.0.0.1:1/", "rate": 1000}}],
    });
    let mut stand = Stand::with(&burst);
    stand.window(50, 51);
    assert!(stand.times("take back") > 0, "{:?}", stand.did);
    stand.gone();
    assert_eq!(stand.verdict(), Verdict::Broken);
}

#[test]
fn control_in_the_wrong_order_rollbacks_wait_until_the_fault_is_gone() {
    let mut stand = Stand::with(&guarded());
    stand.window(0, 100);
    for _ in 0..50 {
        stand.window(100, 0);
    }
    assert_eq!(stand.times("call clean"), 0, "{:?}", stand.did);
    stand.gone();
    stand.verdict();
    assert!(stand.place("take back") < stand.place("call clean"));
    assert!(stand.place("call clean") < stand.place("finish"));
}

#[test]
fn control_stopped_too_soon_the_drill_is_not_over_before_the_fault_is() {
    let mut stand = Stand::with(&guarded());
    stand.window(0, 100);
    for _ in 0..600 {
        stand.window(100, 0);
    }
    assert!(stand.journal.is_none(), "{:?}", stand.did);
    stand.gone();
    assert_eq!(stand.verdict(), Verdict::Broken);
}

#[test]
fn control_applied_too_long_a_fault_does_not_stay_when_nobody_says_a_word() {
    let mut stand = Stand::with(&guarded());
    // No window, no end of the stream: who read it is gone.
    for _ in 0..300 {
        stand.now += TICK;
        stand.step(None);
    }
    assert!(stand.times("take back") > 0, "{:?}", stand.did);
    stand.gone();
    assert_eq!(stand.verdict(), Verdict::Halted);
    let reasons = &stand.journal.unwrap().firedrill.unwrap().reasons;
    assert!(
        reasons[0].contains("nothing was heard of it"),
        "{reasons:?}"
    );
}

#[test]
fn controls_in_conflict_the_first_stop_is_the_drill_s_and_the_fault_is_taken_back_all_the_same() {
    for (signal_first, verdict) in [(true, Verdict::Halted), (false, Verdict::Broken)] {
        let mut stand = Stand::with(&guarded());
        if signal_first {
            stand.step(Some(Event::Interrupted(Signal::Interrupt)));
        }
        // Harm of the KPI and the guardrail's in one window.
        stand.window(0, 100);
        assert!(stand.times("take back") >= 1, "{:?}", stand.did);
        stand.gone();
        assert_eq!(stand.verdict(), verdict);
        assert_eq!(stand.times("call clean"), 1, "{:?}", stand.did);
        assert_eq!(stand.times("finish"), 1);
    }
}

#[test]
fn a_sensor_that_breaks_off_under_the_fault_takes_it_back_and_is_inconclusive() {
    let mut stand = Stand::with(&json!({}));
    stand.step(Some(Event::KpiEnded {
        kpi: 0,
        trouble: Some("the sensor is stuck".into()),
    }));
    assert!(stand.times("take back") > 0, "{:?}", stand.did);
    stand.gone();
    assert_eq!(stand.verdict(), Verdict::Inconclusive);
}

#[test]
fn counters_that_began_anew_go_on_and_are_never_held() {
    let mut stand = Stand::with(&json!({}));
    let at = stand.now;
    stand.step(Some(Event::KpiReset { kpi: 0, at }));
    assert_eq!(stand.times("take back"), 0, "{:?}", stand.did);
    for _ in 0..10 {
        stand.window(100, 0);
    }
    stand.gone();
    // The second fault of the method comes and goes.
    stand.window(100, 0);
    stand.gone();
    assert_eq!(stand.verdict(), Verdict::Inconclusive);
    let reasons = stand.journal.unwrap().firedrill.unwrap().reasons;
    assert!(reasons[0].contains("began anew"), "{reasons:?}");
}
