//! A HAProxy, asked over its runtime socket (`stats socket … level admin`).
//!
//! One line of commands a connection, one deadline for the whole exchange. Source: HAProxy's
//! management guide, sections 9.3 (Unix socket commands) and 9.1 (CSV format); seen with 2.6.
//!
//! Written by hand because six commands are needed. Not here: changing anything but the
//! administrative state of servers, and the master's socket.

mod answer;
mod error;
mod exchange;
mod server;

use std::fmt;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firedrill_kernel::clock::boottime;
use firedrill_kernel::{KernelError, Presence, ProcessIdentity};
use serde::{Deserialize, Serialize};

pub use error::HaproxyError;
use server::too_few_left;
pub use server::{Administrative, Balanced, Server, Traffic};

/// The runtime socket of a HAProxy.
#[derive(Debug)]
pub struct RuntimeSocket {
    path: PathBuf,
    until: Instant,
}

/// The process that answered: what is done to its servers is gone with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Haproxy {
    /// In its own PID namespace.
    pub pid: u32,
    /// As it says itself, in seconds since 1970; absent where it is too old to say so.
    pub started: Option<u64>,
    /// Absent where its process cannot be seen from here, as in a container.
    pub process: Option<ProcessIdentity>,
}

/// A line of commands is read into a buffer of 16 KiB, unless configured otherwise.
const LINE_MAX: usize = 4096;

/// Between the age of a process and the whole seconds that it tells of.
const AGE_TOLERANCE: Duration = Duration::from_secs(2);

impl RuntimeSocket {
    /// A socket that is owned by root or by this user. Everything asked of it is over after
    /// `patience`.
    ///
    /// # Errors
    /// When there is none, or it is somebody else's.
    pub fn at(path: &Path, patience: Duration) -> Result<Self, HaproxyError> {
        let found = std::fs::metadata(path).map_err(|source| HaproxyError::Unreachable {
            socket: path.into(),
            source,
        })?;
        if !found.file_type().is_socket() {
            let socket = path.into();
            return Err(HaproxyError::NoSocket { socket });
        }
        let owner = found.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            let socket = path.into();
            return Err(HaproxyError::Foreign { socket, owner });
        }
        Ok(Self {
            path: path.into(),
            until: Instant::now() + patience,
        })
    }

    /// Refuses a socket that does not let us change anything.
    ///
    /// # Errors
    /// When it does not, or does not answer.
    pub fn require_admin(&self) -> Result<(), HaproxyError> {
        let level = self.ask("show cli level")?;
        match level.trim() {
            "admin" => Ok(()),
            level @ ("operator" | "user") => Err(HaproxyError::NotAdmin {
                socket: self.path.clone(),
                level: level.to_owned(),
            }),
            other => Err(self.confused("show cli level", other)),
        }
    }

    /// Who answers.
    ///
    /// # Errors
    /// When nobody does, or it cannot be read.
    pub fn haproxy(&self) -> Result<Haproxy, HaproxyError> {
        let text = self.ask("show info")?;
        let info = answer::info(&text).ok_or_else(|| self.confused("show info", &text))?;
        let process = seen_here(info.pid, info.uptime).map_err(HaproxyError::Kernel)?;
        Ok(Haproxy {
            pid: info.pid,
            started: info.started,
            process,
        })
    }

    /// Every server of every backend, in the order of the configuration.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn servers(&self) -> Result<Vec<Balanced>, HaproxyError> {
        let command = "show servers state";
        let text = self.ask(command)?;
        answer::servers(&text).ok_or_else(|| self.confused(command, &text))
    }

    /// What every server has to do.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn traffic(&self) -> Result<Vec<Traffic>, HaproxyError> {
        // Every proxy, only servers, every one of them.
        let command = "show stat -1 4 -1";
        let text = self.ask(command)?;
        answer::traffic(&text).ok_or_else(|| self.confused(command, &text))
    }

    /// Refuses where a backend would keep fewer than `needed` servers in use without those that are
    /// taken, and without those that follow them by `track`.
    ///
    /// # Errors
    /// With the first such backend, or when it does not answer.
    pub fn require_remaining(
        &self,
        all: &[Balanced],
        taken: &[Server],
        needed: u64,
    ) -> Result<(), HaproxyError> {
        let traffic = self.traffic()?;
        let mut lost = taken.to_vec();
        loop {
            let follows = |one: &&Traffic| {
                let leader = one.follows.as_ref();
                leader.is_some_and(|leader| lost.contains(leader)) && !lost.contains(&one.server)
            };
            let more: Vec<Server> = traffic
                .iter()
                .filter(follows)
                .map(|one| one.server.clone())
                .collect();
            if more.is_empty() {
                return too_few_left(all, &lost, needed);
            }
            lost.extend(more);
        }
    }

    /// Sets the administrative state of servers. What it answers is words for people, if anything
    /// went wrong; what came of it is to be [looked at](Self::servers).
    ///
    /// # Errors
    /// When it does not answer. Then some may be set, and some not.
    pub fn set(&self, servers: &[(Server, Administrative)]) -> Result<String, HaproxyError> {
        self.each(servers, |(server, state)| {
            format!("set server {server} state {}", state.word())
        })
    }

    /// Ends every session with these servers.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn shut_sessions(&self, servers: &[Server]) -> Result<String, HaproxyError> {
        self.each(servers, |server| {
            format!("shutdown sessions server {server}")
        })
    }

    /// A command for each, as many in a line as fit; what the answers say, where they say anything.
    fn each<T>(&self, all: &[T], command: impl Fn(&T) -> String) -> Result<String, HaproxyError> {
        let mut said = Vec::new();
        let mut line = String::new();
        for one in all {
            let next = command(one);
            if line.len() + next.len() > LINE_MAX {
                said.push(self.ask(&std::mem::take(&mut line))?);
            }
            if !line.is_empty() {
                line.push(';');
            }
            line.push_str(&next);
        }
        if !line.is_empty() {
            said.push(self.ask(&line)?);
        }
        Ok(answer::words(&said.concat()))
    }

    fn ask(&self, line: &str) -> Result<String, HaproxyError> {
        exchange::ask(&self.path, line, self.until)
    }

    fn confused(&self, command: &str, said: &str) -> HaproxyError {
        HaproxyError::Confused {
            socket: self.path.clone(),
            command: command.into(),
            said: answer::words(said),
        }
    }
}

impl Haproxy {
    /// Whether another process answers by now. One that cannot say when it started is told by its
    /// pid alone.
    #[must_use]
    pub fn is_other_than(&self, before: &Self) -> bool {
        self.pid != before.pid || self.started != before.started
    }

    /// Whether its process is known to have ended, and everything that was set at runtime with it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.process
            .is_some_and(|process| matches!(process.presence(), Ok(Presence::Gone)))
    }
}

impl fmt::Display for RuntimeSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HAProxy at {}", self.path.display())
    }
}

/// The process with this pid, if it is as old as it says: the pid may be one of another namespace.
fn seen_here(pid: u32, uptime: Duration) -> Result<Option<ProcessIdentity>, KernelError> {
    let Some(process) = ProcessIdentity::of(pid)? else {
        return Ok(None);
    };
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let age =
        boottime().saturating_sub(Duration::from_secs_f64(process.start as f64 / ticks as f64));
    Ok((age.abs_diff(uptime) <= AGE_TOLERANCE).then_some(process))
}
