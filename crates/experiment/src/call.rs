//! An activity with its variables filled in: what a provider executes.

mod http;
mod load;
mod process;
mod prometheus;
mod python;
mod source;

use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::document::Provider;
use crate::scope::Scope;
use crate::substitute::{substitute, substitute_unless_empty};
use crate::units;

pub use load::{KEYS as LOAD_KEYS, read as read_load};
pub use prometheus::{KEYS as PROMETHEUS_KEYS, read as read_prometheus};
pub use source::{
    Counters, CountersCall, KPI_TYPES, KpiSource, ProxyArm, Traffic, keys as kpi_keys,
    read as read_kpi, resolve_kpi,
};

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
    /// The groups the provider asked for, flattened as Chaos Toolkit does; none if it asked for none.
    pub secrets: Option<Map<String, Value>>,
}

#[derive(Default, Debug, Clone, PartialEq)]
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

/// Why an activity cannot be carried out as written.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{message}")]
pub struct ResolveError {
    /// In Python's words where Chaos Toolkit would raise.
    pub message: String,
    pub consequence: Consequence,
}

/// What becomes of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// The activity fails and the method goes on.
    FailsActivity,
    /// Chaos Toolkit does not expect this, and aborts.
    AbortsRun,
}

/// One field of a provider of ours that is missing or cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub key: &'static str,
    pub message: String,
    pub missing: bool,
}

/// Fills a provider's variables in, each field by Chaos Toolkit's rule for it.
///
/// # Errors
/// See [`ResolveError`].
pub fn resolve(provider: &Provider, scope: &Scope) -> Result<Call, ResolveError> {
    match provider {
        Provider::Process {
            path,
            arguments,
            timeout,
        } => process::resolve(path, arguments.as_ref(), timeout.as_ref(), scope).map(Call::Process),
        Provider::Http { raw } => http::resolve(raw, scope).map(Call::Http),
        Provider::Python {
            module,
            func,
            arguments,
            secrets,
        } => python::resolve(module, func, arguments, secrets, scope).map(Call::Python),
        Provider::Fault {
            name,
            target,
            duration,
            arguments,
        } => {
            let duration = match duration {
                Some(value) => units::duration(&substitute(value, scope))
                    .map_err(|error| fails(format!("the fault's duration: {error}")))?,
                None => return Err(fails("a fault needs a duration".to_owned())),
            };
            let arguments = substitute_unless_empty(&Value::Object(arguments.clone()), scope);
            Ok(Call::Fault(FaultCall {
                name: name.clone(),
                target: substitute(target, scope),
                duration,
                arguments: arguments.as_object().cloned().unwrap_or_default(),
            }))
        }
        Provider::Load { raw } => load::read(&filled(raw, scope))
            .map(Call::Load)
            .map_err(|error| fails(format!("load: {}", error.message))),
        Provider::Prometheus { raw } => prometheus::read(&filled(raw, scope))
            .map(Call::Prometheus)
            .map_err(|error| fails(format!("prometheus: {}", error.message))),
    }
}

fn filled(raw: &Map<String, Value>, scope: &Scope) -> Map<String, Value> {
    raw.iter()
        .map(|(key, value)| (key.clone(), substitute_unless_empty(value, scope)))
        .collect()
}

fn fails(message: String) -> ResolveError {
    ResolveError {
        message,
        consequence: Consequence::FailsActivity,
    }
}

fn aborts(message: impl Into<String>) -> ResolveError {
    ResolveError {
        message: message.into(),
        consequence: Consequence::AbortsRun,
    }
}

#[cfg(test)]
mod tests;
