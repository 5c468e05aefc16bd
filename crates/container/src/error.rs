use std::io;
use std::path::PathBuf;

/// Why an engine did not do, or did not say, what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("no engine listens on {}", socket.display())]
    NotRunning { socket: PathBuf, source: io::Error },
    #[error("no permission to use {}", socket.display())]
    Forbidden { socket: PathBuf, source: io::Error },
    #[error("the engine at {} was late: no end of the answer to {request} in {waited_ms} ms", socket.display())]
    Late {
        socket: PathBuf,
        request: String,
        waited_ms: u64,
    },
    #[error("the connection to {} failed during {request}", socket.display())]
    Connection {
        socket: PathBuf,
        request: String,
        source: io::Error,
    },
    /// Not HTTP, not JSON, cut off, or beyond our limits.
    #[error("the answer of {} to {request} cannot be used: {problem}", socket.display())]
    Malformed {
        socket: PathBuf,
        request: String,
        problem: String,
    },
    #[error("the engine at {} speaks API {found}, older than {oldest}", socket.display())]
    TooOld {
        socket: PathBuf,
        found: String,
        oldest: &'static str,
    },
    /// Status 404. At a revert this means: reverted.
    #[error("no container {id} at {}", socket.display())]
    Gone { socket: PathBuf, id: String },
    /// The state of the container does not allow it: status 409, or Podman's 500 with the cause
    /// "container state improper".
    #[error("container {id} is not in a state for {request}: {message}")]
    Conflict {
        id: String,
        request: String,
        message: String,
    },
    #[error("the engine at {} refused {request} with status {status}: {message}", socket.display())]
    Refused {
        socket: PathBuf,
        request: String,
        status: u16,
        message: String,
    },
    /// Engine and kernel disagree, and not only for a moment: the freeze is not the engine's, or the
    /// engine has lost track of its own.
    #[error(
        "container {id} (pid {pid}) is not paused, says its engine, and frozen, says the kernel"
    )]
    StillFrozen { id: String, pid: u32 },
    #[error("cannot read what /proc says about process {pid} of container {id}")]
    Process {
        id: String,
        pid: u32,
        source: firedrill_kernel::KernelError,
    },
}

impl EngineError {
    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotRunning { .. } => Some(
                "start it (`systemctl start docker`, or `systemctl start podman.socket`), or set DOCKER_HOST=unix:///its/socket",
            ),
            Self::Forbidden { .. } => Some(
                "run as root, or as a member of the group that owns the socket (usually `docker`); for rootless Podman, as its user",
            ),
            Self::TooOld { .. } => Some("update it to Docker 1.12 or Podman 3, or newer"),
            Self::Late { .. } => {
                Some("see the engine's log: one that hangs may still have carried out the request")
            }
            Self::StillFrozen { .. } => Some(
                "see who froze its cgroup (/proc/PID/cgroup); thaw it there, or restart the container",
            ),
            _ => None,
        }
    }

    /// Whether the container does not exist (any more).
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}
