//! What carries an activity out, and what came of it.
//!
//! | module | carries out |
//! |---|---|
//! | [`process`] | commands, in a process group of their own |
//! | [`http`] | requests, as Python's `requests` sends them |
//! | [`python`] | functions of the user's own Python, in a worker |
//! | `prometheus` | queries |
//! | `load` | open-loop HTTP load, for a while |
//! | [`fetch`] | no activity, but a document's text, from a file or a URL |
//!
//! A provider never decides what a result means: an exit code of 1 or a 503 is an output like any
//! other, and tolerances judge it.

pub mod cancel;
pub mod fetch;
pub mod http;
mod load;
pub mod process;
pub(crate) mod prometheus;
pub mod python;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use firedrill_experiment::call::Call;

pub use cancel::{Cancel, Canceller, canceller};

pub use firedrill_engine::effect::{Failure, Outcome};

/// What the providers of one drill share.
#[derive(Clone)]
pub struct ProvidersConfig {
    /// Check certificates where the call itself cannot say so.
    pub verify_tls: bool,
    /// The interpreter asked for with `--python`; else [`python::locate`] finds one.
    pub python: Option<PathBuf>,
    /// Where children start; ours when absent.
    pub directory: Option<PathBuf>,
    /// Of the drill: repeats the arrivals of a load.
    pub seed: u64,
    /// What the Python worker logs, prints and signals.
    pub listener: python::Listener,
}

impl fmt::Debug for ProvidersConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvidersConfig")
            .field("verify_tls", &self.verify_tls)
            .field("python", &self.python)
            .field("directory", &self.directory)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Default for ProvidersConfig {
    /// Trusts nobody, and listens to nothing.
    fn default() -> Self {
        Self {
            verify_tls: true,
            python: None,
            directory: None,
            seed: 0,
            listener: Arc::new(|_| ()),
        }
    }
}

/// Every provider of one drill. Cheap to clone.
#[derive(Clone)]
pub struct Providers {
    config: Arc<ProvidersConfig>,
    http: http::Client,
    python: python::Python,
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
        let python = python::Python::new(
            config.python.clone(),
            config.directory.clone(),
            Arc::clone(&config.listener),
        );
        Self {
            config: Arc::new(config),
            http: http::Client::new(),
            python,
        }
    }

    /// For validation, controls and notifications, which share the worker of the calls.
    pub fn python(&self) -> &python::Python {
        &self.python
    }

    pub(crate) fn http(&self) -> &http::Client {
        &self.http
    }

    pub(crate) fn verify_tls(&self) -> bool {
        self.config.verify_tls
    }

    /// Carries `call` out. Returns soon after `cancel`, with everything the call started ended.
    pub async fn call(&self, call: &Call, cancel: Cancel) -> Outcome {
        self.carry_out(call, false, cancel).await
    }

    /// The same for an activity in the background, which leaves Python's main thread alone.
    pub async fn call_in_background(&self, call: &Call, cancel: Cancel) -> Outcome {
        self.carry_out(call, true, cancel).await
    }

    /// Ends what outlives its calls: the Python worker.
    pub async fn shutdown(self) {
        self.python.shutdown().await;
    }

    async fn carry_out(&self, call: &Call, background: bool, cancel: Cancel) -> Outcome {
        match call {
            Call::Process(call) => {
                process::run(call, self.config.directory.as_deref(), cancel).await
            }
            Call::Http(call) => http::run(&self.http, call, cancel).await,
            Call::Python(call) => self.python.call(call, background, cancel).await,
            Call::Fault(_) => {
                Outcome::failed("a fault is asked of the guardian, not of a provider")
            }
            Call::Load(call) => load::run(call, self.config.seed, cancel).await,
            Call::Prometheus(call) => {
                prometheus::run(&self.http, call, self.config.verify_tls, cancel).await
            }
        }
    }
}
