//! The user's own Python, in a worker process that is started when first needed.
//!
//! | module | what it does |
//! |---|---|
//! | [`interpreter`] | which Python |
//! | [`session`] | one worker process: requests by id, replies in any order, its end |
//! | `worker.py` | the other side; the wire is described at its top |
//!
//! Calls share one worker, so that module state survives between them. A call runs on the worker's
//! main thread when that is free and on a thread of its own otherwise. A worker that dies takes its
//! pending calls with it, and the next call starts another, at most [`RESTARTS_MAX`] times.

mod interpreter;
mod session;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use firedrill_experiment::call::PythonCall;
use firedrill_experiment::journal::Interruption;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::{Cancel, Failure, Outcome};
pub use interpreter::locate;
pub use session::Death;
use session::{Lane, Session, Ticket};

/// After that many workers died, Python is given up for the drill.
pub const RESTARTS_MAX: u32 = 5;

/// How long a cancelled call may take to clean up before its worker is killed.
pub const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// What a worker says beside its replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEvent {
    /// Of the user's code and of extensions; levels are Python's (`INFO`).
    Log {
        level: String,
        logger: String,
        message: String,
    },
    /// A line the user's code printed, on either stream.
    Printed { line: String },
    /// A signal reached the worker: the user's code asks the drill to stop.
    Signal { name: String },
}

/// Called from the task that reads the worker: must not block.
pub type Listener = Arc<dyn Fn(WorkerEvent) + Send + Sync>;

/// Why a request to the worker has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PythonError {
    #[error("no Python interpreter was found; name one with --python")]
    NoInterpreter,
    #[error("{0}")]
    Died(Death),
    #[error("Python is given up: its worker ended {RESTARTS_MAX} times; the last time {0}")]
    GivenUp(Death),
    /// The worker could not do it, for a reason of the user's code or document.
    #[error("{}", .0.message)]
    Raised(Raised),
}

/// What came out of the user's Python instead of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    pub kind: RaisedKind,
    /// The class's name.
    pub class: String,
    pub message: String,
    /// As the journal's `exception` wants them.
    pub traceback: Vec<String>,
    /// Of `SystemExit`.
    pub code: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RaisedKind {
    ActivityFailed,
    Interrupt,
    Exit,
    Invalid,
    Unexpected,
}

/// What an activity's validation needs to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct PythonActivity {
    /// For the message.
    pub name: String,
    /// `probe` or `action`, for the message.
    pub kind: String,
    pub module: String,
    pub func: String,
    pub arguments: Map<String, Value>,
}

/// What controls changed. A field is absent when it is as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ControlReply {
    pub context: Option<Value>,
    pub state: Option<Value>,
    pub experiment: Option<Value>,
    pub configuration: Option<Value>,
    pub secrets: Option<Value>,
    /// Which of the controls, by index, could not be loaded, configured, applied or cleaned up.
    pub failed: Vec<usize>,
    /// How many handlers controls registered for [`Python::lifecycle`].
    pub event_handlers: u64,
    /// A control asked the run to stop, or is invalid.
    pub stopped: Option<Raised>,
}

/// A drill's Python. Cheap to clone; starts nothing before the first request.
#[derive(Clone)]
pub struct Python(Arc<Shared>);

struct Shared {
    interpreter: Option<PathBuf>,
    directory: Option<PathBuf>,
    listener: Listener,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    deaths: u32,
    /// Told again to a worker that replaces a dead one.
    experiment: Option<Map<String, Value>>,
}

impl fmt::Debug for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Python")
            .field("interpreter", &self.0.interpreter)
            .finish_non_exhaustive()
    }
}

impl Python {
    /// With `interpreter` or, without, the one that [`locate`] finds when it is needed.
    pub fn new(
        interpreter: Option<PathBuf>,
        directory: Option<PathBuf>,
        listener: Listener,
    ) -> Self {
        Self(Arc::new(Shared {
            interpreter,
            directory,
            listener,
            state: Mutex::default(),
        }))
    }

    /// Runs a function. Cancelled, it is interrupted as Chaos Toolkit would interrupt it; a call
    /// that goes on regardless is killed with its worker after [`CANCEL_GRACE`].
    pub async fn call(&self, call: &PythonCall, beside: bool, mut cancel: Cancel) -> Outcome {
        let lane = if beside { Lane::Side } else { Lane::Main };
        let body = json!({
            "module": call.module,
            "func": call.func,
            "arguments": call.arguments,
            "configuration": call.configuration,
            "secrets": call.secrets,
        });
        let (session, mut ticket) = tokio::select! {
            biased;
            reason = cancel.cancelled() => return Outcome::Interrupted(reason),
            asked = self.ask("call", object(body), lane) => match asked {
                Ok(asked) => asked,
                Err(error) => return outcome(Err(error)),
            },
        };
        tokio::select! {
            biased;
            reply = ticket.reply() => outcome(settle(reply)),
            reason = cancel.cancelled() => {
                stop(&session, &mut ticket, &reason).await;
                Outcome::Interrupted(reason)
            }
        }
    }

    /// Imports the module and binds the arguments. The errors are for the document's author.
    pub async fn validate(&self, activity: &PythonActivity) -> Result<(), Vec<String>> {
        let PythonActivity {
            name,
            kind,
            module,
            func,
            arguments,
        } = activity;
        let body = json!({"name": name, "type": kind, "module": module, "func": func, "arguments": arguments});
        match self.request("validate", object(body)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(vec![error.to_string()]),
        }
    }

    /// Applies controls for a hook such as `before_activity_control`. The payload's fields are
    /// those of the wire: `controls`, `context` or `context_path`, `state`, `experiment`,
    /// `configuration`, `secrets`, `settings`.
    pub async fn control(
        &self,
        hook: &str,
        payload: Map<String, Value>,
    ) -> Result<ControlReply, PythonError> {
        let mut body = payload;
        body.insert("hook".to_owned(), json!(hook));
        let (_, mut ticket) = self.ask("control", body, Lane::Main).await?;
        let mut reply = match ticket.reply().await {
            Ok(reply) => reply,
            Err(death) => return Err(PythonError::Died(death)),
        };
        let stopped = (reply.get("ok") != Some(&Value::Bool(true))).then(|| raised(&reply));
        let mut changed = reply.remove("changed").map(object).unwrap_or_default();
        let failed = reply
            .get("failed")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        Ok(ControlReply {
            context: changed.remove("context"),
            state: changed.remove("state"),
            experiment: changed.remove("experiment"),
            configuration: changed.remove("configuration"),
            secrets: changed.remove("secrets"),
            failed: failed
                .iter()
                .filter_map(|index| usize::try_from(index.as_u64()?).ok())
                .collect(),
            event_handlers: reply
                .get("event_handlers")
                .and_then(Value::as_u64)
                .unwrap_or(0),
            stopped,
        })
    }

    /// Shows the drill to extensions that look it up. Fields: `experiment`, `settings`,
    /// `configuration`, `secrets`, `global_controls`. A worker that replaces this one is told too.
    pub async fn experiment(&self, payload: Map<String, Value>) -> Result<(), PythonError> {
        self.request("experiment", payload.clone()).await?;
        self.0.state.lock().await.experiment = Some(payload);
        Ok(())
    }

    /// Tells the event handlers that controls registered; their number is the answer. Nobody is
    /// told, and nothing started, when no worker runs.
    pub async fn lifecycle(&self, name: &str, arguments: Vec<Value>) -> Result<u64, PythonError> {
        if !self.is_running().await {
            return Ok(0);
        }
        let reply = self
            .request(
                "lifecycle",
                object(json!({"name": name, "arguments": arguments})),
            )
            .await?;
        Ok(reply.get("handlers").and_then(Value::as_u64).unwrap_or(0))
    }

    /// Calls a notification plugin; false when there is no such function.
    pub async fn notify(
        &self,
        module: &str,
        func: &str,
        channel: &Value,
        payload: &Value,
    ) -> Result<bool, PythonError> {
        let body = json!({"module": module, "func": func, "channel": channel, "payload": payload});
        let reply = self.request("notify", object(body)).await?;
        Ok(reply
            .get("called")
            .and_then(Value::as_bool)
            .unwrap_or(false))
    }

    /// Version of the interpreter and of the packages that matter: `python`, `executable`,
    /// `chaoslib`, `addons`.
    pub async fn hello(&self) -> Result<Map<String, Value>, PythonError> {
        self.request("hello", Map::new()).await
    }

    /// Whether a worker has been started and lives.
    pub async fn is_running(&self) -> bool {
        self.0
            .state
            .lock()
            .await
            .session
            .as_ref()
            .is_some_and(|session| session.death().is_none())
    }

    /// Lets the worker end, and ends it if it does not.
    pub async fn shutdown(&self) {
        let session = self.0.state.lock().await.session.take();
        if let Some(session) = session {
            session.shutdown(CANCEL_GRACE).await;
        }
    }

    /// One request on the main thread.
    async fn request(
        &self,
        operation: &str,
        body: Map<String, Value>,
    ) -> Result<Map<String, Value>, PythonError> {
        let (_, mut ticket) = self.ask(operation, body, Lane::Main).await?;
        let reply = ticket.reply().await;
        settle(reply)
    }

    async fn ask(
        &self,
        operation: &str,
        body: Map<String, Value>,
        lane: Lane,
    ) -> Result<(Arc<Session>, Ticket), PythonError> {
        let session = self.session().await?;
        match session.ask(operation, body, lane) {
            Ok(ticket) => Ok((session, ticket)),
            Err(death) => Err(PythonError::Died(death)),
        }
    }

    async fn session(&self) -> Result<Arc<Session>, PythonError> {
        let mut state = self.0.state.lock().await;
        if let Some(session) = &state.session {
            match session.death() {
                None => return Ok(Arc::clone(session)),
                Some(death) if state.deaths >= RESTARTS_MAX => {
                    return Err(PythonError::GivenUp(death));
                }
                Some(_) => state.deaths += 1,
            }
        }
        let interpreter = self
            .0
            .interpreter
            .clone()
            .or_else(locate)
            .ok_or(PythonError::NoInterpreter)?;
        let started = Session::start(
            &interpreter,
            self.0.directory.as_deref(),
            Arc::clone(&self.0.listener),
        )
        .await;
        let session = Arc::new(started.map_err(PythonError::Died)?);
        if let Some(experiment) = state.experiment.clone() {
            // Were it to die of it, the request that follows would tell.
            let _told = session.ask("experiment", experiment, Lane::Main);
        }
        state.session = Some(Arc::clone(&session));
        Ok(session)
    }
}

fn settle(reply: Result<Map<String, Value>, Death>) -> Result<Map<String, Value>, PythonError> {
    match reply {
        Ok(reply) if reply.get("ok") == Some(&Value::Bool(true)) => Ok(reply),
        Ok(reply) => Err(PythonError::Raised(raised(&reply))),
        Err(death) => Err(PythonError::Died(death)),
    }
}

/// Asks the running function to stop, then ends the worker if it does not.
async fn stop(session: &Session, ticket: &mut Ticket, reason: &Interruption) {
    session.interrupt(ticket, reason.name.as_deref().unwrap_or("SIGINT"));
    if tokio::time::timeout(CANCEL_GRACE, ticket.reply())
        .await
        .is_err()
    {
        session.kill("a cancelled call did not stop").await;
    }
}

fn outcome(reply: Result<Map<String, Value>, PythonError>) -> Outcome {
    match reply {
        Ok(mut reply) => Outcome::Succeeded(reply.remove("output").unwrap_or(Value::Null)),
        Err(PythonError::Raised(raised)) => raised.into(),
        Err(error @ PythonError::NoInterpreter) => {
            Outcome::aborted("FileNotFoundError", error.to_string())
        }
        Err(error @ (PythonError::Died(_) | PythonError::GivenUp(_))) => {
            Outcome::failed(error.to_string())
        }
    }
}

impl From<Raised> for Outcome {
    fn from(raised: Raised) -> Self {
        let failure = Failure {
            message: raised.message.clone(),
            exception: raised.traceback.clone(),
        };
        match raised.kind {
            RaisedKind::ActivityFailed => Self::Failed(failure),
            RaisedKind::Invalid | RaisedKind::Unexpected => Self::Aborted(failure),
            RaisedKind::Interrupt | RaisedKind::Exit => Self::Interrupted(raised.interruption()),
        }
    }
}

impl Raised {
    /// How a drill that this ends was interrupted. Only `SIGUSR2` forbids rollbacks.
    pub fn interruption(&self) -> Interruption {
        let signal = match (self.class.as_str(), self.code) {
            ("KeyboardInterrupt", _) => Some("SIGINT"),
            ("SystemExit", Some(20)) => Some("SIGUSR1"),
            ("SystemExit", Some(30)) => Some("SIGUSR2"),
            _ if self.message == "SIGTERM signal received" => Some("SIGTERM"),
            _ => None,
        };
        let kind = match (self.kind, signal) {
            (_, Some(_)) => "signal",
            (RaisedKind::Exit, None) => "exit",
            _ => "interrupt",
        };
        let reason = match signal {
            Some(signal) => format!("received {signal}"),
            None if self.message.is_empty() => self.class.clone(),
            None => self.message.clone(),
        };
        Interruption {
            kind: kind.to_owned(),
            name: signal.map(str::to_owned),
            reason,
        }
    }
}

fn raised(reply: &Map<String, Value>) -> Raised {
    let error = reply.get("error");
    let text = |key: &str| {
        error
            .and_then(|error| error.get(key))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let kind = match text("kind").as_str() {
        "activity_failed" => RaisedKind::ActivityFailed,
        "interrupt" => RaisedKind::Interrupt,
        "exit" => RaisedKind::Exit,
        "invalid" => RaisedKind::Invalid,
        _ => RaisedKind::Unexpected,
    };
    let lines = error
        .and_then(|error| error.get("traceback"))
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    Raised {
        kind,
        class: text("type"),
        message: text("message"),
        traceback: lines
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        code: error
            .and_then(|error| error.get("code"))
            .and_then(Value::as_i64),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
