//! The closed set of effects, each with its inverse.

mod balancer;
mod container;
mod network;
mod route;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use firedrill_kernel::cgroup::{Cgroup, Limit};
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::nftables::Ruleset;
use firedrill_kernel::power::HostEnd;
use firedrill_kernel::qdisc::{Bands, Discipline};
use firedrill_kernel::realtime::{self, Rate};
use firedrill_kernel::{ProcessIdentity, Signal, freezer};
use firedrill_worker::Job;
use firedrill_worker::interception::Interception;
use serde::{Deserialize, Serialize};

pub use balancer::{BalancerBefore, OutOfUse, ServerBefore, ServersOut};
pub use container::{Comeback, ContainerEnd, ContainerRun, EndHow};
pub use network::{ConnectionChoice, ConnectionHolder, ConnectionReset, InterfaceDown};
pub use route::{PutOnRoute, RouteChange};

/// One effect on this host. What it says before it is applied is enough to undo it: names and
/// identities are chosen first, logged second, and used third.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Primitive {
    /// SIGSTOP; inverse: SIGCONT. Skipped where the process is stopped already.
    StopProcess { process: ProcessIdentity },
    /// A cgroup freezer; inverse: thaw, move back, remove the cgroup if it is our own.
    FreezeCgroup(Freeze),
    /// A signal that ends the process; inverse: the restart command, where there is one.
    KillProcess {
        process: ProcessIdentity,
        signal: Signal,
        restart: Option<RestartCommand>,
    },
    /// A worker process that holds the fault; inverse: its end, which its guardian's death and its
    /// deadline bring as well.
    RunWorker(Work),
    /// An nftables table owned by the guardian's socket, its rules bound to the lease; inverse: its
    /// deletion, which the guardian's death brings as well.
    FilterPackets(PacketFilter),
    /// Connections that are led through a proxy in a worker, by a table that belongs to the worker;
    /// inverse: its end, as of any worker, and that the kernel forgets their translation.
    InterceptConnections(Box<Interception>),
    /// A root qdisc of ours that lets everything through, and a band beside the normal way; inverse:
    /// its deletion, whereupon the kernel attaches its default again. Nothing is led into the band
    /// but by rules of [`Self::FilterPackets`].
    ReplaceRoot(RootQdisc),
    /// CLOCK_REALTIME moved or at another rate; inverse: where it would be now.
    ShiftClock(ClockShift),
    /// A cgroup's limit; inverse: the limit before, if nobody changed it meanwhile.
    LimitCgroup(CgroupLimit),
    /// An interface taken down; inverse: up, and the addresses and routes that it lost.
    DownInterface(InterfaceDown),
    /// Connections reset; no inverse: whoever had them makes new ones.
    ResetConnections(ConnectionReset),
    /// A signal that need not end the process; no inverse, and nothing that a recovery could do.
    SignalProcess(Signalling),
    /// A unit that was active, stopped by its service manager; inverse: its start, if it is inactive
    /// still.
    StopService(ServiceStop),
    /// The end of the host. No inverse: after it, there is another boot.
    EndHost(Ending),
    /// A container paused by its engine; inverse: unpaused by it, or its cgroup thawed where the
    /// engine is dead. Skipped where it is paused already.
    PauseContainer(ContainerRun),
    /// A container's run ended; inverse: its start, where there is one.
    EndContainer(ContainerEnd),
    /// Servers taken out of use by their load balancer; inverse: what each was told before, unless
    /// somebody else told it otherwise meanwhile.
    TakeServersOut(ServersOut),
    /// A toxic or a split on a route of a fault proxy; inverse: exactly that one taken away. Where
    /// the proxy is gone, so is what was on it.
    ChangeRoute(RouteChange),
    /// No effect; inverse: this command, run only when the owner is dead or lost its lease. A
    /// living owner runs its own rollbacks.
    RunRollbacks { argv: Vec<String> },
}

/// Processes to freeze together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    pub version: freezer::Version,
    pub cgroup: PathBuf,
    pub kind: FreezeKind,
    pub members: Vec<FrozenMember>,
}

/// Whose the frozen cgroup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreezeKind {
    /// Ours: created for the fault, the members moved in and later back.
    Own,
    /// It existed, and the members are all that it holds.
    Existing,
}

/// A process to freeze, and the cgroup it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenMember {
    pub process: ProcessIdentity,
    pub origin: PathBuf,
}

/// How to start a killed process again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartCommand {
    pub argv: Vec<String>,
    /// Where to run it; the guardian's directory (that of the command line) when absent.
    pub cwd: Option<PathBuf>,
    /// Added to the guardian's environment. Readable in the undo log by its owner: no secrets.
    pub env: BTreeMap<String, String>,
    /// Where the target was, and what is started goes: else it would end with the guardian's own
    /// cgroup. Read by the guardian just before it logs.
    #[serde(default)]
    pub cgroups: Vec<Cgroup>,
}

/// A worker and its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    pub job: Job,
    /// Cgroups that it runs in, one of each hierarchy that matters.
    pub place: Vec<PathBuf>,
}

/// A table of ours in a network namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PacketFilter {
    pub namespace: NetNamespace,
    /// The name of its table was chosen before, and is nobody else's.
    pub ruleset: Ruleset,
}

/// A root of ours on an interface that has the kernel's default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RootQdisc {
    pub namespace: NetNamespace,
    /// Of the interface, whose index is in `bands`.
    pub name: String,
    pub bands: Bands,
    /// In the first band.
    pub discipline: Discipline,
}

/// A disturbance of CLOCK_REALTIME.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClockShift {
    pub change: ClockChange,
    /// Read by the guardian just before it logs.
    pub before: Option<ClockBefore>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum ClockChange {
    Offset {
        by_ns: i64,
    },
    Drift {
        rate: Rate,
    },
    /// To and fro, by a worker that is applied after this and ended before it is taken back.
    Strobe {
        by_ns: i64,
    },
}

/// The clock as it was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClockBefore {
    /// CLOCK_REALTIME − CLOCK_MONOTONIC_RAW, and how well it was read.
    pub offset_ns: i64,
    pub error_ns: u64,
    /// CLOCK_MONOTONIC_RAW at that time.
    pub raw_ns: i64,
    pub discipline: realtime::Discipline,
}

/// A limit on a cgroup that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CgroupLimit {
    pub cgroup: Cgroup,
    pub limit: Limit,
    /// Read by the guardian just before it logs.
    pub before: Option<Limit>,
}

/// A signal, and what it should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Signalling {
    pub process: ProcessIdentity,
    pub signal: Signal,
    pub expect: Expected,
}

/// What a signal is seen to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// The process takes it, and what becomes of the process does not matter.
    #[default]
    Taken,
    /// The process takes it and is there afterwards.
    Survives,
    /// The process ends.
    Ends,
}

/// A unit of a service manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceStop {
    /// The manager's private socket.
    pub manager: PathBuf,
    pub unit: String,
}

/// How to end the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ending {
    pub end: HostEnd,
    /// Whether disks are written to first. Otherwise it is as when the power fails.
    pub sync: bool,
}

/// By what means an effect is had; the journal names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    Sigstop,
    FreezerV1,
    FreezerV2,
    Signal,
    Worker,
    Queue,
    Nftables,
    Proxy,
    Netem,
    Qdisc,
    ClockSetoffset,
    ClockRate,
    CgroupLimit,
    Interface,
    SockDiag,
    Systemd,
    Reboot,
    EngineApi,
    RuntimeSocket,
    ProxyApi,
    Rollbacks,
}

impl Primitive {
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::StopProcess { .. } => Mechanism::Sigstop,
            Self::FreezeCgroup(freeze) => match freeze.version {
                freezer::Version::V1 => Mechanism::FreezerV1,
                freezer::Version::V2 => Mechanism::FreezerV2,
            },
            Self::KillProcess { .. } => Mechanism::Signal,
            Self::RunWorker(work) => match work.job {
                Job::Queue(_) => Mechanism::Queue,
                _ => Mechanism::Worker,
            },
            Self::FilterPackets(_) => Mechanism::Nftables,
            Self::InterceptConnections(_) => Mechanism::Proxy,
            Self::ReplaceRoot(root) => match root.discipline {
                Discipline::Netem(_) => Mechanism::Netem,
                Discipline::Tbf(_) | Discipline::Pfifo { .. } => Mechanism::Qdisc,
            },
            Self::ShiftClock(shift) => match shift.change {
                ClockChange::Drift { .. } => Mechanism::ClockRate,
                ClockChange::Offset { .. } | ClockChange::Strobe { .. } => {
                    Mechanism::ClockSetoffset
                }
            },
            Self::LimitCgroup(_) => Mechanism::CgroupLimit,
            Self::DownInterface(_) => Mechanism::Interface,
            Self::ResetConnections(_) => Mechanism::SockDiag,
            Self::SignalProcess(_) => Mechanism::Signal,
            Self::StopService(_) => Mechanism::Systemd,
            Self::EndHost(_) => Mechanism::Reboot,
            Self::PauseContainer(_) => Mechanism::EngineApi,
            Self::EndContainer(end) => match end.how {
                EndHow::Signal { .. } => Mechanism::Signal,
                EndHow::Stop { .. } | EndHow::Restart { .. } => Mechanism::EngineApi,
            },
            Self::TakeServersOut(_) => Mechanism::RuntimeSocket,
            Self::ChangeRoute(_) => Mechanism::ProxyApi,
            Self::RunRollbacks { .. } => Mechanism::Rollbacks,
        }
    }

    /// The processes it touches.
    #[must_use]
    pub fn targets(&self) -> Vec<ProcessIdentity> {
        match self {
            Self::StopProcess { process } | Self::KillProcess { process, .. } => vec![*process],
            Self::FreezeCgroup(freeze) => freeze.members.iter().map(|m| m.process).collect(),
            Self::SignalProcess(signalling) => vec![signalling.process],
            Self::PauseContainer(run) | Self::EndContainer(ContainerEnd { run, .. }) => {
                vec![run.process]
            }
            Self::RunWorker(_)
            | Self::FilterPackets(_)
            | Self::InterceptConnections(_)
            | Self::ReplaceRoot(_)
            | Self::ShiftClock(_)
            | Self::LimitCgroup(_)
            | Self::DownInterface(_)
            | Self::ResetConnections(_)
            | Self::StopService(_)
            | Self::EndHost(_)
            | Self::TakeServersOut(_)
            | Self::ChangeRoute(_)
            | Self::RunRollbacks { .. } => Vec::new(),
        }
    }

    /// Whether a reboot undoes it: then an entry of another boot is discarded.
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        match self {
            Self::RunRollbacks { .. } => false,
            // HAProxy's is, unless it reads a file of states as it starts.
            Self::TakeServersOut(_) => false,
            // The proxy may be on another host.
            Self::ChangeRoute(_) => false,
            // Docker remembers what was stopped by hand, and does not start it at boot.
            Self::EndContainer(end) => !matches!(end.how, EndHow::Stop { .. }),
            _ => true,
        }
    }

    /// Whether it needs a recovery at boot that is installed: it survives a reboot, and nobody said
    /// that this is accepted.
    pub(crate) fn needs_recovery_at_boot(&self) -> bool {
        match self {
            Self::EndContainer(end) => matches!(
                end.how,
                EndHow::Stop {
                    survives_reboot: false,
                    ..
                }
            ),
            _ => false,
        }
    }

    /// Whether it waits for the loss of the owner instead of having an effect.
    pub(crate) fn is_rollback(&self) -> bool {
        matches!(self, Self::RunRollbacks { .. })
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sigstop => "SIGSTOP",
            Self::FreezerV1 => "cgroup v1 freezer",
            Self::FreezerV2 => "cgroup v2 freezer",
            Self::Signal => "signal",
            Self::Worker => "worker process",
            Self::Queue => "nfqueue",
            Self::Nftables => "nftables",
            Self::Proxy => "nftables redirect into a proxy",
            Self::Netem => "netem",
            Self::Qdisc => "qdisc",
            Self::ClockSetoffset => "clock_adjtime(ADJ_SETOFFSET)",
            Self::ClockRate => "clock_adjtime(ADJ_FREQUENCY)",
            Self::CgroupLimit => "cgroup limit",
            Self::Interface => "rtnetlink",
            Self::SockDiag => "sock_diag",
            Self::Systemd => "systemd",
            Self::Reboot => "reboot(2)",
            Self::EngineApi => "Engine API",
            Self::RuntimeSocket => "HAProxy's runtime socket",
            Self::ProxyApi => "a fault proxy's HTTP interface",
            Self::Rollbacks => "rollback command",
        })
    }
}
