use std::time::Duration;

use firedrill_kernel::freezer::{self, Cgroup, Version};
use firedrill_kernel::{KernelError, Pidfd, Presence};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, SkipReason, Skipped, chain};
use crate::primitive::{Freeze, FreezeKind, FrozenMember, Primitive};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;

/// Processes frozen together.
#[derive(Debug)]
pub(crate) struct FrozenCgroup {
    freeze: Freeze,
    /// Open while in force, so that thawing opens nothing. Absent when the cgroup is.
    cgroup: Option<Cgroup>,
    refused: Option<KernelError>,
}

impl FrozenCgroup {
    /// An own cgroup is not created yet: the log comes first. An existing one is opened.
    pub(super) fn prepare(mut freeze: Freeze) -> Result<Prepared, EffectError> {
        let mut skipped = None;
        let mut kept = Vec::new();
        for member in std::mem::take(&mut freeze.members) {
            let process = member.process;
            let why = match process.stat()? {
                None => Some(SkipReason::Vanished),
                Some(stat) if stat.state.is_stopped() => Some(SkipReason::StoppedBefore),
                Some(_) if is_frozen(freeze.version, &member) => Some(SkipReason::StoppedBefore),
                Some(_) => None,
            };
            match why {
                Some(why) => skipped = Some(Skipped { process, why }),
                None => kept.push(member),
            }
        }
        freeze.members = kept;
        match skipped {
            Some(skipped) if freeze.members.is_empty() => Ok(Prepared::Skipped(skipped)),
            _ => {
                let cgroup = match freeze.kind {
                    FreezeKind::Own => None,
                    FreezeKind::Existing => Some(Cgroup::open(freeze.version, &freeze.cgroup)?),
                };
                Ok(Prepared::ready(Self {
                    freeze,
                    cgroup,
                    refused: None,
                }))
            }
        }
    }

    pub(super) fn resume(freeze: Freeze) -> Self {
        let (cgroup, refused) = match Cgroup::open(freeze.version, &freeze.cgroup) {
            Ok(cgroup) => (Some(cgroup), None),
            // Gone, or never created: nothing is frozen in it.
            Err(_) if !freeze.cgroup.exists() => (None, None),
            Err(error) => (None, Some(error)),
        };
        Self {
            freeze,
            cgroup,
            refused,
        }
    }

    /// Moves everybody back, children born in it included: those go where their parent came from.
    fn empty(&self, cgroup: &Cgroup, reverted: &mut Reverted) {
        // Twice, for a child forked while the first round ran.
        for _ in 0..2 {
            for pid in cgroup.members().unwrap_or_default() {
                let Some(member) = self.origin_of(pid) else {
                    continue;
                };
                let origin = if member.origin.exists() {
                    member.origin.clone()
                } else {
                    // Its cgroup was removed meanwhile: the nearest that is left.
                    member
                        .origin
                        .ancestors()
                        .find(|path| path.exists())
                        .map_or_else(|| member.origin.clone(), std::path::Path::to_path_buf)
                };
                if let Err(error) = freezer::move_into(&origin, pid) {
                    reverted.residue.push(not_moved_back(member, &error));
                }
            }
        }
    }

    fn origin_of(&self, pid: u32) -> Option<&FrozenMember> {
        let line = firedrill_kernel::process::ancestors(pid).unwrap_or_default();
        line.iter()
            .find_map(|ancestor| {
                self.freeze
                    .members
                    .iter()
                    .find(|member| member.process.pid == *ancestor)
            })
            .or_else(|| self.freeze.members.first())
    }

    fn refuse_bystanders(&self) -> Result<(), EffectError> {
        let Some(cgroup) = &self.cgroup else {
            return Ok(());
        };
        let bystander = cgroup.members()?.into_iter().find(|pid| {
            !self
                .freeze
                .members
                .iter()
                .any(|member| member.process.pid == *pid)
        });
        match bystander {
            Some(pid) => Err(EffectError::Bystander {
                cgroup: self.freeze.cgroup.clone(),
                pid,
            }),
            None => Ok(()),
        }
    }
}

impl Effect for FrozenCgroup {
    fn primitive(&self) -> Primitive {
        Primitive::FreezeCgroup(self.freeze.clone())
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        let cgroup = match self.cgroup.take() {
            Some(cgroup) => cgroup,
            None => Cgroup::create(self.freeze.version, &self.freeze.cgroup)?,
        };
        let cgroup = self.cgroup.insert(cgroup);
        if self.freeze.kind == FreezeKind::Own {
            for member in &self.freeze.members {
                // Held open across the move, so that the pid is its own.
                if let Some(_same) = Pidfd::open(&member.process)? {
                    cgroup.adopt(member.process.pid)?;
                }
            }
        }
        self.refuse_bystanders()?;
        if let Some(cgroup) = &self.cgroup {
            cgroup.freeze()?;
        }
        // A child forked between the look and the freeze is frozen with its parent.
        self.refuse_bystanders()
    }

    fn release(&mut self) {
        if let Some(cgroup) = &self.cgroup
            && let Err(error) = cgroup.thaw()
        {
            self.refused = Some(error);
        }
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        let cgroup_path = self.freeze.cgroup.clone();
        if let Some(error) = self.refused.take() {
            let why = chain(&error);
            reverted.residue.push(Residue::StillFrozen {
                cgroup: cgroup_path,
                why,
            });
            return reverted;
        }
        for member in &self.freeze.members {
            match member.process.presence() {
                Ok(Presence::Alive) => reverted.undone += 1,
                Ok(_) => reverted.vanished.push(member.process),
                Err(error) => reverted.residue.push(not_moved_back(member, &error)),
            }
        }
        if let Some(cgroup) = self.cgroup.take()
            && self.freeze.kind == FreezeKind::Own
        {
            self.empty(&cgroup, &mut reverted);
            if let Err(error) = cgroup.remove() {
                let why = chain(&error);
                reverted.residue.push(Residue::CgroupLeft {
                    cgroup: cgroup_path,
                    why,
                });
            }
        }
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let mut observed = Observed::default();
        let frozen = match &self.cgroup {
            Some(cgroup) => cgroup.is_frozen()?,
            None => false,
        };
        let inside = match &self.cgroup {
            Some(cgroup) => cgroup.members()?,
            None => Vec::new(),
        };
        for member in &self.freeze.members {
            let held = frozen && inside.contains(&member.process.pid);
            observed.merge(Observed::of(member.process, held));
        }
        Ok(observed)
    }
}

fn is_frozen(version: Version, member: &FrozenMember) -> bool {
    // The root of a hierarchy has no freezer, and so is never frozen.
    freezer::is_told_to_freeze(version, &member.origin).unwrap_or(false)
}

fn not_moved_back(member: &FrozenMember, error: &KernelError) -> Residue {
    Residue::NotMovedBack {
        process: member.process,
        origin: member.origin.clone(),
        why: chain(error),
    }
}
