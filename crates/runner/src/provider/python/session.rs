//! One worker process, from its start to its end.
//!
//! ```text
//! ask ──> line ──> writer task ──> stdin │        │
//!                                        │ worker │
//! Ticket <── pending[id] <── reader task <── stdout │
//!                              └─ events ──> listener <── stderr
//! ```

mod death;
mod pipes;

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Listener, WorkerEvent};
use crate::provider::process::{Group, TERM_GRACE};
pub use death::Death;
use pipes::Tail;

/// Given to `python -c`; Linux takes arguments of up to 128 KiB.
const SOURCE: &str = include_str!("worker.py");

/// The wire this client speaks.
const PROTOCOL: u64 = 1;

/// How long an interpreter may take to say hello: imports from a cold disk included.
const START_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// The worker's main thread, unless it is busy.
    Main,
    /// A thread of its own.
    Side,
}

type Reply = Result<Map<String, Value>, Death>;

pub(super) struct Session {
    lines: mpsc::UnboundedSender<String>,
    pending: Arc<Mutex<Pending>>,
    kill: watch::Sender<Option<String>>,
    ended: watch::Receiver<Option<Death>>,
}

/// A request on its way.
pub(super) struct Ticket {
    id: u64,
    lane: Lane,
    reply: oneshot::Receiver<Reply>,
}

#[derive(Default)]
struct Pending {
    last_id: u64,
    /// The request that has the main thread.
    main: Option<u64>,
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    death: Option<Death>,
}

impl Ticket {
    pub(super) async fn reply(&mut self) -> Reply {
        (&mut self.reply)
            .await
            .unwrap_or_else(|_| Err(Death::unknown()))
    }
}

impl Session {
    /// Starts the worker and waits for its hello.
    pub(super) async fn start(
        python: &Path,
        directory: Option<&Path>,
        listener: Listener,
    ) -> Result<Self, Death> {
        let mut command = tokio::process::Command::new(python);
        command
            .args(["-u", "-c", SOURCE])
            .env(crate::provider::process::SPARE_MARK, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        let not_started = |error: std::io::Error| Death::not_started(python, &error);
        let mut child = command.spawn().map_err(not_started)?;
        let group = Group::of(&child).map_err(not_started)?;
        let pending = Arc::new(Mutex::new(Pending::default()));
        let (lines, queue) = mpsc::unbounded_channel();
        let (kill, killed) = watch::channel(None);
        let (ending, ended) = watch::channel(None);
        let tail = Tail::default();
        if let Some(stdin) = child.stdin.take() {
            tokio::spawn(pipes::write(stdin, queue));
        }
        let stderr = tokio::spawn(pipes::read_stderr(
            child.stderr.take(),
            tail.clone(),
            Arc::clone(&listener),
        ));
        let replies = Arc::clone(&pending);
        let stdout = tokio::spawn(pipes::read_stdout(child.stdout.take(), move |message| {
            dispatch(message, &replies, &listener);
        }));
        let watched = Arc::clone(&pending);
        tokio::spawn(async move {
            let why = until_over(stdout, killed).await;
            group.end(TERM_GRACE, group.leader_exited()).await;
            group.release();
            let status = child.wait().await.ok();
            // A daemon of the user's code may hold the pipe; its last words are not worth a wait.
            let _held = tokio::time::timeout(Duration::from_millis(200), stderr).await;
            let death = Death::of(status, why, tail.lines());
            bury(&watched, &death);
            ending.send_replace(Some(death));
        });
        let session = Self {
            lines,
            pending,
            kill,
            ended,
        };
        session.greet().await?;
        Ok(session)
    }

    /// Sends a request. It fails only when the worker has ended.
    pub(super) fn ask(
        &self,
        operation: &str,
        body: Map<String, Value>,
        lane: Lane,
    ) -> Result<Ticket, Death> {
        let mut pending = lock(&self.pending);
        if let Some(death) = &pending.death {
            return Err(death.clone());
        }
        pending.last_id += 1;
        let id = pending.last_id;
        let lane = if pending.main.is_some() {
            Lane::Side
        } else {
            lane
        };
        let mut request = body;
        request.insert("id".to_owned(), json!(id));
        request.insert("op".to_owned(), json!(operation));
        match lane {
            Lane::Main => pending.main = Some(id),
            Lane::Side => {
                request.insert("background".to_owned(), json!(true));
            }
        }
        let (answer, reply) = oneshot::channel();
        pending.waiting.insert(id, answer);
        // Queued under the lock: the order on the wire is that of the ids. A closed queue is a
        // dying worker, whose death answers every pending request.
        let _dying = self.lines.send(Value::Object(request).to_string());
        Ok(Ticket { id, lane, reply })
    }

    /// Raises in the running function what Chaos Toolkit would raise for `signal`.
    pub(super) fn interrupt(&self, ticket: &Ticket, signal: &str) {
        let signal = if matches!(signal, "SIGTERM" | "SIGUSR1" | "SIGUSR2") {
            signal
        } else {
            "SIGINT"
        };
        let request = match ticket.lane {
            Lane::Main => json!({"id": null, "op": "interrupt", "signal": signal}),
            Lane::Side => json!({"id": null, "op": "cancel", "call": ticket.id}),
        };
        let _dying = self.lines.send(request.to_string());
    }

    /// Why the worker ended, if it has.
    pub(super) fn death(&self) -> Option<Death> {
        lock(&self.pending).death.clone()
    }

    /// Ends the worker and everything in its group, and waits until they are gone.
    pub(super) async fn kill(&self, why: &str) {
        self.kill.send_replace(Some(why.to_owned()));
        let mut ended = self.ended.clone();
        // An error means that the task that ends it is gone, and the process with it.
        let _gone = ended.wait_for(Option::is_some).await;
    }

    /// Lets it end by itself for `grace`.
    pub(super) async fn shutdown(&self, grace: Duration) {
        let _dying = self
            .lines
            .send(json!({"id": null, "op": "shutdown"}).to_string());
        let mut ended = self.ended.clone();
        if tokio::time::timeout(grace, ended.wait_for(Option::is_some))
            .await
            .is_err()
        {
            self.kill("the drill is over").await;
        }
    }

    async fn greet(&self) -> Result<(), Death> {
        let mut ticket = self.ask("hello", Map::new(), Lane::Main)?;
        let Ok(hello) = tokio::time::timeout(START_MAX, ticket.reply()).await else {
            self.kill("it did not say hello in time").await;
            return Err(self.death().unwrap_or_else(Death::unknown));
        };
        if hello?.get("protocol").and_then(Value::as_u64) == Some(PROTOCOL) {
            return Ok(());
        }
        self.kill("it does not speak this worker's protocol").await;
        Err(self.death().unwrap_or_else(Death::unknown))
    }
}

/// The end of its output, or an order to end it; the order is the answer.
async fn until_over(
    stdout: tokio::task::JoinHandle<()>,
    mut killed: watch::Receiver<Option<String>>,
) -> Option<String> {
    let order = async {
        match killed.wait_for(Option::is_some).await {
            Ok(why) => why.clone(),
            // The session was dropped: nobody needs the worker.
            Err(_) => None,
        }
    };
    tokio::select! {
        _ = stdout => None,
        why = order => why,
    }
}

fn dispatch(mut message: Map<String, Value>, pending: &Mutex<Pending>, listener: &Listener) {
    let text = |message: &Map<String, Value>, key: &str| {
        message
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    match message.get("event").and_then(Value::as_str) {
        Some("log") => listener(WorkerEvent::Log {
            level: text(&message, "level"),
            logger: text(&message, "logger"),
            message: text(&message, "message"),
        }),
        Some("interrupt") => listener(WorkerEvent::Signal {
            name: text(&message, "signal"),
        }),
        // Of a newer worker than this client: nothing here could act on it.
        Some(_) => {}
        None => {
            let Some(id) = message.remove("id").and_then(|id| id.as_u64()) else {
                return;
            };
            let mut pending = lock(pending);
            if pending.main == Some(id) {
                pending.main = None;
            }
            if let Some(answer) = pending.waiting.remove(&id) {
                // Nobody waits any more: the call was dropped.
                let _dropped = answer.send(Ok(message));
            }
        }
    }
}

fn bury(pending: &Mutex<Pending>, death: &Death) {
    let mut pending = lock(pending);
    pending.death = Some(death.clone());
    pending.main = None;
    for (_, answer) in pending.waiting.drain() {
        let _dropped = answer.send(Err(death.clone()));
    }
}

fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
