//! Documents as they are written. Lowering reads the same keys; a test holds the two together.

mod canary;
mod margin;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

pub use canary::{
    Arms, Canary, CanaryKpi, Front, LatencyOfArms, Split, SuccessRatioOfArms, Window,
};
pub use margin::{Dwell, Margin, MarginBudget, MarginScale, Margins, NormalIs, Search, Vary};

/// An experiment: what we believe, what we break, how we clean up. Open Chaos, and the keys of
/// Firedrill, which other readers ignore.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "Firedrill experiment")]
pub struct Experiment {
    #[schemars(length(min = 1))]
    pub title: String,
    #[schemars(length(min = 1))]
    pub description: String,
    /// Labels of the whole experiment.
    pub tags: Option<Vec<String>>,
    /// What this experiment contributes to: `high`, `medium`, `low` or `none` for each name.
    pub contributions: Option<BTreeMap<String, Value>>,
    /// Values for `${name}`: inline, from the environment, or from a probe.
    pub configuration: Option<Map<String, Value>>,
    /// Values for `${name}` that must not be seen, in groups.
    pub secrets: Option<BTreeMap<String, Map<String, Value>>>,
    pub steady_state_hypothesis: Option<Hypothesis>,
    /// What is done, in order; may be empty.
    pub method: Vec<Activity>,
    /// How it is cleaned up, in order.
    pub rollbacks: Option<Vec<Activity>>,
    pub controls: Option<Vec<Control>>,
    pub extensions: Option<Vec<Extension>>,
    pub runtime: Option<Runtime>,
    /// Streams watched through every phase, and what well means for them.
    pub kpis: Option<Vec<Kpi>>,
    pub expect: Option<Expect>,
    pub recovery: Option<Recovery>,
    pub phases: Option<Phases>,
    pub blast_radius: Option<BlastRadius>,
    /// Probes and thresholds on streams that stop the drill.
    pub guardrails: Option<Vec<Guardrail>>,
    /// One dimension, or a list of them.
    pub margin: Option<Margins>,
    pub canary: Option<Canary>,
}

/// What we believe: every probe stays within its tolerance.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Hypothesis {
    #[schemars(length(min = 1))]
    pub title: String,
    pub probes: Option<Vec<Activity>>,
    pub controls: Option<Vec<Control>>,
}

/// A probe or an action, or a reference to one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Activity {
    Reference(Reference),
    Own(Box<OwnActivity>),
}

/// The activity of this name in the method or the hypothesis.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Reference {
    #[serde(rename = "ref")]
    #[schemars(length(min = 1))]
    pub reference: String,
    /// In the hypothesis: a bool, an int, a string, a list, or one of the kinds.
    pub tolerance: Option<Value>,
    pub background: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OwnActivity {
    #[serde(rename = "type")]
    pub kind: ActivityType,
    #[schemars(length(min = 1))]
    pub name: String,
    pub provider: Provider,
    /// Beside the method, which waits for it at its end.
    pub background: Option<bool>,
    pub pauses: Option<Pauses>,
    pub controls: Option<Vec<Control>>,
    /// A bool, an int, a string, a list, or one of the kinds probe, regex, jsonpath, range.
    pub tolerance: Option<Value>,
    /// Labels: `--tags` runs a part of the method.
    pub tags: Option<Vec<String>>,
    pub retry: Option<Retry>,
    pub repeat: Option<Repeat>,
    pub register: Option<Register>,
    /// Played with the rollbacks, only if this action ran.
    pub rollback: Option<Box<Activity>>,
    pub on_failure: Option<OnFailure>,
    pub undo_class: Option<UndoClass>,
    pub exposure: Option<Exposure>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActivityType {
    Probe,
    Action,
}

/// What carries an activity out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Provider {
    /// A program of this machine.
    Process {
        #[schemars(length(min = 1))]
        path: String,
        /// A string for the shell, a list of words, or a mapping that is flattened.
        arguments: Option<Value>,
        timeout: Option<Duration>,
    },
    /// An HTTP request.
    Http {
        #[schemars(length(min = 1))]
        url: String,
        method: Option<String>,
        headers: Option<Map<String, Value>>,
        arguments: Option<Value>,
        /// Seconds, or `[connect, read]`.
        timeout: Option<Value>,
        verify_tls: Option<bool>,
        max_retries: Option<u32>,
    },
    /// A function of an installed Python module.
    Python {
        #[schemars(length(min = 1))]
        module: String,
        #[schemars(length(min = 1))]
        func: String,
        arguments: Option<Map<String, Value>>,
        /// Groups of secrets that the function receives.
        secrets: Option<Vec<String>>,
    },
    /// A fault of Firedrill, always undone: `firedrill faults` lists them.
    Fault {
        #[schemars(length(min = 1))]
        name: String,
        /// What it hits.
        target: Value,
        duration: Duration,
        arguments: Option<Map<String, Value>>,
    },
    /// Open-loop HTTP load.
    Load(Load),
    /// A Prometheus query.
    Prometheus {
        #[schemars(length(min = 1))]
        url: String,
        #[schemars(length(min = 1))]
        query: String,
        range: Option<PrometheusRange>,
        timeout: Option<Duration>,
    },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Load {
    #[schemars(length(min = 1))]
    pub url: String,
    pub method: Option<String>,
    pub headers: Option<BTreeMap<String, String>>,
    pub body: Option<Value>,
    /// Requests per second.
    pub rate: NumberOrPattern,
    pub arrival: Option<Arrival>,
    /// Of the client, at most.
    pub connections: Option<NumberOrPattern>,
    pub timeout: Option<Duration>,
    pub duration: Option<Duration>,
    /// A response header that marks reduced functionality.
    pub degraded_header: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    Constant,
    Poisson,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct PrometheusRange {
    pub last: Duration,
    pub step: Duration,
}

/// Seconds as a number, or a string with units: `250ms`, `1m30s`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Duration {
    Seconds(f64),
    Text(String),
}

/// A number, or `${name}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NumberOrPattern {
    Number(f64),
    Pattern(String),
}

/// Seconds, or `${name}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Pauses {
    pub before: Option<NumberOrPattern>,
    pub after: Option<NumberOrPattern>,
}

/// A Python hook around a part of the drill.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Control {
    pub name: String,
    pub provider: Map<String, Value>,
    pub scope: Option<ControlScope>,
    pub automatic: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ControlScope {
    Before,
    After,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Extension {
    #[schemars(length(min = 1))]
    pub name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Runtime {
    pub hypothesis: Option<HypothesisRuntime>,
    pub rollbacks: Option<RollbacksRuntime>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct HypothesisRuntime {
    pub strategy: Option<HypothesisStrategy>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HypothesisStrategy {
    Default,
    BeforeMethodOnly,
    AfterMethodOnly,
    DuringMethodOnly,
    Continuously,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct RollbacksRuntime {
    pub strategy: Option<RollbackStrategy>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RollbackStrategy {
    Default,
    Always,
    Never,
    Deviated,
}

/// Again until it succeeds, or until its output is within `until`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Retry {
    /// As a tolerance.
    pub until: Option<Value>,
    pub every: Option<Duration>,
    pub within: Duration,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Repeat {
    Times(u32),
    Every { times: u32, every: Option<Duration> },
}

/// Names for later activities: of the whole output, or of what JSONPaths find in it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Register {
    Whole(String),
    Parts(BTreeMap<String, Option<String>>),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    Continue,
    Fail,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UndoClass {
    Reversible,
    Replaced,
    Irreversible,
    Opaque,
}

/// Where to read how many requests met the target of a fault.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Exposure {
    #[schemars(length(min = 1))]
    pub url: String,
    /// Where in the answer the counters stand; their sum counts.
    pub jsonpath: OneOrMany,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Kpi {
    #[schemars(length(min = 1))]
    pub name: String,
    pub provider: KpiProvider,
    pub objective: Objective,
    pub phases: Option<PhaseObjectives>,
    /// Of every bound, between 0.5 and 1; 0.95 unless told.
    pub confidence: Option<f64>,
}

/// Where a stream's numbers come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum KpiProvider {
    /// Open-loop HTTP load.
    Load(Load),
    /// What passed through a route of a Firedrill proxy.
    Proxy(ProxyCounters),
    /// Raw counters in Prometheus, never rates.
    Prometheus(PrometheusCounters),
    /// Counters in the JSON that an endpoint answers with.
    Http(JsonCounters),
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct ProxyCounters {
    /// Of the proxy's interface: http://127.0.0.1:8474.
    #[schemars(length(min = 1))]
    pub url: String,
    /// The name of the route.
    #[schemars(length(min = 1))]
    pub proxy: String,
    pub arm: Option<ProxyArm>,
    #[serde(flatten)]
    pub read: Reading,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyArm {
    All,
    None,
    Control,
    Experiment,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct PrometheusCounters {
    #[schemars(length(min = 1))]
    pub url: String,
    /// A query for raw counters, whose values are added up.
    #[schemars(length(min = 1))]
    pub good: String,
    #[schemars(length(min = 1))]
    pub bad: String,
    pub degraded: Option<String>,
    /// A query for the buckets of a histogram, with their label `le` in seconds.
    pub latency: Option<String>,
    #[serde(flatten)]
    pub read: Reading,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct JsonCounters {
    #[schemars(length(min = 1))]
    pub url: String,
    pub headers: Option<BTreeMap<String, String>>,
    pub verify_tls: Option<bool>,
    /// JSONPaths to counters, which are added up.
    pub good: OneOrMany,
    pub bad: OneOrMany,
    pub degraded: Option<OneOrMany>,
    /// A JSONPath to the endpoint's own time, in seconds.
    pub stamp: Option<String>,
    #[serde(flatten)]
    pub read: Reading,
}

/// How counters are read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Reading {
    /// Between two readings; 1 s, and 5 s of Prometheus, unless told.
    pub interval: Option<Duration>,
    /// Of one reading; the interval unless told.
    pub timeout: Option<Duration>,
    /// How old may be what is read: 15 s of Prometheus, else nothing, unless told.
    pub scrape: Option<Duration>,
    /// Without a reading for longer the sensor is missing; three intervals unless told.
    pub silence_max: Option<Duration>,
    /// Without a request for longer the sensor is stuck; `never`: there need not be any.
    pub idle_max: Option<Duration>,
    /// Requests per second that are expected.
    pub rate: Option<NumberOrPattern>,
    pub traffic: Option<Traffic>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Traffic {
    Live,
    Synthetic,
    Shadow,
}

/// What is asked otherwise in one phase, part by part.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PhaseObjectives {
    pub baseline: Option<Objective>,
    pub transition: Option<Objective>,
    pub fault: Option<Objective>,
    pub recovery: Option<Objective>,
}

/// What well means; judged apart in every phase.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Objective {
    #[schemars(range(min = 0, max = 1))]
    pub success_ratio: Option<f64>,
    pub latency: Option<Latency>,
    pub worst_window: Option<WorstWindow>,
    /// The budget: no more bad requests than this in a phase.
    pub bad_events_max: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Latency {
    #[schemars(range(min = 0, max = 1))]
    pub quantile: f64,
    pub max: Duration,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WorstWindow {
    pub length: Duration,
    pub bad_max: u64,
}

/// What the system should do while the fault lasts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Expect {
    pub during: Option<During>,
    /// With `during: stop`: the share of requests that may still be answered well.
    #[schemars(range(min = 0, max = 1))]
    pub success_ratio_max: Option<f64>,
    /// The time a fault may take to be noticed and routed around.
    pub transition: Option<Duration>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum During {
    Continue,
    Degrade,
    Stop,
}

/// How long the system may take to be well again.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Recovery {
    pub within: Duration,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Phases {
    /// How long KPIs are watched before anything is broken.
    pub baseline: Option<Duration>,
}

/// Limits on what a drill may touch; every one given must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BlastRadius {
    pub targets_max: Option<u64>,
    #[schemars(range(min = 0, max = 100))]
    pub percent_of_healthy: Option<f64>,
    pub healthy_remaining_min: Option<u64>,
    pub duration_max: Option<Duration>,
    #[schemars(range(min = 0, max = 100))]
    pub traffic_percent_max: Option<f64>,
    pub bad_events_max: Option<u64>,
    /// Faults of the whole host may hit containers of others on it.
    pub exclusive_host: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Guardrail {
    /// A probe with a tolerance.
    Probe {
        probe: Box<Activity>,
        mode: GuardrailMode,
    },
    /// A threshold on a KPI of this document; its own objective unless told.
    Kpi {
        kpi: String,
        name: Option<String>,
        objective: Option<Objective>,
        confidence: Option<f64>,
    },
    /// A threshold on a stream of its own.
    Stream {
        name: String,
        provider: Box<KpiProvider>,
        objective: Objective,
        confidence: Option<f64>,
    },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum GuardrailMode {
    Named(GuardrailModeName),
    Every { every: Duration },
    Seconds(f64),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GuardrailModeName {
    PreCheck,
    Background,
}
