//! Documents as they are written. Lowering reads the same keys; a test holds the two together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

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
    /// Probes that stop the drill when they leave their tolerance.
    pub guardrails: Option<Vec<Guardrail>>,
    pub margin: Option<Margin>,
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
    pub provider: Provider,
    pub objective: Objective,
    /// Of every bound, between 0.5 and 1; 0.95 unless told.
    pub confidence: Option<f64>,
}

/// What well means; judged apart in every phase.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Objective {
    #[schemars(range(min = 0, max = 1))]
    pub success_ratio: Option<f64>,
    pub latency: Option<Latency>,
    pub worst_window: Option<WorstWindow>,
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
pub struct Guardrail {
    pub probe: Activity,
    pub mode: GuardrailMode,
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

/// How much of one dimension the system bears: what `firedrill margin` asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Margin {
    pub vary: Vary,
    /// The smallest magnitude, which is tried first: 20ms, 1%, 10mbps or a number.
    pub from: Value,
    /// The largest magnitude allowed.
    pub to: Value,
    pub scale: Option<MarginScale>,
    /// How narrow the answer is to be: a percentage on a logarithmic scale, else a magnitude.
    pub resolution: Option<Value>,
    /// A margin to prove: a magnitude, or `3x` what is normal.
    pub at_least: Option<Value>,
    /// The chance that a trial breaks the system, at most.
    #[schemars(range(min = 0, max = 1))]
    pub risk: Option<f64>,
    pub search: Option<Search>,
    /// What the dimension is today: a magnitude, or `{quantile: 0.99}` of the KPI's latency.
    pub normal: Option<Value>,
    pub normal_is: Option<NormalIs>,
    /// The KPI that says what is borne; needed where there are several.
    pub kpi: Option<String>,
    pub dwell: Option<Dwell>,
    pub budget: MarginBudget,
    #[schemars(range(min = 0.5, max = 1))]
    pub confidence: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Vary {
    /// A fault of the method, by name.
    pub activity: String,
    pub argument: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MarginScale {
    Linear,
    Log,
}

/// Goes on to the break point.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Search {
    /// The target may be broken.
    pub non_production: bool,
    /// How far a trial goes beyond what was seen to hold: a factor, or a magnitude.
    pub jump_max: Option<Value>,
    /// The boundary once more from above.
    pub hysteresis: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormalIs {
    AddedTo,
    Replaced,
}

/// How long a magnitude is in place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Dwell {
    pub min: Option<Duration>,
    pub max: Option<Duration>,
}

/// What the answer may cost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct MarginBudget {
    #[schemars(range(min = 1))]
    pub bad_events: u64,
    #[schemars(range(min = 1))]
    pub bad_events_per_trial: Option<u64>,
    #[schemars(range(min = 1))]
    pub trials: Option<u64>,
}

/// A fault for one arm of a route's traffic, compared with another: what `firedrill canary` asks.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Canary {
    /// The fault of the method that the experiment arm has; needed where there are several.
    pub activity: Option<String>,
    pub split: Split,
    #[schemars(length(min = 1))]
    pub kpis: Vec<CanaryKpi>,
    /// How long both arms are watched without the fault.
    pub baseline: Option<Duration>,
    /// How long with it.
    pub duration: Option<Dwell>,
    /// Of the answer, over all KPIs.
    #[schemars(range(min = 0.5, max = 1))]
    pub confidence: Option<f64>,
    /// Places behind the proxy that are always drained: `["10.0.1.5:80"]`.
    pub standby: Option<Vec<String>>,
    pub window: Option<Window>,
}

/// Who is in which arm.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Split {
    /// Of the route's traffic, that each arm is.
    #[schemars(range(min = 0, max = 0.5))]
    pub share: f64,
    /// `connection`, `client`, `header:NAME` or `cookie:NAME`.
    pub by: Option<String>,
}

/// One of `success-ratio` and `latency`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CanaryKpi {
    pub name: String,
    pub success_ratio: Option<SuccessRatioOfArms>,
    pub latency: Option<LatencyOfArms>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct SuccessRatioOfArms {
    /// How much less it may be in the experiment.
    #[schemars(range(min = 0, max = 1))]
    pub tolerance: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct LatencyOfArms {
    #[schemars(range(min = 0, max = 1))]
    pub quantile: f64,
    /// How much longer it may be in the experiment.
    pub tolerance: Duration,
}

/// When a canary may run; Monday to Friday, if no days are given.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Window {
    /// `mon` to `sun`.
    pub days: Option<Vec<String>>,
    /// `"09:00"`
    pub from: String,
    /// `"17:00"`, which is not in it.
    pub to: String,
    /// `Europe/Berlin`, `UTC`
    pub zone: String,
}
