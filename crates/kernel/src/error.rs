use std::io;
use std::path::PathBuf;

/// What the kernel refused or said in a form we do not understand.
///
/// A process that is gone is never an error: the readers return `None` for it.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot create {}", path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot remove {}", path.display())]
    Remove { path: PathBuf, source: io::Error },
    #[error("{} has no readable {what}", path.display())]
    Malformed { path: PathBuf, what: &'static str },
    #[error("cannot {doing} process {pid}")]
    Process {
        pid: u32,
        doing: &'static str,
        source: io::Error,
    },
    #[error("the kernel refused {call}")]
    Call {
        call: &'static str,
        source: io::Error,
    },
    #[error("{} did not reach the state {wanted} in {waited_ms} ms", path.display())]
    FreezerStuck {
        path: PathBuf,
        wanted: &'static str,
        waited_ms: u64,
    },
}

impl KernelError {
    pub(crate) fn call(call: &'static str, source: rustix::io::Errno) -> Self {
        Self::Call {
            call,
            source: source.into(),
        }
    }

    /// Whether the kernel refused for want of permission.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Create { source, .. }
            | Self::Remove { source, .. }
            | Self::Process { source, .. }
            | Self::Call { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            Self::Malformed { .. } | Self::FreezerStuck { .. } => false,
        }
    }
}
