use std::time::Duration;

use serde_json::{Value, json};

use crate::probe::{Added, MET, Plan, Probe};
use crate::{in_virtual_time, lay, under};

const LATENCY: &str = "switching.latency";

const PLAN: Plan = Plan {
    packets: 500,
    size: 64,
    gap: Duration::from_millis(8),
    burst: 1,
    paired: true,
};

/// Milliseconds that a mean may be off: a busy host adds to what it measures.
fn tolerance() -> f64 {
    if in_virtual_time() { 0.2 } else { 20.0 }
}

/// What is added to packets of one port; those of another must pass as if there were no fault.
fn added(arguments: &Value) -> Option<Added> {
    let bed = lay()?;
    let probe = Probe::new(&bed);
    let mut arguments = arguments.clone();
    arguments["remote-port"] = MET.into();
    let flow = under(&bed, LATENCY, &arguments, |placed| {
        probe.send(PLAN, || placed.renew())
    });
    let mut beside = flow.times_beside();
    beside.sort_by(f64::total_cmp);
    assert!(
        beside[beside.len() / 2] < 2.0,
        "delayed beside it: {beside:?}"
    );
    let added = flow.added();
    eprintln!(
        "{arguments}: added {:.3} ms, deviation {:.3} ms, beside {:.3} ms",
        added.mean,
        added.deviation,
        beside[beside.len() / 2],
    );
    Some(added)
}

#[test]
fn netem_adds_twenty_milliseconds() {
    let Some(added) = added(&json!({"delay": "20ms"})) else {
        return;
    };
    assert!((added.mean - 20.0).abs() < tolerance(), "{}", added.mean);
    assert!(added.soonest >= 20.0, "{}", added.soonest);
}

#[test]
fn netem_adds_fifty_milliseconds() {
    let Some(added) = added(&json!({"delay": "50ms"})) else {
        return;
    };
    assert!((added.mean - 50.0).abs() < tolerance(), "{}", added.mean);
    assert!(added.soonest >= 50.0, "{}", added.soonest);
}

#[test]
fn netem_spreads_uniform_jitter_between_its_bounds() {
    let Some(added) = added(&json!({"delay": "50ms", "jitter": "10ms"})) else {
        return;
    };
    // A uniform deviation of 10/√3 ms; four standard errors of 500 packets.
    assert!((added.mean - 50.0).abs() < 1.05 + tolerance());
    assert!(added.soonest >= 40.0, "{}", added.soonest);
    if in_virtual_time() {
        assert!((added.deviation - 5.77).abs() < 0.5, "{}", added.deviation);
        assert!(added.all.iter().all(|one| *one < 60.5));
    }
}

#[test]
fn netem_spreads_normal_jitter_with_its_deviation() {
    let arguments = json!({"delay": "50ms", "jitter": "5ms", "distribution": "normal"});
    let Some(added) = added(&arguments) else {
        return;
    };
    assert!((added.mean - 50.0).abs() < 0.9 + tolerance());
    assert!(added.all.iter().any(|one| *one < 43.0), "no tail below");
    if in_virtual_time() {
        assert!((added.deviation - 5.0).abs() < 0.7, "{}", added.deviation);
    }
}

#[test]
fn netem_has_the_long_tail_of_pareto() {
    let arguments = json!({"delay": "50ms", "jitter": "5ms", "distribution": "pareto"});
    let Some(added) = added(&arguments) else {
        return;
    };
    let beyond = |far: f64| {
        added
            .all
            .iter()
            .filter(|one| (**one - added.mean) > far)
            .count()
    };
    let below = |far: f64| {
        added
            .all
            .iter()
            .filter(|one| (added.mean - **one) > far)
            .count()
    };
    assert!(beyond(12.0) > 2 * below(12.0), "{}", beyond(12.0));
}
