//! What a fault is aimed at.

mod container;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::{KernelError, Presence, ProcessIdentity};
use serde::Serialize;

pub use container::ContainerTarget;
pub(crate) use container::is_inside;

/// One thing to hit, found and named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "target", rename_all = "kebab-case")]
pub enum Target {
    Process(ProcessTarget),
    /// This host, or as much of it as is seen from here.
    Host,
    /// A network namespace.
    Namespace(NetNamespace),
    /// A cgroup, by its directory.
    Cgroup(PathBuf),
    /// One run of a container.
    Container(Box<ContainerTarget>),
}

/// A process, as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessTarget {
    pub identity: ProcessIdentity,
    pub name: String,
    /// The command line, its words joined by spaces.
    pub command: String,
    /// What it declares in `FIREDRILL_LABELS`.
    pub labels: BTreeMap<String, String>,
}

/// What a fault can be aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    Process,
    Host,
    Namespace,
    Cgroup,
    Container,
}

impl Target {
    #[must_use]
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Process(_) => TargetKind::Process,
            Self::Host => TargetKind::Host,
            Self::Namespace(_) => TargetKind::Namespace,
            Self::Cgroup(_) => TargetKind::Cgroup,
            Self::Container(_) => TargetKind::Container,
        }
    }

    /// Whether it is still there, as far as can be told.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            Self::Process(process) => !matches!(process.identity.presence(), Ok(Presence::Gone)),
            Self::Host => true,
            Self::Namespace(namespace) => !matches!(namespace.open(), Ok(None)),
            Self::Cgroup(path) => path.exists(),
            Self::Container(container) => {
                !matches!(container.process.presence(), Ok(Presence::Gone))
            }
        }
    }

    /// The process, where it is one.
    #[must_use]
    pub fn process(&self) -> Option<ProcessIdentity> {
        match self {
            Self::Process(process) => Some(process.identity),
            Self::Host | Self::Namespace(_) | Self::Cgroup(_) | Self::Container(_) => None,
        }
    }

    /// The container, where it is one.
    #[must_use]
    pub fn container(&self) -> Option<&ContainerTarget> {
        match self {
            Self::Container(container) => Some(container),
            _ => None,
        }
    }

    /// The directories of the cgroups that hold it and nobody else, in each hierarchy that is
    /// mounted here (v1 and v2). None for what has none of its own, and for a container that ended.
    ///
    /// # Errors
    /// When mounts or `/proc` cannot be read.
    pub fn cgroups(&self) -> Result<Vec<PathBuf>, KernelError> {
        match self {
            Self::Cgroup(path) => Ok(vec![path.clone()]),
            Self::Container(container) => container.cgroups(),
            Self::Host | Self::Namespace(_) | Self::Process(_) => Ok(Vec::new()),
        }
    }
}

impl From<ProcessIdentity> for Target {
    /// A process that was found otherwise than by a selector; its name is not looked up.
    fn from(identity: ProcessIdentity) -> Self {
        Self::Process(ProcessTarget {
            identity,
            name: "process".into(),
            command: String::new(),
            labels: BTreeMap::new(),
        })
    }
}

impl TargetKind {
    /// How the command line writes one.
    #[must_use]
    pub fn example(self) -> &'static str {
        match self {
            Self::Process => "name=NAME",
            Self::Host => "host=true",
            Self::Namespace => "namespace=NAME",
            Self::Cgroup => "cgroup=PATH",
            Self::Container => "container=NAME",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => process.fmt(f),
            Self::Host => f.write_str("this host"),
            Self::Namespace(namespace) => write!(f, "network namespace {namespace}"),
            Self::Cgroup(path) => write!(f, "cgroup {}", path.display()),
            Self::Container(container) => container.fmt(f),
        }
    }
}

impl fmt::Display for ProcessTarget {
    /// `web-2-a (pid 4711)`: the label `instance`, where there is one, says more than the program.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.labels.get("instance").unwrap_or(&self.name);
        write!(f, "{name} (pid {})", self.identity.pid)
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "process",
            Self::Host => "host",
            Self::Namespace => "network namespace",
            Self::Cgroup => "cgroup",
            Self::Container => "container",
        })
    }
}
