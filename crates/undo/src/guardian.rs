//! The guardian: a small process that logs, applies and undoes, so that nobody else has to live.
//!
//! ```text
//!   owner ──(seqpacket socket: apply, observe, renew, revert, finish)──▶ guardian ──▶ kernel
//!     ▲                                                                    │
//!     └────────────(pidfd: has the owner died?)────────────────────────────┤
//!                  (BOOTTIME timer: has the lease run out?)────────────────┤
//!                  (SIGTERM: does somebody want it halted?)────────────────┘
//! ```
//!
//! It is single-threaded and waits in one `poll`. Whatever wakes it, it looks at the deadline
//! first: after a freeze of the whole machine an owner's renewal may be older than the expiry.

mod arguments;
mod serve;

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use firedrill_kernel::signals::SignalQueue;
use firedrill_kernel::{Pidfd, ProcessIdentity, hardening};
use rustix::net::SendFlags;

use crate::drill::{Drill, OpenError, Scope};
use crate::effect::{OwnerState, chain};
use crate::log::{Ending, FORMAT, Opened};
use crate::protocol::{self, Packet, Ready, Refusal, Reply};
use crate::residue::Reverted;

pub(crate) use arguments::Arguments;
use serve::Service;

/// How long to wait for a lock that a reader or a dying guardian still holds.
const LOCK_LIMIT: Duration = Duration::from_secs(1);

/// Runs the guardian until its drill is over. `arguments` are what [`crate::Guardian::spawn`]
/// passed after the hidden command's name; the socket is standard input.
///
/// To be called before anything else in the process: it closes every inherited descriptor, leaves
/// the session, and expects to be the only thread.
pub fn guardian_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Kernels before 5.9 cannot; what is inherited then stays open until the drill is over.
    let _ = hardening::close_inherited();
    // Refused only to a group leader, which has no terminal's group to leave.
    let _ = hardening::own_session();
    // For `ps`: the executable may have been started as /proc/self/exe.
    let _ = rustix::thread::set_name(c"firedrill-guard");
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    match start(&socket, arguments) {
        Ok(service) => service.run(),
        Err(refusal) => {
            let packet = Packet {
                number: 0,
                body: Reply::Refused(refusal),
            };
            // If nobody listens there is nobody to tell, and nothing was applied.
            let _ = protocol::send(&socket, &packet, SendFlags::DONTWAIT);
            ExitCode::FAILURE
        }
    }
}

fn start(
    socket: &OwnedFd,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Service, Refusal> {
    let arguments = Arguments::parse(arguments).map_err(|error| not_started(&error))?;
    let signals = SignalQueue::open().map_err(|error| not_started(&error))?;
    let me = ProcessIdentity::current().map_err(|error| not_started(&error))?;
    let owner = ProcessIdentity {
        pid: arguments.owner_pid,
        start: arguments.owner_start,
        ..me
    };
    let watched = Pidfd::open(&owner).map_err(|error| not_started(&error))?;
    let Some(owner_pidfd) = watched else {
        return Err(Refusal::Ended {
            ending: Ending::OwnerDied,
        });
    };
    let (drill, recovered) =
        open_drill(&arguments, owner, me).map_err(|error| not_started(&error))?;
    let socket = socket.try_clone().map_err(|error| not_started(&error))?;
    let service = Service::new(drill, arguments.lease, socket, owner_pidfd, signals)
        .map_err(|error| not_started(&error))?;
    let hardened = hardening::harden();
    service.tell(
        0,
        Reply::Ready(Ready {
            guardian: me,
            memory_locked: hardened.memory_locked,
            spared_by_oom_killer: hardened.spared_by_oom_killer,
            realtime: hardened.realtime,
            recovered,
        }),
    );
    Ok(service)
}

/// A new drill, or one whose guardian died: then its faults are undone before anything else.
fn open_drill(
    arguments: &Arguments,
    owner: ProcessIdentity,
    me: ProcessIdentity,
) -> Result<(Drill, Reverted), OpenError> {
    let id = arguments.drill.clone();
    let dir = arguments.state.drill(&id);
    if !arguments.resume {
        dir.create()?;
    }
    let lock = dir
        .lock(LOCK_LIMIT)?
        .ok_or_else(|| OpenError::Locked(id.clone()))?;
    if arguments.resume {
        let (mut drill, _) = Drill::resume(id, dir, lock)?;
        drill.note_takeover(me);
        let reverted = drill.end(Ending::GuardianDied, Scope::Faults, OwnerState::Present);
        return Ok((drill, reverted));
    }
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let opened = Opened {
        format: FORMAT,
        drill: id,
        label: arguments.label.clone(),
        owner,
        guardian: me,
        since: since.as_secs(),
        lease: arguments.lease,
    };
    Ok((Drill::begin(dir, lock, opened)?, Reverted::default()))
}

fn not_started(error: &dyn std::error::Error) -> Refusal {
    Refusal::NotStarted { why: chain(error) }
}
