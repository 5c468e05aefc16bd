//! A fault with its parameters, and what every fault must be able to say.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use firedrill_kernel::namespace::NamespaceId;
use firedrill_kernel::qdisc::QdiscError;
use firedrill_kernel::{KernelError, ProcessIdentity};
use firedrill_undo::{HaproxyError, Primitive, ProxyError};
use firedrill_worker::JobError;
use serde_json::{Map, Value};

use crate::FaultError;
use crate::arguments::nearest;
use crate::catalogue::{Entry, KINDS, UndoClass};
use crate::infrastructure::Unfit;
use crate::switching::{self, hosts::Hosts};
use crate::target::{ContainerTarget, Target, TargetKind};

/// A disturbance with its parameters, ready to be aimed.
#[derive(Debug)]
pub struct Fault {
    entry: Entry,
    disturbance: Box<dyn Disturbance>,
}

/// One kind of fault: a line of the catalogue.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) entry: fn() -> Entry,
    pub(crate) parse: Parse,
}

/// Reads the arguments, with every mistake at once.
pub(crate) type Parse = fn(&Map<String, Value>) -> Result<Box<dyn Disturbance>, FaultError>;

/// What a fault does with its parameters.
pub(crate) trait Disturbance: fmt::Debug + Send + Sync {
    /// How it is undone, with these parameters.
    fn undo_class(&self) -> UndoClass {
        UndoClass::Reversible
    }

    /// Whether it is for what appears and matches while it is in place, too.
    fn covers_newcomers(&self) -> bool {
        true
    }

    /// Where it meets this target, if it meets everything there at once: what appears in a place that
    /// it is in already meets it without further ado.
    fn place_of(&self, _target: &Target) -> Result<Option<PlaceKey>, CompileError> {
        Ok(None)
    }

    /// Host names among its parameters: they are looked up again while it is in place.
    fn hosts(&self) -> Vec<String> {
        Vec::new()
    }

    /// The primitives that have this effect there. Changes nothing, but may operate an empty
    /// cgroup, table or namespace of our own to find the mechanism that works here.
    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError>;
}

/// What tells the place of a fault from every other one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlaceKey {
    /// Directories with their inode numbers; none for this host.
    Cgroups(Vec<(PathBuf, u64)>),
    /// A network namespace, or the packets of a cgroup in it.
    Packets {
        namespace: NamespaceId,
        cgroup: Option<PathBuf>,
    },
}

/// Where a fault is aimed.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    pub targets: &'a [Target],
    /// What it hits already: who appears in the same place is met by what is there.
    pub beside: &'a [Target],
    /// What is random in the effect follows from it.
    pub seed: u64,
    /// Whose packets over TCP no fault may meet: what watches the drill.
    pub spare: &'a [SocketAddr],
    /// What the host names among its parameters mean.
    pub hosts: Hosts<'a>,
}

/// Why a fault cannot be aimed at its targets.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("the name {name:?} cannot be looked up")]
    HostUnknown {
        name: String,
        source: std::io::Error,
    },
    #[error("{what} cannot be met alone: {why}")]
    NotApart { what: String, why: &'static str },
    #[error("{what} is left alone: {why}")]
    LeftAlone { what: String, why: &'static str },
    #[error("{what} does not exist")]
    Absent { what: String },
    #[error("there is no interface {name}; the target has {present}")]
    NoInterface { name: String, present: String },
    #[error("the groups do not say what is cut: {why}")]
    Groups { why: String },
    #[error("netem is not usable: {why}")]
    NoNetem { why: String },
    #[error("{what}")]
    NoMechanism { what: &'static str },
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    Haproxy(#[from] HaproxyError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Job(JobError),
    #[error(transparent)]
    Qdisc(#[from] QdiscError),
    #[error("{what} would not come back: {why}")]
    NoWayBack { what: String, why: &'static str },
    #[error("no cgroup freezer can hold just these processes: {why}")]
    NoFreezer { why: String },
}

impl Fault {
    /// Reads a fault by its full name, `layer.fault`, and its arguments.
    ///
    /// # Errors
    /// With every unknown name near to a known one, and every value outside its bounds.
    pub fn parse(name: &str, arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        for kind in KINDS {
            let entry = (kind.entry)();
            if entry.name == name {
                let disturbance = (kind.parse)(arguments)?;
                return Ok(Self { entry, disturbance });
            }
        }
        let names = KINDS.iter().map(|kind| (kind.entry)().name);
        Err(FaultError::UnknownFault {
            name: name.into(),
            near: nearest(name, names),
        })
    }

    /// What the catalogue says of it.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// How it is undone, with these parameters.
    #[must_use]
    pub fn undo_class(&self) -> UndoClass {
        self.disturbance.undo_class()
    }

    /// Whether it is for what appears and matches while it is in place, too.
    #[must_use]
    pub fn covers_newcomers(&self) -> bool {
        self.disturbance.covers_newcomers()
    }

    /// Where it meets this target, if it meets everything there at once. What appears in such a place
    /// later is not to be compiled for: the fault would be there twice.
    ///
    /// # Errors
    /// When the target cannot be met alone, or is gone.
    pub fn place_of(
        &self,
        target: &Target,
        site: &Site<'_>,
    ) -> Result<Option<PlaceKey>, CompileError> {
        if self.entry.layer == "switching" {
            return Ok(Some(switching::place::place(target, site)?.key()));
        }
        self.disturbance.place_of(target)
    }

    /// Host names among its parameters; [`Site::hosts`] says what they mean.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        self.disturbance.hosts()
    }

    /// Whether it can hit what the selector chooses.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check_target(&self, kind: TargetKind) -> Result<(), FaultError> {
        if self.entry.targets.contains(&kind) {
            return Ok(());
        }
        Err(FaultError::Target {
            fault: self.entry.name,
            kind,
            hits: self.entry.targets.clone(),
        })
    }

    /// The primitives that have this effect there.
    ///
    /// # Errors
    /// When the kernel cannot be read, or no mechanism for it is usable here.
    pub fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.disturbance.compile(site)
    }
}

impl<'a> Site<'a> {
    /// These targets, with a seed of zero.
    #[must_use]
    pub fn of(targets: &'a [Target]) -> Self {
        Self {
            targets,
            beside: &[],
            seed: 0,
            spare: &[],
            hosts: Hosts::LookUp,
        }
    }

    /// The targets that are containers.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &'a ContainerTarget> {
        self.targets.iter().filter_map(Target::container)
    }

    /// Whether this process is a target, or hit already.
    pub(crate) fn hit(&self, pid: u32) -> bool {
        let mut all = self.targets.iter().chain(self.beside);
        all.any(|target| target.process().is_some_and(|one| one.pid == pid))
    }

    /// The targets that are processes.
    pub(crate) fn processes(&self) -> Vec<ProcessIdentity> {
        self.targets.iter().filter_map(Target::process).collect()
    }
}

/// A name for something of ours in the kernel that nobody else has: by the process that asks for
/// it, and a count.
pub(crate) fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let start = ProcessIdentity::current().map_or(0, |me| me.start & 0xffff_ffff);
    format!("firedrill-{:x}-{start:x}-{count:x}", std::process::id())
}
