//! The journal: what a drill leaves behind.
//!
//! The top level is Chaos Toolkit's, field by field; everything of ours is under `firedrill`.

mod canary;
pub mod margin;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use canary::{
    ArmRecord, ArmUsers, ArmsPoint, ArmsRecord, BehindRecord, CanaryKpiRecord, CanaryRecord,
    CanaryStanding, Compared, DividedRecord, SourcesRecord,
};

use crate::document::UndoClass;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Journal {
    /// The chaostoolkit-lib version whose fields this journal follows.
    pub chaoslib_version: String,
    pub platform: String,
    pub node: String,
    pub experiment: Value,
    /// RFC 3339 with microseconds, UTC.
    pub start: String,
    pub status: Status,
    pub deviated: bool,
    #[serde(rename = "steady_states")]
    pub steady_states: SteadyStates,
    pub run: Vec<Run>,
    pub rollbacks: Vec<Run>,
    pub end: String,
    /// Seconds.
    pub duration: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interruption: Option<Interruption>,
    /// Written by chaostoolkit-addons' safeguards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safeguards: Option<Value>,
    /// Whatever Python controls put into the journal.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firedrill: Option<Drill>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Completed,
    Failed,
    Aborted,
    Interrupted,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SteadyStates {
    pub before: Option<SteadyState>,
    pub after: Option<SteadyState>,
    pub during: Vec<SteadyState>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SteadyState {
    /// Absent while unknown, as an interrupted check leaves it.
    pub steady_state_met: Option<bool>,
    pub probes: Vec<Run>,
    /// Whatever Python controls put there.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One activity that ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    pub activity: Value,
    pub output: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Python's `traceback.format_exception` lines, or ours in that form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance_met: Option<bool>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    Succeeded,
    Failed,
    /// Written by chaostoolkit in some interrupted cases.
    Aborted,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interruption {
    pub kind: String,
    pub name: Option<String>,
    pub reason: String,
}

impl Interruption {
    /// Something of ours is not needed any more.
    pub fn cancelled(reason: &str) -> Self {
        Self {
            kind: "cancelled".into(),
            name: None,
            reason: reason.into(),
        }
    }
}

// ---------------------------------------------------------------- ours

/// Everything Firedrill adds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drill {
    /// Of Firedrill.
    pub version: String,
    pub id: String,
    pub seed: u64,
    /// SHA-256 of the plan; `run --digest` insists on it.
    pub digest: String,
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Sentences; the first is the headline.
    pub reasons: Vec<String>,
    /// `continue`, `degrade` or `stop`.
    pub expectation: String,
    pub phases: Vec<PhaseRecord>,
    pub kpis: Vec<KpiRecord>,
    pub faults: Vec<FaultRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryRecord>,
    /// Undo class of every action, in order.
    pub actions: Vec<ActionRecord>,
    /// Things worth a look that changed no verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Of `firedrill canary`: both arms, and the effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryRecord>,
}

/// Design, section 6; one exit code each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Held,
    Broken,
    NotRecovered,
    Inconclusive,
    UnhealthyBefore,
    Refused,
    Halted,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    Observed,
    Unobserved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Baseline,
    Transition,
    Fault,
    Recovery,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PhaseRecord {
    pub phase: Phase,
    /// Seconds since the drill's start.
    pub start: f64,
    pub end: f64,
    pub kpis: Vec<KpiPhase>,
}

/// One KPI in one phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KpiPhase {
    pub kpi: String,
    pub outcome: Outcome,
    /// Which parts of the objective met, missed or could not tell, in words.
    pub findings: Vec<String>,
    pub requests: u64,
    pub good: u64,
    pub degraded: u64,
    pub bad: u64,
    pub success_ratio: Option<Estimate>,
    pub latency: Option<LatencySummary>,
    pub worst_window: Option<WorstWindow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Met,
    Missed,
    Undecided,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub confidence: f64,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LatencySummary {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WorstWindow {
    /// Seconds since the drill's start.
    pub start: f64,
    pub length: f64,
    pub bad: u64,
    pub requests: u64,
}

/// A KPI's stream over the whole drill: what the charts are drawn from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KpiRecord {
    pub name: String,
    /// Where the numbers come from: `load http://127.0.0.1:8080/ at 250/s`.
    pub source: String,
    /// `synthetic`, `live` or `shadow`.
    pub traffic: String,
    /// The objective in words.
    pub objective: String,
    /// Longest time between an event and the judge seeing it, milliseconds.
    pub reaction_ms: f64,
    /// Share of requests the generator started late, 0 to 1.
    pub late_share: f64,
    pub series: Vec<Point>,
    /// Per phase: upper bound in milliseconds, count.
    pub latency: BTreeMap<Phase, Vec<(f64, u64)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Point {
    /// Seconds since the drill's start.
    pub at: f64,
    pub length: f64,
    pub good: u64,
    pub degraded: u64,
    pub bad: u64,
    /// Milliseconds; absent in a window without answers.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FaultRecord {
    pub activity: String,
    pub fault: String,
    pub mechanism: String,
    pub undo_class: UndoClass,
    /// `web-2-a (pid 4711)`.
    pub targets: Vec<String>,
    /// What was asked, in words.
    pub requested: String,
    /// What was measured, in words; absent when nothing was.
    pub achieved: Option<String>,
    /// The figures behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<Measured>,
    pub effect: Effect,
    /// Requests that met the target, when the document says where to count them.
    pub exposure: Option<u64>,
    /// Seconds since the drill's start.
    pub applied: f64,
    pub reverted: Option<f64>,
    pub inject_ms: f64,
    pub revert_ms: Option<f64>,
    /// Differences between the host before and after.
    pub residue: Vec<String>,
}

/// One figure of what a fault achieved, beside what was asked, with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Measured {
    /// `added-delay`, `share-dropped` …
    pub quantity: String,
    /// Of all figures: `ms`, `1`, `bytes/s` …
    pub unit: String,
    pub requested: Option<f64>,
    pub achieved: f64,
    pub low: f64,
    pub high: f64,
    /// Packets, samples or whatever it was counted over.
    pub samples: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecoveryRecord {
    /// Seconds from the end of the fault; absent when it did not come back.
    pub took: Option<f64>,
    pub limit: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ActionRecord {
    pub activity: String,
    pub undo_class: UndoClass,
}
