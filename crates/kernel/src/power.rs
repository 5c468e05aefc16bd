//! The end of the host by reboot(2): nothing is asked to stop first, as when the power fails, but
//! what was written can be made durable.

use rustix::system::RebootCommand;
use serde::{Deserialize, Serialize};

use crate::{KernelError, ProcessIdentity};

/// How the host ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostEnd {
    /// It starts again.
    Reboot,
    /// Its power is off.
    Shutdown,
}

/// The inode of the first PID namespace (`PROC_PID_INIT_INO` of include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Whether this process sees the processes of the host. In any other PID namespace reboot(2) would
/// only end that namespace.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn is_the_host() -> Result<bool, KernelError> {
    Ok(ProcessIdentity::current()?.pid_namespace == FIRST_PID_NAMESPACE)
}

/// Writes what the kernel holds back to every disk, and waits for it.
pub fn sync_disks() {
    rustix::fs::sync();
}

/// Ends the host at once. Returns only when refused.
///
/// # Errors
/// When refused (CAP_SYS_BOOT).
pub fn end_host(end: HostEnd) -> Result<(), KernelError> {
    let command = match end {
        HostEnd::Reboot => RebootCommand::Restart,
        HostEnd::Shutdown => RebootCommand::PowerOff,
    };
    rustix::system::reboot(command).map_err(|source| KernelError::call("reboot", source))
}
