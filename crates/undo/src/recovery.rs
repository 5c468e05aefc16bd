//! Undoing what a drill left whose owner and guardian are both dead.

use std::time::Duration;

use firedrill_kernel::clock::boottime;
use firedrill_kernel::{KernelError, Presence, ProcessIdentity};

use crate::drill::{self, Drill, OpenError, Scope};
use crate::effect::{OwnerState, chain};
use crate::log::{Ending, FORMAT, Opened};
use crate::residue::Reverted;
use crate::state::{DrillDir, DrillId, Lock, StateDir, StateError};

/// Which drills to recover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    #[default]
    All,
    Drill(DrillId),
}

/// What a recovery did. Empty when nothing was left behind.
#[derive(Debug, Default)]
pub struct RecoveryReport {
    /// Drills of which something was undone or discarded.
    pub recovered: Vec<Recovered>,
    /// Drills left alone, and why.
    pub left: Vec<(DrillId, LeftAlone)>,
}

/// A drill that was cleaned up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    pub drill: DrillId,
    pub label: String,
    pub reverted: Reverted,
    /// The host was started again since, which the drill had asked for.
    pub ended_with_the_host: bool,
    /// Nothing of it is left, and nothing failed. Otherwise see the residue; where an effect is
    /// still in force the log stays, and a recovery with more rights may finish.
    pub clean: bool,
}

/// Why a drill was not touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeftAlone {
    #[error("its guardian is alive")]
    GuardianAlive,
    #[error("its owner (process {pid}) is alive and its lease is not over")]
    OwnerAlive { pid: u32 },
    #[error("it belongs to user {uid}")]
    OtherUser { uid: u32 },
    #[error(
        "its owner is of another pid namespace, so it cannot be told from here whether it lives"
    )]
    OtherNamespace,
    #[error("its log is of format {format}, which this version does not know")]
    OtherFormat { format: u32 },
    #[error("it is just being created")]
    BeingCreated,
    #[error("{why}")]
    Unreadable { why: String },
}

/// Why nothing could be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("another process has been recovering in {} for {} s", state.display(), waited.as_secs())]
    Busy {
        state: std::path::PathBuf,
        waited: Duration,
    },
}

/// How long another recoverer may take before this one gives up.
const BUSY_LIMIT: Duration = Duration::from_secs(10);

/// How long a dead guardian's lock may be held.
const DYING_LIMIT: Duration = Duration::from_secs(1);

/// A directory without a log is left alone this long: a guardian may be about to write it.
const CREATION_LIMIT: Duration = Duration::from_secs(60);

/// Undoes what dead drills of this user left. Doing it again undoes nothing more.
///
/// Must not be called by the command of a [`crate::Primitive::RunRollbacks`], whose environment
/// says `FIREDRILL_RECOVERING=1`: its caller holds the lock.
///
/// # Errors
/// When the state directory cannot be read, or another process keeps recovering.
pub fn recover(state: &StateDir, filter: &Filter) -> Result<RecoveryReport, RecoveryError> {
    let mut report = RecoveryReport::default();
    let wanted: Vec<DrillId> = state
        .drill_ids()?
        .into_iter()
        .filter(|id| match filter {
            Filter::All => true,
            Filter::Drill(drill) => drill == id,
        })
        .collect();
    if wanted.is_empty() {
        return Ok(report);
    }
    let Some(_lock) = state.lock_recovery(BUSY_LIMIT)? else {
        return Err(RecoveryError::Busy {
            state: state.path().into(),
            waited: BUSY_LIMIT,
        });
    };
    for id in wanted {
        match recover_drill(state, &id) {
            Ok(Some(recovered)) => report.recovered.push(recovered),
            Ok(None) => {}
            Err(left) => report.left.push((id, left)),
        }
    }
    Ok(report)
}

fn recover_drill(state: &StateDir, id: &DrillId) -> Result<Option<Recovered>, LeftAlone> {
    let dir = state.drill(id);
    let uid = dir.owner().map_err(|error| unreadable(&error))?;
    if uid != rustix::process::geteuid().as_raw() {
        return Err(LeftAlone::OtherUser { uid });
    }
    if !dir.log().exists() {
        return recover_empty(&dir);
    }
    let lock = lock(&dir)?;
    // Whose it is comes first: a log is only written to once it is known to be ours to write.
    let contents = drill::look(&dir).map_err(|error| unreadable(&error))?;
    let owner = match drill::opened(&contents) {
        Some(opened) => owner_state(opened, &dir)?,
        // Cut before its first record was whole: nothing was applied on its strength. Nobody is
        // still writing it, since the lock is taken before the log is created.
        None => {
            dir.remove();
            return Ok(None);
        }
    };
    let ended_with_the_host = drill::ended_the_host(&contents);
    let (mut drill, opened) =
        Drill::resume(id.clone(), dir, lock).map_err(|error: OpenError| unreadable(&error))?;
    let scope = match owner {
        OwnerState::Present => Scope::Faults,
        OwnerState::Lost => Scope::All,
    };
    drill.report_to_a_person();
    let reverted = drill.end(Ending::GuardianDied, scope, owner);
    let clean = drill.close() && reverted.residue.is_empty();
    Ok(Some(Recovered {
        drill: id.clone(),
        label: opened.map(|opened| opened.label).unwrap_or_default(),
        reverted,
        ended_with_the_host,
        clean,
    }))
}

/// The drill's lock, unless its guardian lives. One that was just killed may hold it for an
/// instant longer, as may one that is starting to take over.
fn lock(dir: &DrillDir) -> Result<Lock, LeftAlone> {
    if let Some(lock) = dir
        .lock(Duration::ZERO)
        .map_err(|error| unreadable(&error))?
    {
        return Ok(lock);
    }
    let contents = drill::look(dir).map_err(|error| unreadable(&error))?;
    let guardian = drill::last_guardian(&contents).ok_or(LeftAlone::BeingCreated)?;
    if !is_gone_or_dying(&guardian) {
        return Err(LeftAlone::GuardianAlive);
    }
    let lock = dir.lock(DYING_LIMIT).map_err(|error| unreadable(&error))?;
    lock.ok_or(LeftAlone::GuardianAlive)
}

/// A killed process gives up its lock only once the kernel has taken down what it held, which takes
/// some milliseconds with tables of packet rules.
fn is_gone_or_dying(guardian: &ProcessIdentity) -> bool {
    match guardian.presence() {
        Ok(Presence::Gone) => true,
        Ok(Presence::Alive) => guardian.is_dying().unwrap_or(false),
        Ok(Presence::ElsewhereUnknown) | Err(_) => false,
    }
}

/// A directory without a log: left over from a removal, or about to get one, or its owner's.
fn recover_empty(dir: &DrillDir) -> Result<Option<Recovered>, LeftAlone> {
    if dir.age() < CREATION_LIMIT {
        return Err(LeftAlone::BeingCreated);
    }
    dir.remove();
    Ok(None)
}

/// Whether the owner may be overruled, and whether it lives.
fn owner_state(opened: &Opened, dir: &DrillDir) -> Result<OwnerState, LeftAlone> {
    if opened.format != FORMAT {
        return Err(LeftAlone::OtherFormat {
            format: opened.format,
        });
    }
    // An owner whose next guardian does not start may do it itself.
    if ProcessIdentity::current().is_ok_and(|me| me == opened.owner) {
        return Ok(OwnerState::Present);
    }
    match opened
        .owner
        .presence()
        .map_err(|error: KernelError| unreadable(&error))?
    {
        Presence::Gone => Ok(OwnerState::Lost),
        Presence::ElsewhereUnknown => Err(LeftAlone::OtherNamespace),
        Presence::Alive => match drill::noted_deadline(dir) {
            // It will start another guardian itself.
            Some(deadline) if boottime() < deadline => Err(LeftAlone::OwnerAlive {
                pid: opened.owner.pid,
            }),
            _ => Ok(OwnerState::Present),
        },
    }
}

fn unreadable(error: &dyn std::error::Error) -> LeftAlone {
    LeftAlone::Unreadable { why: chain(error) }
}
