//! What carries an activity out, and what came of it.
//!
//! | module | carries out |
//! |---|---|
//! | [`process`] | commands, in a process group of their own |
//! | [`http`] | requests, as Python's `requests` sends them |
//!
//! A provider never decides what a result means: an exit code of 1 or a 503 is an output like any
//! other, and tolerances judge it.

pub mod cancel;
pub mod http;
pub mod process;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use firedrill_experiment::call::{Call, FaultCall};
use firedrill_experiment::journal::Interruption;
use serde_json::Value;

pub use cancel::{Cancel, Canceller, canceller};

/// What came of a call.
#[derive(Debug, Clone)]
pub enum Outcome {
    Succeeded(Value),
    /// The activity failed; the run goes on.
    Failed(Failure),
    /// Nobody expected this; the run ends, as in Chaos Toolkit.
    Aborted(Failure),
    /// Somebody, or the activity itself, asked the run to stop.
    Interrupted(Interruption),
}

/// Why an activity has no output. Never holds arguments, headers or secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub message: String,
    /// As the journal's `exception` wants them: each line ends in a newline.
    pub exception: Vec<String>,
}

impl Failure {
    /// An activity that failed, in the words Chaos Toolkit has for it.
    pub fn activity(message: impl Into<String>) -> Self {
        Self::raised("chaoslib.exceptions.ActivityFailed", message)
    }

    /// An exception that Chaos Toolkit would not have caught.
    pub fn raised(class: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            exception: vec![format!("{class}: {message}\n")],
            message,
        }
    }
}

impl Outcome {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Failure::activity(message))
    }

    pub(crate) fn aborted(class: &str, message: impl Into<String>) -> Self {
        Self::Aborted(Failure::raised(class, message))
    }
}

/// Where faults are carried out; the guardian is not this crate's business.
pub trait FaultPort: Send + Sync {
    fn inject<'a>(
        &'a self,
        call: &'a FaultCall,
        cancel: Cancel,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
}

/// What the providers of one drill share.
#[derive(Debug, Clone, Default)]
pub struct ProvidersConfig {
    /// Check certificates where the call itself cannot say so.
    pub verify_tls: bool,
    /// The interpreter asked for with `--python`.
    pub python: Option<PathBuf>,
    /// Where children start; ours when absent.
    pub directory: Option<PathBuf>,
}

/// Every provider of one drill. Cheap to clone.
#[derive(Clone)]
pub struct Providers {
    config: Arc<ProvidersConfig>,
    http: http::Client,
    faults: Option<Arc<dyn FaultPort>>,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Providers {
    /// Starts nothing: interpreters and certificates wait until a call needs them.
    pub fn new(config: ProvidersConfig) -> Self {
        Self {
            config: Arc::new(config),
            http: http::Client::new(),
            faults: None,
        }
    }

    /// Where `fault` calls go; without it they fail.
    pub fn with_faults(self, faults: Arc<dyn FaultPort>) -> Self {
        Self {
            faults: Some(faults),
            ..self
        }
    }

    /// Carries `call` out. Returns soon after `cancel`, with everything the call started ended.
    pub async fn call(&self, call: &Call, cancel: Cancel) -> Outcome {
        match call {
            Call::Process(call) => {
                process::run(call, self.config.directory.as_deref(), cancel).await
            }
            Call::Http(call) => http::run(&self.http, call, cancel).await,
            Call::Fault(call) => match &self.faults {
                Some(port) => port.inject(call, cancel).await,
                None => Outcome::failed("no fault can be injected here"),
            },
            Call::Python(_) | Call::Load(_) | Call::Prometheus(_) => {
                Outcome::failed("this provider is not built in")
            }
        }
    }
}
