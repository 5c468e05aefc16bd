//! The key `margin`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Duration;

/// What `firedrill margin` asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Margins {
    One(Box<Margin>),
    /// One after the other, each with a name of its own.
    Several(Vec<Margin>),
}

/// How much of one dimension the system bears.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Margin {
    /// Needed in a list of several.
    pub name: Option<String>,
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
    /// What else the answer holds for: values, or `{provider, jsonpath}`, read before and after.
    pub context: Option<Map<String, Value>>,
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

/// Goes on to the break point. One of `non-production` and `arm`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Search {
    /// The target may be broken.
    pub non_production: Option<bool>,
    pub arm: Option<Arm>,
    /// How far a trial goes beyond what was seen to hold: a factor, or a magnitude.
    pub jump_max: Option<Value>,
    /// The boundary once more from above.
    pub hysteresis: Option<bool>,
}

/// The share of live traffic that may be broken: the experiment arm of the route of the fault, and of
/// the KPI's in front of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Arm {
    #[schemars(range(min = 0, max = 0.5))]
    pub share: f64,
    /// `connection`, `client`, `header:NAME` or `cookie:NAME`.
    pub by: Option<String>,
    /// At the KPI's route, where that is another; `by`, if not given.
    pub front_by: Option<String>,
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
