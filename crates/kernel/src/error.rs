use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::capability::Capability;
use crate::netlink::Refusal;
use crate::nftables::RulesetError;

/// What the kernel refused or said in a form we do not understand.
///
/// A process that is gone is never an error: the readers return `None` for it.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("cannot read {}{}", path.display(), unread(path, source))]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot create {}", path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot remove {}", path.display())]
    Remove { path: PathBuf, source: io::Error },
    #[error("{} has no readable {what}", path.display())]
    Malformed { path: PathBuf, what: &'static str },
    #[error("cannot {doing} process {pid}{}", without(Capability::Kill, source))]
    Process {
        pid: u32,
        doing: &'static str,
        source: io::Error,
    },
    #[error("the kernel refused {call}{}", uncalled(call, source))]
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
    /// A request over netlink was refused; with a transaction, everything in it.
    #[error("{first}{}", further_refusals(further))]
    Netlink {
        first: Refusal,
        further: Vec<Refusal>,
    },
    /// A ruleset that the kernel was not even asked for.
    #[error("the ruleset is not valid: {0}")]
    Ruleset(#[from] RulesetError),
    /// The namespace was there when it was named, and is not any more.
    #[error("the network namespace {namespace} is gone")]
    NamespaceGone { namespace: String },
    /// The calling thread is in a foreign namespace and must end without doing anything else.
    #[error("this thread cannot leave the network namespace {namespace}, and must end")]
    NamespaceNotLeft {
        namespace: String,
        source: io::Error,
    },
}

/// Says which capability is missing, where a refusal for want of permission is explained by it.
pub(crate) fn without(capability: Capability, source: &io::Error) -> String {
    let denied = source.kind() == io::ErrorKind::PermissionDenied;
    if denied && capability.is_missing() {
        format!(" without {capability}")
    } else {
        String::new()
    }
}

/// The files of other users' processes take CAP_SYS_PTRACE.
fn unread(path: &Path, source: &io::Error) -> String {
    if path.starts_with("/proc") {
        without(Capability::SysPtrace, source)
    } else {
        String::new()
    }
}

fn uncalled(call: &str, source: &io::Error) -> String {
    let capability = match call {
        _ if call.contains("namespace") => Capability::SysAdmin,
        _ if call.contains("clock") => Capability::SysTime,
        _ => return String::new(),
    };
    without(capability, source)
}

fn further_refusals(further: &[Refusal]) -> String {
    further
        .iter()
        .map(|refusal| format!("; {refusal}"))
        .collect()
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
            | Self::Call { source, .. }
            | Self::NamespaceNotLeft { source, .. } => {
                source.kind() == io::ErrorKind::PermissionDenied
            }
            Self::Netlink { first, .. } => matches!(first.errno, Errno::PERM | Errno::ACCESS),
            Self::Malformed { .. }
            | Self::FreezerStuck { .. }
            | Self::NamespaceGone { .. }
            | Self::Ruleset(_) => false,
        }
    }

    /// Why a request over netlink was refused: its first error.
    #[must_use]
    pub fn netlink_errno(&self) -> Option<Errno> {
        match self {
            Self::Netlink { first, .. } => Some(first.errno),
            _ => None,
        }
    }
}
