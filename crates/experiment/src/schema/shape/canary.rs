//! The key `canary`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, Dwell, KpiProvider};

/// A fault for one of two arms, compared with the other: what `firedrill canary` asks. One of `split`
/// and `arms`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Canary {
    /// The fault of the method that the experiment arm has; needed where there are several.
    pub activity: Option<String>,
    pub split: Option<Split>,
    pub arms: Option<Arms>,
    pub front: Option<Front>,
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

/// Two places that others lead traffic to, each with its own source.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arms {
    pub control: KpiProvider,
    /// Of the instance that gets the fault, alone.
    pub experiment: KpiProvider,
}

/// Shares of a route.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Split {
    /// Of the route's traffic, that each arm is.
    #[schemars(range(min = 0, max = 0.5))]
    pub share: f64,
    /// `connection`, `client`, `header:NAME` or `cookie:NAME`.
    pub by: Option<String>,
    /// Where a KPI is of users: how long a user is watched at most, before it counts.
    pub epoch: Option<Duration>,
}

/// The route whose arms are compared, where the fault is on one behind it. Services in between pass
/// the header or cookie on.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Front {
    /// A route of the same proxy.
    pub route: String,
    /// `header:NAME` or `cookie:NAME`; that of `split`, if not given.
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
    /// Of requests, if not given; or of users, each of them once: whether a bad answer came to it.
    pub of: Option<RatioOf>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RatioOf {
    Requests,
    Users,
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
