//! What a fault hits, as a document writes it: processes, containers, this host, a network
//! namespace or a cgroup.

mod candidate;
mod containers;
mod processes;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use firedrill_container::EngineError;
use firedrill_kernel::KernelError;
use firedrill_kernel::namespace::NetNamespace;
use serde_json::Value;

use crate::FaultError;
use crate::arguments::Arguments;
use crate::blast_radius::{Member, Refused};
use crate::target::{Target, TargetKind};
pub use candidate::SpareReason;
pub use containers::Containers;
pub use processes::{Processes, Spared};

/// A choice of targets, not looked up yet.
#[derive(Clone, Debug)]
pub enum Selector {
    Processes(Box<Processes>),
    Host,
    /// Each by its name for `ip netns`, by the path of a file that stands for it, or by a pid.
    Namespaces(Vec<String>),
    Cgroup(PathBuf),
    Containers(Box<Containers>),
}

/// What was chosen, and out of what.
#[derive(Clone, Debug)]
pub struct Selection {
    /// In an order that does not depend on the seed.
    pub chosen: Vec<Target>,
    /// Everything that matches and may be hit.
    pub matched: Vec<Target>,
    /// The healthy ones that the chosen belong to.
    pub population: BTreeSet<Member>,
    /// What matches and is left alone.
    pub spared: Vec<Spared>,
}

/// Why nothing was chosen.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Engine(EngineError),
    #[error(
        "no container engine listens here: start Docker or Podman's service, or set \
         DOCKER_HOST=unix:///its/socket"
    )]
    NoEngine,
    #[error("{} is not the directory of a cgroup", path.display())]
    NoCgroup { path: PathBuf },
    #[error("the pattern {pattern:?} gave up on the command line of process {pid}: {why}")]
    Pattern {
        pattern: String,
        pid: u32,
        why: String,
    },
}

/// What mistakes in a selector are said to be of.
const OWNER: &str = "target";

const NAMESPACES: &str = "a name, a path or a pid, or a list of them";

impl Selector {
    /// Reads a selector as it stands in a document.
    ///
    /// # Errors
    /// With every mistake in it.
    pub fn parse(value: &Value) -> Result<Self, FaultError> {
        let Some(map) = value.as_object() else {
            return Err(FaultError::Value {
                owner: OWNER,
                name: OWNER.into(),
                found: value.to_string(),
                expected: "an object such as {\"name\": \"nginx\"} or {\"host\": true}".into(),
            });
        };
        if map.contains_key("namespace") {
            let mut read = Arguments::new(OWNER, map, &["namespace"]);
            let names = read.read("namespace", NAMESPACES, texts);
            read.finish()?;
            return Ok(Self::Namespaces(names.unwrap_or_default()));
        }
        if map.contains_key("cgroup") {
            let mut read = Arguments::new(OWNER, map, &["cgroup"]);
            let path = read.read("cgroup", "the path of a cgroup's directory", |value| {
                text(value)
                    .map(PathBuf::from)
                    .filter(|path| path.is_absolute())
            });
            read.finish()?;
            return Ok(Self::Cgroup(path.unwrap_or_default()));
        }
        if map.contains_key("host") {
            let mut read = Arguments::new(OWNER, map, &["host"]);
            read.read("host", "true", |value| {
                (value == &Value::Bool(true)).then_some(())
            });
            read.finish()?;
            return Ok(Self::Host);
        }
        // Beside a property of processes, the container only narrows.
        if map.contains_key("container") && !Processes::is_meant(map) {
            return Ok(Self::Containers(Box::new(Containers::parse(map)?)));
        }
        Ok(Self::Processes(Box::new(Processes::parse(map)?)))
    }

    /// The kind of everything that it can choose.
    #[must_use]
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Processes(_) => TargetKind::Process,
            Self::Host => TargetKind::Host,
            Self::Namespaces(_) => TargetKind::Namespace,
            Self::Cgroup(_) => TargetKind::Cgroup,
            Self::Containers(_) => TargetKind::Container,
        }
    }

    /// The most that it may choose, where it says so by a count.
    #[must_use]
    pub fn amount_max(&self) -> Option<usize> {
        match self {
            Self::Processes(processes) => processes.amount_max(),
            Self::Containers(containers) => containers.amount_max(),
            Self::Namespaces(names) => Some(names.len()),
            Self::Host | Self::Cgroup(_) => Some(1),
        }
    }

    /// Looks at what is there now, and chooses. The same seed and the same host give the same
    /// choice; one more or less does not re-roll the others.
    ///
    /// # Errors
    /// When refused: nothing matches, or what was named is spared or gone.
    pub fn select(&self, seed: u64) -> Result<Selection, SelectorError> {
        match self {
            Self::Processes(processes) => processes.select(seed),
            Self::Containers(containers) => containers.select(seed),
            Self::Host => Ok(Selection::all(vec![Target::Host])),
            Self::Namespaces(names) => namespaces(names),
            Self::Cgroup(path) if path.join("cgroup.procs").exists() => {
                Ok(Selection::all(vec![Target::Cgroup(path.clone())]))
            }
            Self::Cgroup(path) => Err(SelectorError::NoCgroup { path: path.clone() }),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// One, or a list of at least one.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(several) if several.is_empty() => None,
        Value::Array(several) => several.iter().map(text).collect(),
        one => Some(vec![text(one)?]),
    }
}

/// Each once, by whatever names.
fn namespaces(names: &[String]) -> Result<Selection, SelectorError> {
    let mut found: Vec<NetNamespace> = Vec::new();
    for name in names {
        let namespace = namespace(name)?;
        if !found.iter().any(|known| known.is_same(&namespace)) {
            found.push(namespace);
        }
    }
    let targets = found.into_iter().map(Target::Namespace);
    Ok(Selection::all(targets.collect()))
}

fn namespace(name: &str) -> Result<NetNamespace, SelectorError> {
    let open = if let Ok(pid) = name.parse() {
        NetNamespace::of_process(pid)?
    } else if name.contains('/') {
        NetNamespace::at(Path::new(name))?
    } else {
        NetNamespace::named(name)?
    };
    Ok(open.namespace().clone())
}

fn members(targets: &[Target]) -> BTreeSet<Member> {
    targets.iter().map(Member::from).collect()
}

impl Selection {
    /// What was named, all of it.
    fn all(targets: Vec<Target>) -> Self {
        Self {
            population: members(&targets),
            matched: targets.clone(),
            chosen: targets,
            spared: Vec::new(),
        }
    }
}
