//! An engine, and everything that is asked of it.

mod discovery;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firedrill_kernel::freezer::{self, Hierarchy};
use firedrill_kernel::{Signal, process};
use rustix::time::Timespec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::http::{self, Answer, HttpError, Method};
use crate::{Container, Details, EngineError, Selector, State};

/// An engine by its socket. Holds nothing open.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    pub kind: Kind,
    pub socket: PathBuf,
    /// For each request; see [`Engine::within`].
    #[serde(skip, default = "patience")]
    patience: Duration,
}

/// A request that is being carried out: an engine answers a stop only when it is over. Dropped, it
/// is still carried out, and its answer goes nowhere.
#[derive(Debug)]
pub struct Request {
    engine: Engine,
    id: String,
    request: String,
    sent: http::Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Docker,
    Podman,
}

/// What an engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What really answers: Podman's socket may bear Docker's name.
    pub kind: Kind,
    pub version: String,
    /// Of the Engine API, such as `1.41`.
    pub api: String,
}

/// What a request for a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Done,
    /// It was so before; nothing was done by us, and there is nothing to undo.
    Already,
}

/// For anything that should take an engine milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long Docker's own events may lag behind what it did.
const SETTLE: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

/// The oldest API whose fields and statuses we rely on; Podman's compatible API begins here too.
const API_OLDEST: &str = "1.24";

impl Engine {
    #[must_use]
    pub fn at(kind: Kind, socket: PathBuf) -> Self {
        Self {
            kind,
            socket,
            patience: PATIENCE,
        }
    }

    /// The same engine, with this much time for each request instead of 10 s.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The engines whose sockets are here: `DOCKER_HOST` and `CONTAINER_HOST` where they are
    /// `unix://` (whether or not anything is there), then the usual places of root and of this
    /// user, each socket once. An engine on another machine is not ours to break, and not listed.
    #[must_use]
    pub fn found() -> Vec<Self> {
        discovery::found(|name| std::env::var_os(name))
    }

    /// # Errors
    /// When it does not run, may not be used, or speaks too old an API; see [`EngineError::hint`].
    pub fn version(&self) -> Result<Version, EngineError> {
        let told: Told = self.get("/version")?;
        if number(&told.api_version) < number(API_OLDEST) {
            return Err(EngineError::TooOld {
                socket: self.socket.clone(),
                found: told.api_version,
                oldest: API_OLDEST,
            });
        }
        let components = told.components.unwrap_or_default();
        let is_podman = components.iter().any(|part| part.name.contains("Podman"));
        Ok(Version {
            kind: if is_podman {
                Kind::Podman
            } else {
                Kind::Docker
            },
            version: told.version,
            api: told.api_version,
        })
    }

    /// The containers with processes; with `all`, also those without.
    ///
    /// # Errors
    /// When the engine does not answer, or not in a form we understand.
    pub fn list(&self, all: bool) -> Result<Vec<Container>, EngineError> {
        // All are asked for, because Podman's short list leaves out paused containers.
        let mut containers: Vec<Container> = self.get("/containers/json?all=1")?;
        containers.retain(|container| all || container.state.has_processes());
        Ok(containers)
    }

    /// The containers of [`Engine::list`] with all of these properties.
    ///
    /// # Errors
    /// As [`Engine::list`].
    pub fn select(&self, all: bool, by: &[Selector]) -> Result<Vec<Container>, EngineError> {
        let mut containers = self.list(all)?;
        containers.retain(|container| by.iter().all(|selector| selector.matches(container)));
        Ok(containers)
    }

    /// # Errors
    /// [`EngineError::Gone`] when there is none; else as [`Engine::list`].
    pub fn inspect(&self, id: &str) -> Result<Details, EngineError> {
        let mut details: Details = self.get(&self.container(id, "json")?)?;
        let Some(pid) = details.pid else {
            return Ok(details);
        };
        let groups = process::cgroups(pid).map_err(|source| EngineError::Process {
            id: details.id.clone(),
            pid,
            source,
        })?;
        // A process that ended since the engine answered has neither.
        if let Some(groups) = groups {
            details.cgroups = groups;
            details.frozen = is_frozen(pid);
            details.network_namespace = Some(PathBuf::from(format!("/proc/{pid}/ns/net")));
        }
        Ok(details)
    }

    /// Sends a signal to the first process of the container.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] when it does not run; [`EngineError::Gone`].
    pub fn kill(&self, id: &str, signal: Signal) -> Result<(), EngineError> {
        let action = format!("kill?signal={}", name(signal));
        self.post(id, &action, self.patience).map(|_| ())
    }

    /// Freezes every process of the container. [`Change::Already`] means that somebody else had
    /// paused it, so that the pause is not ours to undo. After any other error than a conflict it
    /// may be paused: look.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] when it does not run; [`EngineError::Gone`].
    pub fn pause(&self, id: &str) -> Result<Change, EngineError> {
        // Docker answers a conflict for a paused container, for one that it does not yet know to be
        // unpaused, and for one that does not run.
        match self.post(id, "pause", self.patience) {
            Err(error @ EngineError::Conflict { .. }) => {
                let details = self.settled(id)?;
                match details.state {
                    _ if details.paused => Ok(Change::Already),
                    State::Running => self.post(id, "pause", self.patience),
                    _ => Err(error),
                }
            }
            answer => answer,
        }
    }

    /// # Errors
    /// [`EngineError::Gone`], or when it is still paused; [`EngineError::StillFrozen`] when only
    /// the engine believes that it is not.
    pub fn unpause(&self, id: &str) -> Result<Change, EngineError> {
        match self.post(id, "unpause", self.patience) {
            // Docker 20.10 answers 500 for a container that is not paused, or that it does not yet
            // know to be paused.
            Err(EngineError::Conflict { .. } | EngineError::Refused { .. }) => {}
            answer => return answer,
        }
        let details = self.settled(id)?;
        if details.paused {
            return self.post(id, "unpause", self.patience);
        }
        if details.frozen == Some(true) {
            return Err(EngineError::StillFrozen {
                id: id.to_owned(),
                pid: details.pid.unwrap_or_default(),
            });
        }
        Ok(Change::Already)
    }

    /// Inspects until engine and kernel agree on whether it is paused, or a time is over.
    pub(crate) fn settled(&self, id: &str) -> Result<Details, EngineError> {
        let start = Instant::now();
        loop {
            let details = self.inspect(id)?;
            if details.is_settled() || start.elapsed() > SETTLE {
                return Ok(details);
            }
            // An interrupted wait is only shorter.
            let _ = rustix::event::poll(&mut [], Some(&BETWEEN_LOOKS));
        }
    }

    /// Ends it by its stop signal, and by SIGKILL after `grace` (whole seconds, rounded up).
    /// Podman answers status 500 for a paused container: unpause it first.
    ///
    /// # Errors
    /// [`EngineError::Gone`], or when the engine is late.
    pub fn stop(&self, id: &str, grace: Duration) -> Result<Change, EngineError> {
        let action = format!("stop?t={}", whole_seconds(grace));
        self.post(id, &action, grace + self.patience)
    }

    /// # Errors
    /// [`EngineError::Gone`], or when it cannot be started.
    pub fn start(&self, id: &str) -> Result<Change, EngineError> {
        self.post(id, "start", self.patience)
    }

    /// Stops it as [`Engine::stop`] does and starts it; starts one that did not run.
    ///
    /// # Errors
    /// [`EngineError::Gone`], or when it cannot be started.
    pub fn restart(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        let action = format!("restart?t={}", whole_seconds(grace));
        self.post(id, &action, grace + self.patience).map(|_| ())
    }

    /// Begins what [`Engine::stop`] does, without waiting for the end of it.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub fn begin_stop(&self, id: &str, grace: Duration) -> Result<Request, EngineError> {
        self.begin(id, &format!("stop?t={}", whole_seconds(grace)))
    }

    /// Begins what [`Engine::restart`] does, without waiting for the end of it.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub fn begin_restart(&self, id: &str, grace: Duration) -> Result<Request, EngineError> {
        self.begin(id, &format!("restart?t={}", whole_seconds(grace)))
    }

    fn begin(&self, id: &str, action: &str) -> Result<Request, EngineError> {
        let target = self.container(id, action)?;
        let request = format!("POST {target}");
        let sent = http::send(&self.socket, Method::Post, &target, self.patience)
            .map_err(|error| self.failed(&request, self.patience, error))?;
        Ok(Request {
            engine: self.clone(),
            id: id.to_owned(),
            request,
            sent,
        })
    }

    fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, EngineError> {
        let request = format!("GET {target}");
        let answer = http::exchange(&self.socket, Method::Get, target, self.patience)
            .map_err(|error| self.failed(&request, self.patience, error))?;
        if answer.status != 200 {
            return Err(self.refused(&request, subject(target), &answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| EngineError::Malformed {
            socket: self.socket.clone(),
            request,
            problem: error.to_string(),
        })
    }

    fn post(&self, id: &str, action: &str, patience: Duration) -> Result<Change, EngineError> {
        let target = self.container(id, action)?;
        let request = format!("POST {target}");
        let answer = http::exchange(&self.socket, Method::Post, &target, patience)
            .map_err(|error| self.failed(&request, patience, error))?;
        self.change(&request, id, &answer)
    }

    fn change(&self, request: &str, id: &str, answer: &Answer) -> Result<Change, EngineError> {
        match answer.status {
            200..=299 => Ok(Change::Done),
            304 => Ok(Change::Already),
            _ => Err(self.refused(request, id, answer)),
        }
    }

    /// Ids and names have no characters that a path would have to escape; what has any is none.
    /// Without a version in front, each engine speaks its own newest.
    fn container(&self, id: &str, action: &str) -> Result<String, EngineError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if !id.starts_with(|first: char| first.is_ascii_alphanumeric()) || !id.bytes().all(is_plain)
        {
            return Err(EngineError::Gone {
                socket: self.socket.clone(),
                id: id.to_owned(),
            });
        }
        Ok(format!("/containers/{id}/{action}"))
    }

    fn refused(&self, request: &str, id: &str, answer: &Answer) -> EngineError {
        let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
        let message = match (refusal.message.is_empty(), refusal.cause.is_empty()) {
            (false, _) => refusal.message,
            (true, false) => refusal.cause.clone(),
            (true, true) => excerpt(&answer.body),
        };
        let request = request.to_owned();
        // Podman answers 500 while it is removing the container.
        let is_gone = answer.status == 404 || refusal.cause == "no such container";
        match answer.status {
            _ if is_gone && !id.is_empty() => EngineError::Gone {
                socket: self.socket.clone(),
                id: id.to_owned(),
            },
            status if status == 409 || refusal.cause == "container state improper" => {
                EngineError::Conflict {
                    id: id.to_owned(),
                    request,
                    message,
                }
            }
            status => EngineError::Refused {
                socket: self.socket.clone(),
                request,
                status,
                message,
            },
        }
    }

    fn failed(&self, request: &str, patience: Duration, error: HttpError) -> EngineError {
        let socket = self.socket.clone();
        let request = request.to_owned();
        match error {
            HttpError::Connect(source) => match source.kind() {
                std::io::ErrorKind::PermissionDenied => EngineError::Forbidden { socket, source },
                _ => EngineError::NotRunning { socket, source },
            },
            HttpError::Late => EngineError::Late {
                socket,
                request,
                waited_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            },
            HttpError::Connection(source) => EngineError::Connection {
                socket,
                request,
                source,
            },
            HttpError::Malformed(problem) => EngineError::Malformed {
                socket,
                request,
                problem,
            },
        }
    }
}

impl Request {
    /// Whether the answer has begun, waiting for it at most this long.
    #[must_use]
    pub fn is_answered(&self, limit: Duration) -> bool {
        self.sent.is_answered(limit)
    }

    /// The answer; waits for it as long as the engine's patience.
    ///
    /// # Errors
    /// As [`Engine::stop`] and [`Engine::restart`].
    pub fn finish(self) -> Result<Change, EngineError> {
        let patience = self.engine.patience;
        let answer = self
            .sent
            .finish(patience)
            .map_err(|error| self.engine.failed(&self.request, patience, error))?;
        self.engine.change(&self.request, &self.id, &answer)
    }
}

impl Kind {
    /// By the socket's name; [`Engine::version`] knows better.
    fn by_name(socket: &Path) -> Self {
        if socket.to_string_lossy().contains("podman") {
            Self::Podman
        } else {
            Self::Docker
        }
    }
}

impl AsFd for Request {
    /// Becomes readable with the answer.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sent.as_fd()
    }
}

/// `GET /version`
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    version: String,
    api_version: String,
    components: Option<Vec<Component>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: String,
}

/// Docker gives a message, Podman also its cause.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    message: String,
    cause: String,
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Stop => "SIGSTOP",
        Signal::Cont => "SIGCONT",
        Signal::Term => "SIGTERM",
        Signal::Kill => "SIGKILL",
        Signal::Int => "SIGINT",
        Signal::Hup => "SIGHUP",
        Signal::Quit => "SIGQUIT",
        Signal::Abrt => "SIGABRT",
        Signal::Segv => "SIGSEGV",
        Signal::Usr1 => "SIGUSR1",
        Signal::Usr2 => "SIGUSR2",
        Signal::Winch => "SIGWINCH",
        Signal::Alrm => "SIGALRM",
        Signal::Pipe => "SIGPIPE",
        Signal::Chld => "SIGCHLD",
        Signal::Urg => "SIGURG",
        Signal::Io => "SIGIO",
        Signal::Xcpu => "SIGXCPU",
        Signal::Xfsz => "SIGXFSZ",
        Signal::Vtalrm => "SIGVTALRM",
        Signal::Prof => "SIGPROF",
        Signal::Pwr => "SIGPWR",
        Signal::Trap => "SIGTRAP",
        Signal::Bus => "SIGBUS",
        Signal::Fpe => "SIGFPE",
        Signal::Ill => "SIGILL",
        Signal::Sys => "SIGSYS",
    }
}

/// Frozen in any hierarchy, v1 or v2; `None` where no freezer of it can be read.
fn is_frozen(pid: u32) -> Option<bool> {
    Hierarchy::mounted()
        .ok()?
        .into_iter()
        .filter_map(|hierarchy| {
            let cgroup = hierarchy.cgroup_of(pid).ok()??;
            freezer::is_told_to_freeze(hierarchy.version, &cgroup).ok()
        })
        .reduce(|one, other| one || other)
}

/// The container of a target; empty where it is about none.
fn subject(target: &str) -> &str {
    target
        .strip_prefix("/containers/")
        .and_then(|rest| rest.split_once('/'))
        .map_or("", |(id, _)| id)
}

/// `1.41` as (1, 41): compared as text, 1.9 would be newer.
fn number(api: &str) -> Option<(u32, u32)> {
    let (major, minor) = api.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn patience() -> Duration {
    PATIENCE
}

fn whole_seconds(grace: Duration) -> u64 {
    grace.as_secs() + u64::from(grace.subsec_nanos() > 0)
}

fn excerpt(body: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 200;
    let text = String::from_utf8_lossy(body);
    text.trim().chars().take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests;
