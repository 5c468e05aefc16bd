//! The process group of one command.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Signals go to the whole group, and only while its leader is not reaped. Dropped before
/// [`Group::release`], as when the drill itself is torn down, it kills the group.
pub(in crate::provider) struct Group {
    leader: Pid,
    exited: AsyncFd<OwnedFd>,
    held: bool,
}

impl Group {
    /// The group that `child` leads. The child must not have been waited for.
    pub(in crate::provider) fn of(child: &tokio::process::Child) -> io::Result<Self> {
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("it was reaped already"))?;
        match pidfd_open(leader, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(register)
        {
            Ok(exited) => Ok(Self {
                leader,
                exited,
                held: true,
            }),
            Err(error) => {
                let _gone_is_fine = kill_process_group(leader, Signal::KILL);
                Err(error)
            }
        }
    }

    /// A pidfd is readable once its process is a zombie; looking does not reap it.
    pub(in crate::provider) async fn leader_exited(&self) {
        // It fails only when the runtime is going away, and everything with it.
        let _ready = self.exited.readable().await;
    }

    /// SIGTERM to all; SIGKILL to who is left when `gone` is true or `grace` is over.
    pub(in crate::provider) async fn end(&self, grace: Duration, gone: impl Future<Output = ()>) {
        self.signal(Signal::TERM);
        let _still_there = tokio::time::timeout(grace, gone).await;
        self.signal(Signal::KILL);
    }

    /// From here on the leader may be reaped.
    pub(in crate::provider) fn release(mut self) {
        self.held = false;
    }

    fn signal(&self, signal: Signal) {
        // No such process: everyone has gone by themselves, which is what was wanted.
        let _gone_is_fine = kill_process_group(self.leader, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.held {
            self.signal(Signal::KILL);
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for types that lie about their descriptor; `OwnedFd` does not"
)]
fn register(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}
