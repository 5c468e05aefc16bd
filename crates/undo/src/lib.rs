//! Undo first: no effect on a host begins before its inverse is durable, and none outlives its
//! lease.
//!
//! Map:
//! - [`primitive`]: the closed set of effects and inverses;
//! - [`log`]: the write-ahead log of one drill;
//! - [`guardian`]: the process that logs, applies and undoes ([`guardian_main`]);
//! - [`client`]: the owner's handle on it ([`Guardian`]);
//! - [`recovery`]: undoing what the dead left ([`recover`]);
//! - [`boot`]: undoing at the next boot what a reboot does not end ([`BootRecovery`]);
//! - [`active`]: looking at drills and halting them ([`active_drills`], [`halt`]);
//! - [`residue`]: what an undo did, and what differs from before;
//! - `snapshot`: what is read before an effect and compared after it.
//!
//! Deliberately absent: choosing targets and limits (`faults`), deciding when to apply (`engine`),
//! and tokio: a guardian is one thread in one `poll`. Nothing here restores a snapshot; snapshots
//! are only compared.

pub mod active;
pub mod boot;
pub mod client;
#[cfg(feature = "crash-points")]
pub mod crash;
#[cfg(not(feature = "crash-points"))]
mod crash;
mod drill;
mod effect;
pub mod fault_proxy;
pub mod guardian;
pub mod haproxy;
pub mod log;
pub mod primitive;
mod protocol;
pub mod recovery;
pub mod residue;
mod snapshot;
pub mod state;
pub mod stray;
pub mod systemd;

pub use active::{ActiveDrill, ActiveFault, HaltError, HaltOutcome, Halted, active_drills, halt};
pub use boot::{BootError, BootRecovery, recovery_at_boot_installed};
pub use client::{Guardian, GuardianError, SpawnConfig, Watch};
pub use effect::{Observed, SkipReason, Skipped};
pub use fault_proxy::{ControlApi, ProxyError};
pub use firedrill_worker::{Measurement, Quantity, worker_main, worker_main_with};
pub use guardian::guardian_main;
pub use haproxy::{HaproxyError, RuntimeSocket};
pub use log::Ending;
pub use primitive::{
    BalancerBefore, CgroupLimit, ClockBefore, ClockChange, ClockShift, Comeback, ConnectionChoice,
    ConnectionHolder, ConnectionReset, ContainerEnd, ContainerRun, EndHow, Ending as HostEnding,
    Expected, Freeze, FreezeKind, FrozenMember, InterfaceDown, Mechanism, OutOfUse, PacketFilter,
    Primitive, PutOnRoute, RestartCommand, RootQdisc, RouteChange, ServerBefore, ServersOut,
    ServiceStop, Signalling, Work,
};
pub use protocol::{Applied, Ended, Ready, Refusal};
pub use recovery::{Filter, LeftAlone, Recovered, RecoveryError, RecoveryReport, recover};
pub use residue::{Residue, Reverted};
pub use state::{DrillId, StateDir, StateError};
pub use stray::{ROOT_MAJOR, StrayRoot, stray_roots};
pub use systemd::{ServiceError, ServiceManager};
