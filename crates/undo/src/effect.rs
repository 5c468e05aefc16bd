//! A primitive in force: applying it, taking it back, looking at it.
//!
//! Taking back has two steps. [`Effect::release`] is one system call per target on a descriptor that
//! is open already: it allocates, forks and opens nothing, so it works on a starved host.
//! [`Effect::restore`] does what may need more (moving back, restarting), after every release.

mod balancer;
mod clock;
mod connections;
mod container_end;
mod container_pause;
mod end;
mod freeze;
mod interception;
mod interface;
mod kill;
mod limit;
mod packets;
mod rollbacks;
mod root;
mod route;
mod service;
mod signal;
mod stop;
mod work;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use firedrill_container::EngineError;
use firedrill_kernel::qdisc::QdiscError;
use firedrill_kernel::{Capability, KernelError, ProcessIdentity};
use firedrill_worker::{JobError, Measurement, WorkerError};
use serde::{Deserialize, Serialize};

use crate::fault_proxy::ProxyError;
use crate::haproxy::HaproxyError;
use crate::primitive::Primitive;
use crate::residue::Reverted;
use crate::state::DrillId;
use crate::systemd::ServiceError;

use balancer::DrainedServers;
use clock::ShiftedClock;
use connections::ResetConnections;
use container_end::EndedContainer;
use container_pause::PausedContainer;
use end::EndedHost;
use freeze::FrozenCgroup;
use interception::InterceptedConnections;
use interface::DownedInterface;
use kill::KilledProcess;
use limit::LimitedCgroup;
use packets::FilteredPackets;
use rollbacks::Rollbacks;
use root::ReplacedRoot;
use route::ChangedRoute;
use service::StoppedService;
use signal::SignalledProcess;
use stop::StoppedProcess;
use work::HeldByWorker;

/// A primitive with the descriptors that taking it back needs.
pub(crate) trait Effect: fmt::Debug {
    /// As it goes to the log: without what was skipped.
    fn primitive(&self) -> Primitive;

    /// Puts it in force. What ends by itself, by a timer of the kernel or of a worker, ends at the
    /// deadline (on BOOTTIME) unless renewed.
    fn apply(&mut self, deadline: Duration) -> Result<(), EffectError>;

    /// Moves the deadline of what ends by itself.
    fn renew(&mut self, _deadline: Duration) {}

    /// Takes it back as far as one system call can. Errors are kept for [`Self::restore`].
    fn release(&mut self) {}

    /// Waits, for 100 ms at most, for what its release has begun and what no other effect may end
    /// before. Called after every release and before the first restore.
    fn settle(&mut self) {}

    /// A descriptor that becomes readable when a part of it ends by itself and leaves something that
    /// is to be put right at once, without waiting for the lease.
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// What is [watched](Self::watched) has ended. It is watched no more.
    fn watched_ended(&mut self) {}

    /// Takes back the rest, and compares.
    fn restore(&mut self, drill: &DrillId, owner: OwnerState) -> Reverted;

    /// How much of it is there, and what it achieved.
    fn observe(&mut self) -> Result<Observed, EffectError>;

    /// Whether it stays until the owner is lost: a halt leaves rollbacks to the living owner.
    fn waits_for_owner(&self) -> bool {
        false
    }
}

pub(crate) use interception::is_left as interception_is_left;

pub(crate) type Held = Box<dyn Effect>;

/// What came of preparing a primitive.
#[derive(Debug)]
pub(crate) enum Prepared {
    Ready(Held),
    Skipped(Skipped),
}

/// A target left alone, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub process: ProcessIdentity,
    pub why: SkipReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// It ended before it was touched.
    Vanished,
    /// It was stopped or frozen before: continuing it would not be an undo.
    StoppedBefore,
}

/// Why a primitive could not be applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EffectError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("{process} is not a process of this pid namespace")]
    OtherNamespace { process: ProcessIdentity },
    #[error("the cgroup {} holds process {pid}, which is not a target", cgroup.display())]
    Bystander {
        cgroup: std::path::PathBuf,
        pid: u32,
    },
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Qdisc(#[from] QdiscError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error("the unit {unit} is {state}, not active: there is nothing to stop")]
    NotActive { unit: String, state: String },
    #[error("from within a PID namespace of its own, a host cannot be ended")]
    NotTheHost,
    #[error(
        "the out-of-memory killer would not spare the guardian (no CAP_SYS_RESOURCE): taking memory \
         could leave nobody to give it back"
    )]
    GuardianNotSpared,
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Haproxy(#[from] HaproxyError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("{what} is taken by {by}, which is left alone")]
    Taken { what: String, by: String },
    #[error("{what} takes {capability}, which is missing")]
    Lacking {
        what: &'static str,
        capability: Capability,
    },
    #[error("{what} has changed between the look and the effect")]
    Changed { what: String },
    #[error("{what} has vanished between the look and the effect")]
    Vanished { what: String },
}

/// Why something is undone; it decides whether the owner's rollbacks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerState {
    /// It is there, and runs its own rollbacks.
    Present,
    /// Dead, or its lease ran out: it must not act any more.
    Lost,
}

/// How much of an effect is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Parts of the effect that were asked for: one for each process, rule set, worker …
    pub requested: usize,
    /// Those that are seen in place.
    pub achieved: usize,
    /// Those that are not, in words.
    pub missing: Vec<String>,
    /// What is in place and has met nothing yet, so that it had no effect, in words.
    pub idle: Vec<String>,
    /// What was achieved so far, where it can be measured.
    pub measured: Vec<Measurement>,
}

/// Opens what applying and undoing need; changes nothing.
pub(crate) fn prepare(primitive: Primitive, drill: &DrillId) -> Result<Prepared, EffectError> {
    for process in primitive.targets() {
        if process.presence()? == firedrill_kernel::Presence::ElsewhereUnknown {
            return Err(EffectError::OtherNamespace { process });
        }
    }
    match primitive {
        Primitive::StopProcess { process } => StoppedProcess::prepare(process),
        Primitive::FreezeCgroup(freeze) => FrozenCgroup::prepare(freeze),
        Primitive::KillProcess {
            process,
            signal,
            restart,
        } => KilledProcess::prepare(process, signal, restart),
        Primitive::RunWorker(work) => HeldByWorker::prepare(work),
        Primitive::FilterPackets(filter) => FilteredPackets::prepare(filter),
        Primitive::InterceptConnections(job) => InterceptedConnections::prepare(job),
        Primitive::ReplaceRoot(root) => ReplacedRoot::prepare(root),
        Primitive::ShiftClock(shift) => ShiftedClock::prepare(shift),
        Primitive::LimitCgroup(limit) => LimitedCgroup::prepare(limit),
        Primitive::DownInterface(down) => DownedInterface::prepare(down),
        Primitive::ResetConnections(reset) => ResetConnections::prepare(reset),
        Primitive::SignalProcess(signalling) => SignalledProcess::prepare(signalling),
        Primitive::StopService(stop) => StoppedService::prepare(stop),
        Primitive::EndHost(ending) => EndedHost::prepare(ending),
        Primitive::PauseContainer(run) => PausedContainer::prepare(run),
        Primitive::EndContainer(end) => EndedContainer::prepare(end),
        Primitive::TakeServersOut(out) => DrainedServers::prepare(out),
        Primitive::ChangeRoute(change) => ChangedRoute::prepare(change, drill),
        Primitive::RunRollbacks { argv } => Ok(Prepared::ready(Rollbacks::new(argv))),
    }
}

/// Takes up a primitive from the log of another process, to undo it.
///
/// `None` when there is nothing to undo.
pub(crate) fn resume(primitive: Primitive) -> Result<Option<Held>, KernelError> {
    Ok(Some(match primitive {
        Primitive::StopProcess { process } => Box::new(StoppedProcess::resume(process)?),
        Primitive::FreezeCgroup(freeze) => Box::new(FrozenCgroup::resume(freeze)),
        Primitive::KillProcess {
            process,
            signal,
            restart,
        } => Box::new(KilledProcess::resume(process, signal, restart)?),
        Primitive::RunWorker(work) => Box::new(HeldByWorker::resume(work)),
        Primitive::FilterPackets(filter) => Box::new(FilteredPackets::resume(filter)),
        Primitive::InterceptConnections(job) => Box::new(InterceptedConnections::resume(job)),
        Primitive::ReplaceRoot(root) => Box::new(ReplacedRoot::resume(root)),
        Primitive::ShiftClock(shift) => return Ok(ShiftedClock::resume(shift).map(held)),
        Primitive::LimitCgroup(limit) => return Ok(LimitedCgroup::resume(limit).map(held)),
        Primitive::DownInterface(down) => return Ok(DownedInterface::resume(down).map(held)),
        Primitive::ResetConnections(reset) => Box::new(ResetConnections::resume(reset)),
        Primitive::StopService(stop) => Box::new(StoppedService::resume(stop)),
        // Either it was done and cannot be taken back, or it was not.
        Primitive::SignalProcess(_) | Primitive::EndHost(_) => return Ok(None),
        Primitive::PauseContainer(run) => Box::new(PausedContainer::resume(run)),
        Primitive::EndContainer(end) => Box::new(EndedContainer::resume(end)?),
        Primitive::TakeServersOut(out) => return Ok(DrainedServers::resume(out).map(held)),
        Primitive::ChangeRoute(change) => Box::new(ChangedRoute::resume(change)),
        Primitive::RunRollbacks { argv } => Box::new(Rollbacks::new(argv)),
    }))
}

fn held(effect: impl Effect + 'static) -> Held {
    Box::new(effect)
}

impl Prepared {
    fn ready(effect: impl Effect + 'static) -> Self {
        Self::Ready(Box::new(effect))
    }
}

impl Observed {
    /// Adds another part.
    pub fn merge(&mut self, other: Self) {
        self.requested += other.requested;
        self.achieved += other.achieved;
        self.missing.extend(other.missing);
        self.idle.extend(other.idle);
        self.measured.extend(other.measured);
    }

    /// Whether every part of the effect is in place.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.achieved == self.requested
    }

    fn of(process: ProcessIdentity, achieved: bool) -> Self {
        Self::one(achieved, || format!("process {}", process.pid))
    }

    /// One part of an effect, named when it is missing.
    fn one(achieved: bool, name: impl FnOnce() -> String) -> Self {
        Self {
            requested: 1,
            achieved: usize::from(achieved),
            missing: if achieved { Vec::new() } else { vec![name()] },
            ..Self::default()
        }
    }
}

/// An error and its causes, in one line, for a report that outlives the process.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
