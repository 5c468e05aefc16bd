//! Made-up journals, alike to what a drill of the demo's shop leaves behind.

use std::collections::BTreeMap;

use firedrill_experiment::document::UndoClass;
use firedrill_experiment::journal::*;
use serde_json::{Map, Value, json};

pub(crate) fn held() -> Journal {
    drill(Verdict::Held)
}

pub(crate) fn broken() -> Journal {
    drill(Verdict::Broken)
}

pub(crate) fn inconclusive() -> Journal {
    let mut journal = drill(Verdict::Held);
    journal.experiment["title"] = "A fault where no traffic goes".into();
    if let Some(drill) = &mut journal.firedrill {
        drill.verdict = Verdict::Inconclusive;
        drill.effect = Some(Effect::Unobserved);
        drill.reasons = vec![
            "No request met web-3-b while it was paused: the drill shows nothing about it.".into(),
        ];
        drill.faults[0].effect = Effect::Unobserved;
        drill.faults[0].achieved = None;
        drill.faults[0].exposure = Some(0);
    }
    journal
}

/// As the real Chaos Toolkit writes it.
pub(crate) fn plain() -> Journal {
    let text = json!({
        "chaoslib-version": "1.44.0",
        "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
        "node": "build-7",
        "experiment": {"title": "What if the \"cache\" <b>vanishes</b> & nobody looks?", "description": "…"},
        "start": "2026-11-23T09:00:00.000000",
        "status": "completed",
        "deviated": false,
        "steady_states": {
            "before": {"steady_state_met": true, "probes": [
                {"activity": {"type": "probe", "name": "homepage", "tolerance": 200,
                    "provider": {"type": "http", "url": "http://127.0.0.1:8080/"}},
                 "output": {"status": 200, "headers": {}, "body": "ok"}, "status": "succeeded",
                 "start": "2026-11-23T09:00:00.010000", "end": "2026-11-23T09:00:00.030000",
                 "duration": 0.02, "tolerance_met": true}]},
            "after": {"steady_state_met": true, "probes": []},
            "during": []
        },
        "run": [
            {"activity": {"type": "action", "name": "stop the cache",
                "provider": {"type": "process", "path": "systemctl", "arguments": "stop cache"}},
             "output": {"status": 0, "stdout": "", "stderr": ""}, "status": "succeeded",
             "start": "2026-11-23T09:00:00.100000", "end": "2026-11-23T09:00:01.350000", "duration": 1.25}
        ],
        "rollbacks": [],
        "end": "2026-11-23T09:00:05.000000",
        "duration": 5.0
    });
    firedrill_report::read(text.to_string().as_bytes()).unwrap()
}

const PHASES: [(Phase, f64, f64); 4] = [
    (Phase::Baseline, 0.0, 12.0),
    (Phase::Transition, 12.0, 14.0),
    (Phase::Fault, 14.0, 30.0),
    (Phase::Recovery, 30.0, 45.0),
];

fn drill(verdict: Verdict) -> Journal {
    let held = verdict == Verdict::Held;
    let series = series(held);
    Journal {
        chaoslib_version: "1.44.0".into(),
        platform: "Linux-6.1.0-x86_64-with-glibc2.36".into(),
        node: "shop-host".into(),
        experiment: json!({
            "title": if held { "The shop survives the loss of one zone" } else { "The shop survives a payment service that hangs" },
            "steady-state-hypothesis": {"title": "The shop takes orders", "probes": []},
        }),
        start: stamp(0.0),
        status: Status::Completed,
        deviated: !held,
        steady_states: SteadyStates {
            before: Some(state(0.05, true)),
            after: Some(state(44.2, held)),
            during: Vec::new(),
        },
        run: vec![
            run("lose zone 1", "action", 12.0, 18.0, &json!({"type": "fault", "name": "infrastructure.process-pause"}), json!({"targets": ["web-1-a", "web-1-b"]})),
            run("place an order", "probe", 16.0, 0.084, &json!({"type": "http", "method": "POST", "url": "http://127.0.0.1:8080/orders"}), json!({"status": 201, "body": {"order": 4711, "state": "accepted", "items": [1, 2, 3]}})),
            run("zones in rotation", "probe", 22.0, 0.011, &json!({"type": "process", "path": "shopctl", "arguments": "zones"}), json!({"status": 0, "stdout": "zone-2 zone-3\n", "stderr": ""})),
        ],
        rollbacks: vec![run("drain the order queue", "action", 44.4, 0.31, &json!({"type": "python", "module": "shop.queue", "func": "drain"}), json!(null))],
        end: stamp(45.0),
        duration: 45.0,
        interruption: None,
        safeguards: None,
        extra: Map::new(),
        firedrill: Some(Drill {
            version: "0.1.0".into(),
            id: "2026-11-23-zone-1".into(),
            seed: 42,
            digest: "9f2c4e7a1b6d8035c4f19a7e2d5b8c60f3a1e4d7b9c2056f8e1d4a7b3c6f9e20".into(),
            verdict,
            effect: Some(Effect::Observed),
            reasons: reasons(held),
            expectation: "continue".into(),
            phases: phases(&series, held),
            kpis: vec![KpiRecord {
                name: "orders".into(),
                source: "load http://127.0.0.1:8080/orders at 250/s".into(),
                traffic: "synthetic".into(),
                objective: "at least 99 % of requests succeed, p99 at most 300 ms, at most 60 bad in any 1 s".into(),
                reaction_ms: 120.0,
                late_share: 0.0004,
                latency: distribution(held),
                series,
            }],
            faults: vec![FaultRecord {
                activity: "lose zone 1".into(),
                fault: "infrastructure.process-pause".into(),
                mechanism: "cgroup v2 freezer".into(),
                undo_class: UndoClass::Reversible,
                targets: vec!["web-1-a (pid 4711)".into(), "web-1-b (pid 4712)".into()],
                requested: "2 processes stopped for 18 s".into(),
                achieved: Some("2 of 2 frozen after 3.1 ms; no CPU time used for 17.99 s".into()),
                measured: Vec::new(),
                effect: Effect::Observed,
                exposure: Some(1_412),
                applied: 12.0,
                reverted: Some(30.0),
                inject_ms: 3.1,
                revert_ms: Some(1.8),
                residue: Vec::new(),
            }],
            recovery: Some(RecoveryRecord { took: Some(1.25), limit: 10.0 }),
            actions: vec![
                ActionRecord { activity: "lose zone 1".into(), undo_class: UndoClass::Reversible },
                ActionRecord { activity: "drain the order queue".into(), undo_class: UndoClass::Opaque },
            ],
            notes: vec!["The host’s load average rose to 3.1 on 4 processors during the fault.".into()],
            canary: None,
        }),
    }
}

fn reasons(held: bool) -> Vec<String> {
    let text: &[&str] = if held {
        &[
            "Orders kept flowing: 99.8 % succeeded with zone 1 gone, and all was well 1.25 s after it came back.",
            "The failover cost 34 requests in its worst second; 60 were allowed.",
            "2 of 2 processes were frozen, as requested; 1,412 requests met them.",
        ]
    } else {
        &[
            "Orders failed: at most 83.1 % succeeded while payments hung; 99 % were expected.",
            "Every third checkout waited out its 3 s time-out.",
        ]
    };
    text.iter().map(|s| (*s).to_owned()).collect()
}

/// A generator good enough to look alive and always alike.
fn noise(i: u64) -> f64 {
    let mixed = (i.wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f64 / (1_u64 << 24) as f64
}

fn series(held: bool) -> Vec<Point> {
    (0..180_u64)
        .map(|i| {
            let at = i as f64 * 0.25;
            let n = noise(i);
            let total = 61 + (n * 4.0) as u64;
            let burst = (12.0..13.0).contains(&at) || (30.0..31.0).contains(&at);
            let fault = (13.0..30.0).contains(&at);
            let bad = match (held, burst, fault) {
                (true, true, _) => 9 - (n * 4.0) as u64,
                (false, true, _) => 20,
                (false, _, true) => 10 + (n * 6.0) as u64,
                _ => u64::from(n > 0.97),
            };
            let degraded = if fault && !held {
                2 + (noise(i + 999) * 5.0) as u64
            } else {
                0
            };
            let slow: f64 = if burst {
                9.0
            } else if fault {
                if held { 1.7 } else { 6.0 }
            } else {
                1.0
            };
            Point {
                at,
                length: 0.25,
                good: total - bad - degraded,
                degraded,
                bad,
                p50: Some(11.0 * (1.0 + n * 0.2) * slow.min(1.6)),
                p99: Some(38.0 * (1.0 + noise(i + 7) * 0.6) * slow),
            }
        })
        .collect()
}

fn phases(series: &[Point], held: bool) -> Vec<PhaseRecord> {
    PHASES
        .iter()
        .map(|(phase, start, end)| {
            let inside: Vec<&Point> = series.iter().filter(|p| p.at >= *start && p.at < *end).collect();
            let sum = |of: fn(&Point) -> u64| inside.iter().map(|p| of(p)).sum::<u64>();
            let (good, degraded, bad) = (sum(|p| p.good), sum(|p| p.degraded), sum(|p| p.bad));
            let requests = good + degraded + bad;
            let value = good as f64 / requests as f64;
            let spread = 1.65 * (value * (1.0 - value) / requests as f64).sqrt() + 0.0008;
            let met = held || *phase == Phase::Baseline;
            let verb = if met { "meets" } else { "misses" };
            PhaseRecord {
                phase: *phase,
                start: *start,
                end: *end,
                kpis: vec![KpiPhase {
                    kpi: "orders".into(),
                    outcome: if met { Outcome::Met } else { Outcome::Missed },
                    findings: vec![format!(
                        "Success ratio {:.2} % ({} of {requests} requests): {verb} the minimum of 99 %.",
                        value * 100.0,
                        good
                    )],
                    requests,
                    good,
                    degraded,
                    bad,
                    success_ratio: Some(Estimate {
                        value,
                        low: value - spread,
                        high: (value + spread * 0.8).min(1.0),
                        confidence: 0.95,
                    }),
                    latency: Some(latencies(*phase, held)),
                    worst_window: Some(WorstWindow { start: *start, length: 1.0, bad: bad.min(34), requests: 250 }),
                }],
            }
        })
        .collect()
}

fn latencies(phase: Phase, held: bool) -> LatencySummary {
    match phase {
        Phase::Baseline => LatencySummary {
            p50: 12.1,
            p90: 24.4,
            p99: 48.2,
            max: 71.9,
        },
        Phase::Transition => LatencySummary {
            p50: 18.0,
            p90: 61.3,
            p99: 412.0,
            max: 498.0,
        },
        Phase::Fault if held => LatencySummary {
            p50: 19.7,
            p90: 44.8,
            p99: 91.4,
            max: 163.0,
        },
        Phase::Fault => LatencySummary {
            p50: 21.3,
            p90: 140.2,
            p99: 322.0,
            max: 3004.0,
        },
        Phase::Recovery => LatencySummary {
            p50: 12.6,
            p90: 25.9,
            p99: 55.0,
            max: 441.0,
        },
    }
}

fn distribution(held: bool) -> BTreeMap<Phase, Vec<(f64, u64)>> {
    PHASES
        .iter()
        .map(|(phase, ..)| {
            let (middle, spread) = match phase {
                Phase::Baseline => (11.0, 0.42),
                Phase::Transition => (17.0, 0.85),
                Phase::Fault => (
                    if held { 15.0 } else { 26.0 },
                    if held { 0.55 } else { 1.1 },
                ),
                Phase::Recovery => (11.5, 0.47),
            };
            let cells = (0..120).map(|i| {
                let ms = 2.0 * 1.055_f64.powi(i);
                let z = ((ms / middle).ln()) / spread;
                (ms, (4000.0 * (-0.5 * z * z).exp()) as u64)
            });
            (*phase, cells.filter(|(_, n)| *n > 0).collect())
        })
        .collect()
}

fn stamp(seconds: f64) -> String {
    let micros = (seconds * 1e6) as u64;
    format!(
        "2026-11-23T10:00:{:02}.{:06}Z",
        micros / 1_000_000,
        micros % 1_000_000
    )
}

fn run(name: &str, kind: &str, start: f64, took: f64, provider: &Value, output: Value) -> Run {
    Run {
        activity: json!({"type": kind, "name": name, "provider": provider}),
        output,
        start: Some(stamp(start)),
        status: Some(RunStatus::Succeeded),
        end: Some(stamp(start + took)),
        duration: Some(took),
        exception: None,
        tolerance_met: None,
        extra: Map::new(),
    }
}

fn state(at: f64, met: bool) -> SteadyState {
    let mut probe = run(
        "an order can be placed",
        "probe",
        at,
        0.021,
        &json!({"type": "http", "method": "POST", "url": "http://127.0.0.1:8080/orders"}),
        json!({"status": if met { 201 } else { 504 }}),
    );
    probe.activity["tolerance"] = json!([200, 201]);
    probe.tolerance_met = Some(met);
    SteadyState {
        steady_state_met: Some(met),
        probes: vec![probe],
        extra: serde_json::Map::new(),
    }
}
