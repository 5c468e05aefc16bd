//! What a fault takes of a host, to be added up with what others take.

use std::collections::BTreeSet;
use std::path::PathBuf;

use firedrill_kernel::namespace::NamespaceId;
use firedrill_kernel::{Presence, ProcessIdentity};

use crate::selector::Selection;
use crate::target::Target;

/// One that is counted. A container is the same one after a restart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    Process(ProcessIdentity),
    Host,
    Namespace(NamespaceId),
    Cgroup(PathBuf),
    /// By its full id.
    Container(String),
}

/// The targets of a fault, and the population they belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    pub(super) hit: BTreeSet<Member>,
    pub(super) population: BTreeSet<Member>,
}

impl From<&Target> for Member {
    fn from(target: &Target) -> Self {
        match target {
            Target::Process(process) => Self::Process(process.identity),
            Target::Host => Self::Host,
            Target::Namespace(namespace) => Self::Namespace(namespace.id),
            Target::Cgroup(path) => Self::Cgroup(path.clone()),
            Target::Container(container) => Self::Container(container.reference.id.clone()),
        }
    }
}

impl Member {
    /// Whether it is known to have ended. Of a container that its engine can start again it is not.
    fn has_ended(&self) -> bool {
        matches!(self, Self::Process(process) if matches!(process.presence(), Ok(Presence::Gone)))
    }
}

impl From<&Selection> for Footprint {
    fn from(selection: &Selection) -> Self {
        let hit: BTreeSet<Member> = selection.chosen.iter().map(Member::from).collect();
        // What is hit belongs to its population, whatever was counted.
        let population = selection.population.union(&hit).cloned().collect();
        Self { hit, population }
    }
}

impl Footprint {
    /// Distinct targets.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.hit.len()
    }

    #[must_use]
    pub fn population(&self) -> usize {
        self.population.len()
    }

    /// Together with those of the others whose populations share a member with its own, directly or
    /// through another: a target that two hit counts once, and so does a member of two populations.
    #[must_use]
    pub fn with_related(&self, others: &[Self]) -> Self {
        let mut all = self.clone();
        let mut apart: Vec<&Self> = others.iter().collect();
        loop {
            let (related, rest): (Vec<&Self>, Vec<&Self>) = apart
                .into_iter()
                .partition(|other| !other.population.is_disjoint(&all.population));
            if related.is_empty() {
                return all;
            }
            for other in related {
                all.hit.extend(other.hit.iter().cloned());
                all.population.extend(other.population.iter().cloned());
            }
            apart = rest;
        }
    }

    /// Without members that have ended by themselves: they are not healthy. Those that were hit
    /// stay, where the fault ends its targets.
    #[must_use]
    pub fn of_now(&self, ends_its_targets: bool) -> Self {
        let stays = |member: &&Member| !member.has_ended();
        let hit: BTreeSet<Member> = if ends_its_targets {
            self.hit.clone()
        } else {
            self.hit.iter().filter(stays).cloned().collect()
        };
        let alive = self.population.iter().filter(stays).cloned();
        let population = alive.chain(hit.iter().cloned()).collect();
        Self { hit, population }
    }
}
