use std::path::PathBuf;

use firedrill_undo::ServiceError;

use crate::policy::PolicyError;

/// Why this host, or this target, is not fit for a fault of the infrastructure layer.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("{} is no directory that can be reached", path.display())]
    NoDirectory { path: PathBuf },
    #[error("the file system of {} is read-only", path.display())]
    ReadOnly { path: PathBuf },
    #[error("the file system of {} has no size of its own to fill", path.display())]
    Unsized { path: PathBuf },
    #[error("the file system of {} counts no inodes", path.display())]
    NoInodes { path: PathBuf },
    #[error(
        "{wanted} {unit} are asked for in {}, and {free} are free beside the reserve of {reserve}",
        path.display()
    )]
    NoRoom {
        path: PathBuf,
        wanted: u64,
        free: u64,
        reserve: u64,
        unit: &'static str,
    },
    #[error("{} is in use to more than {percent} % already", path.display())]
    FullerAlready { path: PathBuf, percent: f64 },
    #[error("the cgroup {} has no {controller} controller", path.display())]
    NoController {
        path: PathBuf,
        controller: &'static str,
    },
    #[error("process {pid} is in no cgroup with the {controller} controller")]
    NoCgroup { pid: u32, controller: &'static str },
    #[error(
        "process {pid} is in the root cgroup, with everybody else: aim at the host, or give it a \
         cgroup of its own"
    )]
    RootCgroup { pid: u32 },
    #[error("the root cgroup cannot be throttled")]
    RootThrottled,
    #[error("the cgroup {} holds process {pid} too, which is not a target", cgroup.display())]
    Bystander { cgroup: PathBuf, pid: u32 },
    #[error(
        "{percent} % of what {} may use now is {quota_us} µs in a period, and the kernel takes no \
         quota below {least_us} µs",
        cgroup.display()
    )]
    QuotaTooSmall {
        cgroup: PathBuf,
        percent: f64,
        quota_us: u64,
        least_us: u64,
    },
    #[error("processor {cpu} is not online; {online} are")]
    NoProcessor { cpu: u32, online: String },
    #[error("load on {cores} cores is asked for, and {usable} may be used")]
    FewProcessors { cores: u32, usable: usize },
    #[error(
        "the time daemon {name} (pid {pid}) would fight it; `stop-ntp: true` pauses it meanwhile"
    )]
    TimeDaemon { name: String, pid: u32 },
    #[error(
        "the kernel's clock is steered by a time daemon that cannot be seen from here, so that it \
         cannot be paused"
    )]
    ClockSteered,
    #[error("{end} needs `allow: true` among its arguments")]
    NotAllowedByDocument { end: &'static str },
    #[error(
        "{end} is not allowed by the policy of this host: {} would have to say `allow: [{end}]`",
        policy.display()
    )]
    NotAllowedByPolicy { end: &'static str, policy: PathBuf },
    #[error("from within a PID namespace of its own, a host cannot be ended")]
    NotTheHost,
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("the unit {unit} is {state}, not active: there is nothing to stop")]
    NotActive { unit: String, state: String },
    #[error(
        "the unit {unit} is {state}: after a reboot during the fault nothing would start it again; \
         `not-enabled: true` accepts that"
    )]
    WouldNotComeBack { unit: String, state: String },
    #[error(transparent)]
    Service(#[from] ServiceError),
}
