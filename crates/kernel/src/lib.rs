//! What Firedrill asks of the Linux kernel, in the kernel's own terms: who a process is, what state
//! it is in, how to signal it without hitting a successor of its pid, what time it is when the
//! machine has slept, and which freezer works here.
//!
//! Map:
//! - [`identity`]: a process by boot, namespace, pid and start time, so that a reused pid is another process;
//! - [`process`]: readers of `/proc/PID`, which treat a process that vanishes between two reads as gone;
//! - [`pidfd`]: signals and waiting by descriptor;
//! - [`capability`]: what this process may do;
//! - [`clock`]: BOOTTIME deadlines;
//! - [`realtime`]: CLOCK_REALTIME against the hardware's count, moving it, its rate, who else keeps it;
//! - [`freezer`]: cgroup v1 and v2 freezers, found by operating them;
//! - [`cgroup`]: cgroups of our own, use, and limits that are only swapped for the expected ones;
//! - [`mounts`]: what is mounted, room, loop devices;
//! - [`stopped`]: a snapshot of stopped processes, which is only ever compared;
//! - [`netlink`], [`namespace`]: requests to the kernel over netlink, in a network namespace;
//! - [`nftables`]: tables of our own, bound to a descriptor and to a lease;
//! - [`link`]: interfaces, and the routes and addresses that a downed one loses;
//! - [`qdisc`]: queueing disciplines: netem, rates, bands, and configurations that compare;
//! - [`sock_diag`]: TCP and UDP sockets, listed and destroyed;
//! - [`socket`]: the mark of what a socket sends, and where what was redirected to it was meant for;
//! - [`conntrack`]: translations that outlive their rules, listed and forgotten;
//! - [`power`]: the end of the host by reboot(2);
//! - [`signals`], [`hardening`]: what a small long-lived process needs to stay alive.
//!
//! The only unsafe code of the workspace is in the private module `sys`: the calls that rustix does
//! not offer. Nothing here decides anything: choosing targets, logging and undoing live above.

pub mod capability;
pub mod cgroup;
pub mod clock;
pub mod conntrack;
pub mod error;
pub mod freezer;
pub mod hardening;
pub mod identity;
pub mod link;
pub mod mounts;
pub mod namespace;
pub mod netlink;
pub mod nftables;
pub mod pidfd;
pub mod power;
pub mod process;
pub mod qdisc;
pub mod realtime;
pub mod signals;
pub mod sock_diag;
pub mod socket;
pub mod stopped;
mod sys;
pub mod time_namespace;

pub use capability::{Capabilities, Capability};
pub use error::KernelError;
pub use identity::{BootId, Presence, ProcessIdentity};
pub use pidfd::{Delivery, Pidfd, Signal};
