//! One drill as its undo log sees it: what is in force, and how it is taken back.
//!
//! Used by the guardian while the drill lives, and by recovery after both are dead.

mod watched;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use firedrill_kernel::clock::boottime;
use firedrill_kernel::stopped::StoppedProcesses;
use firedrill_kernel::{BootId, KernelError, ProcessIdentity, process};

use crate::boot::BootRecovery;
use crate::crash;
use crate::effect::{self, EffectError, Held, Observed, OwnerState, Prepared, Skipped, chain};
use crate::log::{self, Contents, Durability, Ending, Log, LogError, Opened, Record};
use crate::primitive::{Freeze, Primitive};
use crate::protocol::{Applied, Refusal};
use crate::residue::{Residue, Reverted};
use crate::snapshot::{Snapshot, Subject, ours_left};
use crate::state::{DrillDir, DrillId, Lock, StateError, sync_dir};

/// A drill in the hands of its only effector.
#[derive(Debug)]
pub(crate) struct Drill {
    id: DrillId,
    dir: DrillDir,
    log: Log,
    entries: Vec<Entry>,
    next_id: u64,
    ended: Option<Ending>,
    deadline: Duration,
    lease_file: Option<File>,
    /// Somebody reads what an undo reports; otherwise what failed stays open for who will.
    reported: bool,
    /// What the effects in force touch, as it was before the first of them; to compare with.
    before: Snapshot,
    _lock: Lock,
}

/// What was applied together, and is undone together.
#[derive(Debug)]
struct Entry {
    id: u64,
    held: Vec<Held>,
    /// Stopped processes before it, where it is aimed at processes; to compare with.
    stopped: Option<StoppedProcesses>,
}

/// Which entries an undo takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    One(u64),
    /// Rollbacks stay, for an owner that lives and runs its own.
    Faults,
}

/// A disk that takes longer to sync a line is not one to rely on.
const SYNC_LIMIT: Duration = Duration::from_secs(5);

/// Even at the deadline: what follows it is undone already, and only noted.
const SYNC_LIMIT_LEAST: Duration = Duration::from_millis(100);

/// Why a drill could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("another process holds the lock of drill {0}")]
    Locked(DrillId),
}

impl Drill {
    /// Begins a drill: its directory, its log and its lease.
    pub(crate) fn begin(dir: DrillDir, lock: Lock, opened: Opened) -> Result<Self, OpenError> {
        let id = opened.drill.clone();
        let mut log = Log::create(&dir.log())?;
        log.sync_in_background()?;
        let lease = opened.lease;
        log.append(&Record::Opened(opened), Durability::Synced)?;
        sync_dir(dir.path())?;
        let lease_file = File::create(dir.lease()).ok();
        let mut drill = Self {
            id,
            dir,
            log,
            entries: Vec::new(),
            next_id: 1,
            ended: None,
            deadline: Duration::ZERO,
            lease_file,
            reported: false,
            before: Snapshot::default(),
            _lock: lock,
        };
        drill.renew(lease);
        Ok(drill)
    }

    /// Takes up a drill whose guardian is dead. Nothing more will be applied in it.
    pub(crate) fn resume(
        id: DrillId,
        dir: DrillDir,
        lock: Lock,
    ) -> Result<(Self, Option<Opened>), OpenError> {
        let (log, contents) = Log::resume(&dir.log())?;
        let opened = opened(&contents).cloned();
        let this_boot = BootId::current()?;
        let same_boot = opened
            .as_ref()
            .is_some_and(|opened| opened.owner.boot == this_boot);
        let mut entries = Vec::new();
        for (entry, effects) in open_entries(&contents) {
            let mut held = Vec::new();
            for effect in effects {
                // A reboot has undone what is volatile.
                if same_boot || !effect.is_volatile() {
                    held.extend(effect::resume(effect.clone())?);
                }
            }
            entries.push(Entry {
                id: entry,
                held,
                stopped: None,
            });
        }
        let next_id = contents.records.len() as u64 + 1;
        let drill = Self {
            id,
            dir,
            log,
            entries,
            next_id,
            ended: Some(Ending::GuardianDied),
            deadline: Duration::ZERO,
            lease_file: None,
            reported: false,
            before: Snapshot::default(),
            _lock: lock,
        };
        Ok((drill, opened))
    }

    /// What cannot be undone is reported to a person now, and need not be tried again.
    pub(crate) fn report_to_a_person(&mut self) {
        self.reported = true;
    }

    /// Notes who took over, for `status` and `halt`.
    pub(crate) fn note_takeover(&mut self, guardian: ProcessIdentity) {
        // The undo that follows needs no note, and must not wait for one.
        let _ = self
            .log
            .append(&Record::Resumed { guardian }, Durability::Written);
    }

    pub(crate) fn ended(&self) -> Option<Ending> {
        self.ended
    }

    /// On BOOTTIME.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Moves the deadline. Never synced: a renewal that is lost only shortens the lease.
    pub(crate) fn renew(&mut self, lease: Duration) {
        self.deadline = boottime() + lease;
        if let Some(file) = &self.lease_file {
            let text = format!("{:020}\n", self.deadline.as_nanos());
            // Only for `status` to show, and for recovery to respect a living owner.
            let _ = file.write_all_at(text.as_bytes(), 0);
        }
        for held in self.entries.iter_mut().flat_map(|entry| &mut entry.held) {
            held.renew(self.deadline);
        }
    }

    /// Logs the undo, then applies. All or nothing.
    pub(crate) fn apply(&mut self, effects: Vec<Primitive>) -> Result<Applied, Refusal> {
        let start = Instant::now();
        if let Some(ending) = self.ended {
            return Err(Refusal::Ended { ending });
        }
        let rollbacks = effects.iter().filter(|effect| effect.is_rollback()).count();
        if rollbacks > 0 && rollbacks < effects.len() {
            return Err(Refusal::MixedWithRollbacks);
        }
        if effects.iter().any(Primitive::needs_recovery_at_boot)
            && !BootRecovery::here().covers(self.dir.state())
        {
            return Err(Refusal::SurvivesReboot);
        }
        let stops = without_freezer(&effects);
        match self.apply_once(effects) {
            Ok(applied) => Ok(finish_timing(applied, start, None)),
            // The freezer did not do: SIGSTOP is the next mechanism in the order.
            Err((refusal, residue)) => match (stops, residue) {
                (Some(stops), 0) => {
                    let applied = self.apply_once(stops).map_err(|(refusal, _)| refusal)?;
                    Ok(finish_timing(applied, start, Some(refusal.to_string())))
                }
                _ => Err(refusal),
            },
        }
    }

    fn apply_once(&mut self, effects: Vec<Primitive>) -> Result<Applied, (Refusal, usize)> {
        let mut held = Vec::new();
        let mut skipped: Vec<Skipped> = Vec::new();
        for effect in effects {
            match effect::prepare(effect, &self.id) {
                Ok(Prepared::Ready(ready)) => held.push(ready),
                Ok(Prepared::Skipped(skip)) => skipped.push(skip),
                Err(error) => return Err((not_applied(&error, 0), 0)),
            }
        }
        let effects: Vec<Primitive> = held.iter().map(|held| held.primitive()).collect();
        let mut mechanisms: Vec<_> = effects.iter().map(Primitive::mechanism).collect();
        mechanisms.sort_unstable();
        mechanisms.dedup();
        let targets: Vec<_> = effects.iter().flat_map(Primitive::targets).collect();
        let id = self.next_id;
        self.next_id += 1;
        let stopped = if targets.is_empty() {
            None
        } else {
            StoppedProcesses::now().ok()
        };
        let subjects = Subject::of(&effects);
        let before = Snapshot::take(subjects.iter().filter(|one| !self.before.has(one)));
        self.limit_sync();
        self.log
            .append(&Record::Prepared { id, effects }, Durability::Synced)
            .map_err(|error| {
                let why = chain(&error);
                (Refusal::NotDurable { why }, 0)
            })?;
        self.before.extend(before);
        self.entries.push(Entry { id, held, stopped });
        self.put_in_force(id)?;
        // A note for people; "prepared" alone suffices to undo, so a failure changes nothing.
        let _ = self
            .log
            .append(&Record::Applied { id }, Durability::Written);
        Ok(Applied {
            id,
            mechanisms,
            injected_in: Duration::ZERO,
            targets,
            skipped,
            fallback: None,
        })
    }

    /// Applies the entry that was just logged, or undoes all of it.
    fn put_in_force(&mut self, id: u64) -> Result<(), (Refusal, usize)> {
        // The sync may have taken longer than the lease.
        if boottime() >= self.deadline {
            self.undo(Scope::One(id), OwnerState::Present);
            let ending = Ending::Expired;
            return Err((Refusal::Ended { ending }, 0));
        }
        crash::at("apply", "before");
        let mut failed = None;
        if let Some(entry) = self.entries.last_mut() {
            for held in &mut entry.held {
                if let Err(error) = held.apply(self.deadline) {
                    failed = Some(error);
                    break;
                }
                crash::at("apply", "between");
            }
        }
        crash::at("apply", "after");
        match failed {
            None => Ok(()),
            Some(error) => {
                let residue = self.undo(Scope::One(id), OwnerState::Present).residue.len();
                Err((not_applied(&error, residue), residue))
            }
        }
    }

    /// Takes back what the scope says, newest first: every release before any slow step.
    pub(crate) fn undo(&mut self, scope: Scope, owner: OwnerState) -> Reverted {
        let start = Instant::now();
        let mut taken = Vec::with_capacity(self.entries.len());
        crash::at("undo", "before");
        for entry in self
            .entries
            .iter_mut()
            .rev()
            .filter(|entry| entry.is_in(scope))
        {
            for held in entry.held.iter_mut().rev() {
                held.release();
                crash::at("undo", "between");
            }
            taken.push(entry.id);
        }
        crash::at("undo", "after");
        for entry in &mut self.entries {
            if taken.contains(&entry.id) {
                entry.held.iter_mut().for_each(|held| held.settle());
            }
        }
        let mut all = Reverted::default();
        for id in taken {
            all.merge(self.restore(id, owner));
        }
        all.took = start.elapsed();
        all
    }

    fn restore(&mut self, id: u64, owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        let Some(at) = self.entries.iter().position(|entry| entry.id == id) else {
            return reverted;
        };
        if let Some(entry) = self.entries.get_mut(at) {
            for held in entry.held.iter_mut().rev() {
                reverted.merge(held.restore(&self.id, owner));
            }
        }
        if reverted.residue.is_empty() && (self.reported || owner == OwnerState::Present) {
            reverted.residue.extend(self.ours_left(id));
        }
        let unheard = owner == OwnerState::Lost && !self.reported;
        let stays = |residue: &Residue| {
            residue.keeps_the_entry_open() || (unheard && residue.is_worth_another_try())
        };
        if reverted.residue.iter().any(stays) {
            return reverted;
        }
        let entry = self.entries.remove(at);
        // The undo is done whether or not this can be written: a second undo changes nothing.
        self.note(&Record::Done { id });
        if owner == OwnerState::Present {
            reverted.residue.extend(self.stopped_meanwhile(&entry));
            let changed = self.changed_meanwhile(&entry, &reverted.residue);
            reverted.residue.extend(changed);
        }
        reverted
    }

    /// What of an entry has our name and is still there after its undo.
    fn ours_left(&self, id: u64) -> Vec<Residue> {
        let entry = self.entries.iter().find(|entry| entry.id == id);
        let effects = entry.map(Entry::primitives).unwrap_or_default();
        ours_left(&effects, self.reported)
    }

    /// What the last entry to leave it finds changed; the next to touch it reads it anew.
    fn changed_meanwhile(&mut self, entry: &Entry, told: &[Residue]) -> Vec<Residue> {
        let in_force: Vec<_> = self.entries.iter().flat_map(Entry::primitives).collect();
        let still_touched = Subject::of(&in_force);
        let mut left = Subject::of(&entry.primitives());
        left.retain(|subject| !still_touched.contains(subject));
        self.before.split_off(&left).changed_meanwhile(told)
    }

    /// Appends what an undo does not depend on, as durably as the log still can.
    fn note(&mut self, record: &Record) {
        self.limit_sync();
        let durability = if self.log.is_poisoned() {
            Durability::Written
        } else {
            Durability::Synced
        };
        // Missing, it is undone again, which changes nothing.
        let _ = self.log.append(record, durability);
    }

    /// A stalled disk must not keep what is in force beyond its lease.
    fn limit_sync(&mut self) {
        let left = self.deadline.saturating_sub(boottime());
        let limit = if self.entries.is_empty() {
            SYNC_LIMIT
        } else {
            left.min(SYNC_LIMIT)
        };
        self.log.limit_sync(limit.max(SYNC_LIMIT_LEAST));
    }

    /// Relatives of the targets that are stopped now, were not before the entry, and are not held
    /// by another of ours. What else is stopped on the host is nobody's residue here.
    fn stopped_meanwhile(&self, entry: &Entry) -> Vec<Residue> {
        let Some(before) = &entry.stopped else {
            return Vec::new();
        };
        let Ok(after) = StoppedProcesses::now() else {
            return Vec::new();
        };
        let all = self.entries.iter().chain(std::iter::once(entry));
        let ours: Vec<_> = all.flat_map(Entry::targets).collect();
        let relatives = Relatives::of(&entry.targets());
        after
            .since(before)
            .filter(|process| !ours.contains(process) && relatives.include(process))
            .map(|process| Residue::StoppedMeanwhile { process: *process })
            .collect()
    }

    /// Undoes the faults and refuses everything from now on.
    pub(crate) fn end(&mut self, ending: Ending, scope: Scope, owner: OwnerState) -> Reverted {
        self.ended.get_or_insert(ending);
        let reverted = self.undo(scope, owner);
        // Whoever reads the log later only needs the entries; this one is for people.
        self.note(&Record::Ended { ending });
        reverted
    }

    /// Removes the drill's files once nothing of it is in force; `false` while something is.
    pub(crate) fn close(&self) -> bool {
        if !self.entries.is_empty() {
            return false;
        }
        crash::at("ended", "before-removal");
        self.dir.remove();
        true
    }

    pub(crate) fn observe(&mut self, id: u64) -> Result<Observed, Refusal> {
        let entry = self
            .entries
            .iter_mut()
            .find(|entry| entry.id == id)
            .ok_or(Refusal::UnknownFault { id })?;
        let mut observed = Observed::default();
        for held in &mut entry.held {
            observed.merge(
                held.observe()
                    .map_err(|error| Refusal::Unobservable { why: chain(&error) })?,
            );
        }
        Ok(observed)
    }

    /// Whether this id was ever given out; an undone one reverts to nothing, twice or more.
    pub(crate) fn knows(&self, id: u64) -> bool {
        id > 0 && id < self.next_id
    }
}

impl Entry {
    fn targets(&self) -> Vec<ProcessIdentity> {
        let targets = |held: &Held| held.primitive().targets();
        self.held.iter().flat_map(targets).collect()
    }

    fn primitives(&self) -> Vec<Primitive> {
        self.held.iter().map(|held| held.primitive()).collect()
    }

    fn is_in(&self, scope: Scope) -> bool {
        match scope {
            Scope::All => true,
            Scope::One(id) => self.id == id,
            Scope::Faults => !self.held.iter().any(|held| held.waits_for_owner()),
        }
    }
}

/// The process groups and the descendants of some processes.
struct Relatives {
    pids: Vec<u32>,
    groups: Vec<u32>,
}

impl Relatives {
    fn of(targets: &[ProcessIdentity]) -> Self {
        let group = |target: &ProcessIdentity| Some(target.stat().ok()??.process_group);
        Self {
            pids: targets.iter().map(|target| target.pid).collect(),
            groups: targets.iter().filter_map(group).collect(),
        }
    }

    fn include(&self, process: &ProcessIdentity) -> bool {
        let Ok(Some(stat)) = process.stat() else {
            return false;
        };
        self.groups.contains(&stat.process_group)
            || process::ancestors(process.pid)
                .is_ok_and(|line| line.iter().any(|pid| self.pids.contains(pid)))
    }
}

/// The entries of a log that are not done, oldest first.
pub(crate) fn open_entries(contents: &Contents) -> Vec<(u64, &Vec<Primitive>)> {
    let done = |wanted: u64| {
        contents
            .records
            .iter()
            .any(|record| matches!(record, Record::Done { id } if *id == wanted))
    };
    contents
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Prepared { id, effects } if !done(*id) => Some((*id, effects)),
            _ => None,
        })
        .collect()
}

/// Whose drill a log is; `None` when it was cut before its first record was whole.
pub(crate) fn opened(contents: &Contents) -> Option<&Opened> {
    match contents.records.first() {
        Some(Record::Opened(opened)) => Some(opened),
        _ => None,
    }
}

/// Whether the host was ended as the drill asked: it did, and this is another boot.
pub(crate) fn ended_the_host(contents: &Contents) -> bool {
    let another_boot = opened(contents)
        .is_some_and(|opened| BootId::current().is_ok_and(|now| now != opened.owner.boot));
    another_boot
        && open_entries(contents)
            .iter()
            .flat_map(|(_, effects)| effects.iter())
            .any(|effect| matches!(effect, Primitive::EndHost(_)))
}

/// The guardian that the log last names: the first one, or who took over from it.
pub(crate) fn last_guardian(contents: &Contents) -> Option<ProcessIdentity> {
    contents
        .records
        .iter()
        .rev()
        .find_map(|record| match record {
            Record::Resumed { guardian } => Some(*guardian),
            Record::Opened(opened) => Some(opened.guardian),
            _ => None,
        })
}

/// The last deadline a guardian noted, on BOOTTIME.
pub(crate) fn noted_deadline(dir: &DrillDir) -> Option<Duration> {
    let text = std::fs::read_to_string(dir.lease()).ok()?;
    text.trim().parse().ok().map(Duration::from_nanos)
}

/// Reads a drill's log without taking it up.
pub(crate) fn look(dir: &DrillDir) -> Result<Contents, LogError> {
    log::read(&dir.log())
}

fn finish_timing(mut applied: Applied, start: Instant, fallback: Option<String>) -> Applied {
    applied.injected_in = start.elapsed();
    applied.fallback = fallback;
    applied
}

fn not_applied(error: &EffectError, residue: usize) -> Refusal {
    Refusal::NotApplied {
        why: chain(error),
        residue,
    }
}

/// The same effects with SIGSTOP in place of each freezer; `None` when there was none.
fn without_freezer(effects: &[Primitive]) -> Option<Vec<Primitive>> {
    let stops = |freeze: &Freeze| -> Vec<Primitive> {
        let stop = |member: &crate::primitive::FrozenMember| Primitive::StopProcess {
            process: member.process,
        };
        freeze.members.iter().map(stop).collect()
    };
    effects
        .iter()
        .any(|effect| matches!(effect, Primitive::FreezeCgroup(_)))
        .then(|| {
            effects
                .iter()
                .flat_map(|effect| match effect {
                    Primitive::FreezeCgroup(freeze) => stops(freeze),
                    other => vec![other.clone()],
                })
                .collect()
        })
}
