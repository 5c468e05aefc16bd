//! An activity with its variables filled in: what a provider executes.

use std::time::Duration;

use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Process(ProcessCall),
    Http(HttpCall),
    Python(PythonCall),
    Fault(FaultCall),
    Load(LoadCall),
    Prometheus(PrometheusCall),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ProcessCall {
    pub command: Command,
    pub timeout: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Given to `sh -c`, as Chaos Toolkit does with string arguments.
    Shell(String),
    Argv(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct HttpCall {
    pub url: String,
    pub method: String,
    /// Values are strings; anything else aborts the run, as in Chaos Toolkit.
    pub headers: Map<String, Value>,
    pub arguments: Option<Value>,
    pub connect_timeout: Option<Duration>,
    pub read_timeout: Option<Duration>,
    pub verify_tls: bool,
    pub max_retries: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PythonCall {
    pub module: String,
    pub func: String,
    pub arguments: Map<String, Value>,
    pub configuration: Map<String, Value>,
    /// The groups the provider asked for, flattened as Chaos Toolkit does.
    pub secrets: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FaultCall {
    pub name: String,
    pub target: Value,
    pub duration: Duration,
    pub arguments: Map<String, Value>,
}

/// Open-loop HTTP load.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadCall {
    pub url: String,
    pub method: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    /// Requests per second.
    pub rate: f64,
    pub poisson: bool,
    pub connections: usize,
    pub timeout: Duration,
    /// Absent for a KPI: as long as the drill.
    pub duration: Option<Duration>,
    /// A response header that marks reduced functionality.
    pub degraded_header: Option<String>,
}

/// <https://prometheus.io/docs/prometheus/latest/querying/api/>
#[derive(Debug, Clone, PartialEq)]
pub struct PrometheusCall {
    pub url: String,
    pub query: String,
    /// Absent: an instant query.
    pub range: Option<PrometheusRange>,
    pub timeout: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PrometheusRange {
    /// Seconds before now.
    pub last: Duration,
    pub step: Duration,
}
