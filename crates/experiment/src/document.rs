//! The typed experiment.
//!
//! Chaos Toolkit's fields keep their names; ours are keys that its readers ignore.
//! Field by field: <https://chaostoolkit.org/reference/api/experiment/>.

mod activity;
mod canary;
mod control;
mod experiment;
mod guardrail;
mod kpi;
mod margin;
mod ours;
mod provider;
mod reader;
mod tolerance;

use std::time::Duration;

use serde_json::{Map, Value};

pub use canary::{Canary, CanaryArms, CanaryAsk, CanaryFront, CanaryKpi, CanaryWindow, check_arms};
pub use experiment::{Reading, Strictness};
pub use margin::{
    ContextFrom, Margin, MarginAim, MarginArm, MarginContext, MarginNormal, MarginScale,
    MarginTarget, NormalFrom, NormalIs,
};
pub(crate) use tolerance::read_tolerance;

use crate::tolerance::Tolerance;

/// An experiment that passed validation.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// The document as read; the journal carries a copy.
    pub raw: Map<String, Value>,
    pub title: String,
    pub description: String,
    pub tags: Vec<String>,
    /// Inline values and `env`/`probe` entries, not loaded yet (see [`crate::scope`]).
    pub configuration: Map<String, Value>,
    pub secrets: Map<String, Value>,
    pub hypothesis: Option<Hypothesis>,
    pub method: Vec<Activity>,
    pub rollbacks: Vec<Activity>,
    pub controls: Vec<Control>,
    pub runtime: RuntimeDefaults,
    /// Top-level `kpis`: streams watched through every phase.
    pub kpis: Vec<Kpi>,
    /// Top-level `expect`.
    pub expect: Expectation,
    /// Top-level `recovery`: how long the system may take to be well again.
    pub recovery: Option<Recovery>,
    /// Top-level `phases.baseline`: how long KPIs are watched before anything is broken.
    pub baseline: Duration,
    /// Top-level `blast-radius`; required when the document holds a fault of ours.
    pub blast_radius: Option<BlastRadius>,
    /// Top-level `guardrails`: probes that stop the drill when they leave their tolerance.
    pub guardrails: Vec<Guardrail>,
    /// Those of the top-level `guardrails` that watch a KPI.
    pub kpi_guardrails: Vec<KpiGuardrail>,
    /// Top-level `margin`: what `firedrill margin` asks.
    pub margins: Vec<Margin>,
    /// Top-level `canary`: what `firedrill canary` asks.
    pub canary: Option<Canary>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    pub raw: Map<String, Value>,
    pub title: String,
    pub probes: Vec<Activity>,
    pub controls: Vec<Control>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityKind {
    Probe,
    Action,
}

/// A probe or an action. `ref`s are resolved: the entry is the activity they named.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// As the journal shows it.
    pub raw: Map<String, Value>,
    pub kind: ActivityKind,
    pub name: String,
    pub provider: Provider,
    pub background: bool,
    /// Seconds before and after; may be `"${name}"`.
    pub pause_before: Option<Value>,
    pub pause_after: Option<Value>,
    pub tolerance: Option<Tolerance>,
    pub controls: Vec<Control>,
    /// Run a part of a document: `--tags`.
    pub tags: Vec<String>,
    /// `retry: {until: <tolerance>, every: 1s, within: 30s}`; without `until`, until it succeeds.
    pub retry: Option<Retry>,
    /// `repeat: 3` or `{times: 3, every: 5s}`; each repetition is a journal entry.
    pub repeat: Option<Repeat>,
    /// `register: {name: "$.json.path"}` or `register: name`: output for later activities.
    pub register: Vec<Register>,
    /// `rollback: {activity}`: played with the rollbacks, only if this action ran.
    pub rollback: Option<Box<Activity>>,
    /// `on-failure: fail | continue` (default `continue`, as Chaos Toolkit does).
    pub on_failure: OnFailure,
    /// `undo-class`, declared by the author for opaque actions.
    pub undo_class: Option<UndoClass>,
    /// `exposure`: a counter of the traffic that met the target of this fault.
    pub exposure: Option<Exposure>,
}

/// What carries an activity out. Strings may hold `${name}`; see [`crate::call`].
#[derive(Debug, Clone, PartialEq)]
pub enum Provider {
    Process {
        path: String,
        arguments: Option<Value>,
        timeout: Option<Value>,
    },
    Http {
        raw: Map<String, Value>,
    },
    Python {
        module: String,
        func: String,
        arguments: Map<String, Value>,
        secrets: Vec<String>,
    },
    Fault {
        name: String,
        target: Value,
        duration: Option<Value>,
        arguments: Map<String, Value>,
    },
    Load {
        raw: Map<String, Value>,
    },
    Prometheus {
        raw: Map<String, Value>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    pub raw: Map<String, Value>,
    pub name: String,
    pub scope: Option<ControlScope>,
    pub automatic: bool,
    /// Other providers are ignored, as Chaos Toolkit does.
    pub python: Option<PythonControl>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlScope {
    Before,
    After,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PythonControl {
    pub module: String,
    pub arguments: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuntimeDefaults {
    pub hypothesis: Option<HypothesisStrategy>,
    pub rollbacks: Option<RollbackStrategy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HypothesisStrategy {
    /// Before and after the method.
    #[default]
    Default,
    BeforeMethodOnly,
    AfterMethodOnly,
    DuringMethodOnly,
    /// Before, during and after.
    Continuously,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RollbackStrategy {
    /// Unless the drill was interrupted, or a hypothesis probe failed.
    #[default]
    Default,
    Always,
    Never,
    /// Only when the system deviated.
    Deviated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    #[default]
    Continue,
    Fail,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    pub until: Option<Tolerance>,
    pub every: Duration,
    pub within: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    pub times: u32,
    pub every: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    pub name: String,
    pub jsonpath: Option<String>,
}

/// Whether an action can be taken back (design, "Undo classes of actions").
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoClass {
    /// A fault of ours, undone by the guardian.
    Reversible,
    /// Killed, and something else starts it again.
    Replaced,
    Irreversible,
    /// A Chaos Toolkit action: only its document's rollbacks know.
    Opaque,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Kpi {
    pub name: String,
    /// The stream's source: see [`crate::call::KpiSource`].
    pub provider: Map<String, Value>,
    pub objective: Objective,
    /// What is asked otherwise in one phase.
    pub phases: PhaseObjectives,
    /// Of every bound, between 0.5 and 1 exclusive; 0.95 unless told.
    pub confidence: f64,
}

/// Parts that are given stand in the place of the objective's own, in this phase.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PhaseObjectives {
    pub baseline: Objective,
    pub transition: Objective,
    pub fault: Objective,
    pub recovery: Objective,
}

/// What "well" means for one KPI; judged apart in every phase.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Objective {
    /// Share of requests answered well, 0 to 1.
    pub success_ratio_min: Option<f64>,
    /// This quantile of the latency (0 to 1) stays at or below this time.
    pub latency: Option<(f64, Duration)>,
    /// In no window of this length are there more bad requests than this.
    pub worst_window: Option<(Duration, u64)>,
    /// The budget: no more bad requests than this in a phase.
    pub bad_max: Option<u64>,
}

/// `expect`: what the system should do while the fault lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expectation {
    pub during: Expected,
    /// The time a fault may take to be noticed and routed around; judged by the worst window alone.
    pub transition: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expected {
    /// The objective holds.
    Continue,
    /// The objective holds, degraded answers counting as good, and some answers are degraded.
    Degrade,
    /// The system refuses: at most this share of requests is still answered well.
    Stop { success_ratio_max: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    pub within: Duration,
}

/// Limits on what a drill may touch; every field given must hold.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BlastRadius {
    pub targets_max: Option<u64>,
    /// Of the matching, healthy targets; rounded down.
    pub percent_of_healthy: Option<f64>,
    pub healthy_remaining_min: Option<u64>,
    pub traffic_percent_max: Option<f64>,
    pub bad_events_max: Option<u64>,
    pub duration_max: Option<Duration>,
    /// Whether faults of the whole host may hit containers of others on it.
    pub exclusive_host: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Guardrail {
    /// Its place among the document's guardrails.
    pub at: usize,
    pub probe: Activity,
    pub mode: GuardrailMode,
}

/// A threshold on a stream that is watched through the whole drill.
#[derive(Debug, Clone, PartialEq)]
pub struct KpiGuardrail {
    pub name: String,
    pub watched: GuardedStream,
    pub objective: Objective,
    /// That it stops no drill of a system that is within its threshold.
    pub confidence: f64,
}

/// Which stream a guardrail watches.
#[derive(Debug, Clone, PartialEq)]
pub enum GuardedStream {
    /// A KPI of the document, by its place.
    Kpi(usize),
    /// One of its own: a KPI's provider.
    Own(Map<String, Value>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardrailMode {
    /// Once, before anything is touched.
    PreCheck,
    /// Once, beside the method.
    Background,
    /// Every so often until the drill ends.
    Every(Duration),
}

/// Where to read how many requests met the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    /// The `http` provider that answers with counters.
    pub provider: Map<String, Value>,
    /// Their sum counts.
    pub jsonpaths: Vec<String>,
}

#[cfg(test)]
mod tests;
