//! Which drills are active here, and asking their guardians to halt.

use std::time::{Duration, Instant};

use firedrill_kernel::clock::boottime;
use firedrill_kernel::{Pidfd, Presence, ProcessIdentity, Signal};

use crate::drill;
use crate::effect::chain;
use crate::log::{Contents, Ending, Record};
use crate::primitive::Primitive;
use crate::recovery::{Filter, Recovered, RecoveryError, recover};
use crate::state::{DrillDir, DrillId, StateDir, StateError, wait};

/// A drill that has something in its log.
#[derive(Clone, Debug)]
pub struct ActiveDrill {
    pub drill: DrillId,
    pub label: String,
    pub user: u32,
    pub owner: ProcessIdentity,
    pub owner_presence: Presence,
    pub guardian: ProcessIdentity,
    pub guardian_presence: Presence,
    /// Seconds since the epoch.
    pub since: u64,
    /// Until its lease runs out unless renewed; zero when it has.
    pub lease_left: Duration,
    /// How its right to apply ended, if it did.
    pub ended: Option<Ending>,
    /// What is in force or could be, oldest first.
    pub faults: Vec<ActiveFault>,
}

/// A fault that is in the log and not undone.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveFault {
    pub id: u64,
    pub effects: Vec<Primitive>,
}

/// What halting one drill came to.
#[derive(Debug)]
pub struct Halted {
    pub drill: DrillId,
    pub outcome: HaltOutcome,
    /// From the request until the log says that every fault is undone.
    pub took: Duration,
}

#[derive(Debug)]
pub enum HaltOutcome {
    /// Its guardian undid everything; the owner is told, and runs its own rollbacks.
    Undone,
    /// Its guardian was dead: recovered from here.
    Recovered(Box<Recovered>),
    /// It does not belong to this user, who may not signal its guardian.
    NotAllowed { why: String },
    /// Not undone within the limit.
    TimedOut,
    /// Left alone, and why.
    Left { why: String },
}

#[derive(Debug, thiserror::Error)]
pub enum HaltError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

/// Drills that are running or left something, by name. Changes nothing.
///
/// # Errors
/// When the state directory cannot be read.
pub fn active_drills(state: &StateDir) -> Result<Vec<ActiveDrill>, StateError> {
    let ids = state.drill_ids()?;
    Ok(ids
        .into_iter()
        .filter_map(|id| active_drill(state, id))
        .collect())
}

/// Tells guardians to undo now and owners to stop, and waits until it is done.
///
/// # Errors
/// When the state directory cannot be read.
pub fn halt(state: &StateDir, filter: &Filter, limit: Duration) -> Result<Vec<Halted>, HaltError> {
    let start = Instant::now();
    let mut waiting = Vec::new();
    let mut halted = Vec::new();
    // All are told first: the last must not wait for the first one's undo.
    for active in active_drills(state)? {
        if matches!(filter, Filter::Drill(drill) if *drill != active.drill) {
            continue;
        }
        match tell(&active) {
            Ok(true) => waiting.push(active.drill),
            Ok(false) => {
                let outcome = recover_dead(state, &active.drill)?;
                halted.push(Halted {
                    drill: active.drill,
                    outcome,
                    took: start.elapsed(),
                });
            }
            Err(why) => halted.push(Halted {
                drill: active.drill,
                outcome: HaltOutcome::NotAllowed { why },
                took: start.elapsed(),
            }),
        }
    }
    for drill in waiting {
        let outcome = wait_until_undone(&state.drill(&drill), start + limit);
        halted.push(Halted {
            drill,
            outcome,
            took: start.elapsed(),
        });
    }
    Ok(halted)
}

fn active_drill(state: &StateDir, id: DrillId) -> Option<ActiveDrill> {
    let dir = state.drill(&id);
    let contents = drill::look(&dir).ok()?;
    let opened = drill::opened(&contents)?;
    let guardian = drill::last_guardian(&contents)?;
    let presence =
        |process: &ProcessIdentity| process.presence().unwrap_or(Presence::ElsewhereUnknown);
    let deadline = drill::noted_deadline(&dir).unwrap_or_default();
    Some(ActiveDrill {
        user: dir.owner().ok()?,
        label: opened.label.clone(),
        owner: opened.owner,
        owner_presence: presence(&opened.owner),
        guardian,
        guardian_presence: presence(&guardian),
        since: opened.since,
        lease_left: deadline.saturating_sub(boottime()),
        ended: ending(&contents),
        faults: drill::open_entries(&contents)
            .into_iter()
            .map(|(id, effects)| ActiveFault {
                id,
                effects: effects.clone(),
            })
            .collect(),
        drill: id,
    })
}

fn ending(contents: &Contents) -> Option<Ending> {
    contents.records.iter().find_map(|record| match record {
        Record::Ended { ending } => Some(*ending),
        _ => None,
    })
}

/// Whether there was a guardian to tell.
fn tell(active: &ActiveDrill) -> Result<bool, String> {
    let pidfd = Pidfd::open(&active.guardian).map_err(|error| chain(&error))?;
    match pidfd {
        None => Ok(false),
        Some(pidfd) => match pidfd.send(Signal::Term) {
            Ok(firedrill_kernel::Delivery::Sent) => Ok(true),
            Ok(firedrill_kernel::Delivery::Gone) => Ok(false),
            Err(error) => Err(chain(&error)),
        },
    }
}

fn recover_dead(state: &StateDir, drill: &DrillId) -> Result<HaltOutcome, HaltError> {
    let mut report = recover(state, &Filter::Drill(drill.clone()))?;
    if let Some(recovered) = report.recovered.pop() {
        return Ok(HaltOutcome::Recovered(Box::new(recovered)));
    }
    Ok(match report.left.pop() {
        Some((_, left)) => HaltOutcome::Left {
            why: left.to_string(),
        },
        // Somebody else cleaned up between the look and the recovery.
        None => HaltOutcome::Undone,
    })
}

/// The log is the only witness that every user of this directory can see.
fn wait_until_undone(dir: &DrillDir, end: Instant) -> HaltOutcome {
    loop {
        let undone = match drill::look(dir) {
            Ok(contents) => {
                let faults_left = drill::open_entries(&contents)
                    .iter()
                    .any(|(_, effects)| !effects.iter().all(Primitive::is_rollback));
                // An absent log is empty: the drill is over and its files removed.
                contents.records.is_empty() || (ending(&contents).is_some() && !faults_left)
            }
            Err(_) => false,
        };
        if undone {
            return HaltOutcome::Undone;
        }
        if Instant::now() >= end {
            return HaltOutcome::TimedOut;
        }
        wait(Duration::from_millis(1));
    }
}
