//! The host's state around a drill's effects: read before, compared after, never restored.
//!
//! What is compared follows from what an effect can change:
//!
//! | effect | compared |
//! |---|---|
//! | rules in a network namespace | every nftables table of that namespace ([`Subject::Rules`]) |
//! | a root qdisc | that interface: up or down, size, bridge, disciplines ([`Subject::Interface`]) |
//! | a limit, or a freezer of somebody's cgroup | limits and freezer of that cgroup ([`Subject::Cgroup`]) |
//! | a filled or busy file system | its mount, whether it is writable, loop devices on it ([`Subject::Directory`]) |
//! | stopped, frozen or killed processes | stopped relatives of the targets (`drill`) |
//! | containers | the state that their engine tells, by the effect itself |
//! | a container | its state, by the effect itself, which asks its engine |
//! | the clock | its distance from the raw clock, by the effect itself, whose reading is in the log |
//!
//! A difference is *ours* when it has our name ([`ours_left`]; it needs no reading before, so it is
//! asked after a recovery too), and *somebody's* when what we touched was changed meanwhile. Both
//! are told. Everything else that changes on a host meanwhile (other namespaces, interfaces,
//! cgroups and mounts, what another drill of Firedrill put beside ours, the elements of sets, which
//! programs change all the time) is nobody's residue here.
//!
//! What could not be read before has no state, and is not compared. What can be read no more
//! afterwards is told as unknown: nobody knows that it is as it was.

mod cgroup;
mod directory;
mod interface;
mod ours;
mod rules;

use std::path::PathBuf;

use firedrill_kernel::KernelError;
use firedrill_kernel::namespace::NetNamespace;
use firedrill_worker::Job;

use crate::effect::chain;
use crate::primitive::{FreezeKind, Primitive};
use crate::residue::Residue;

use cgroup::CgroupState;
use directory::DirectoryState;
use interface::InterfaceState;
use rules::RulesState;

pub(crate) use ours::{ours_left, session_left};

/// One thing that an effect can change beside what it adds itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Subject {
    Rules(NetNamespace),
    Interface {
        namespace: NetNamespace,
        index: u32,
        name: String,
    },
    Cgroup(PathBuf),
    Directory(PathBuf),
}

/// The state of some subjects at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    read: Vec<(Subject, State)>,
}

/// One thing that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) what: String,
    pub(crate) difference: String,
}

#[derive(Debug, PartialEq)]
enum State {
    Rules(RulesState),
    Interface(InterfaceState),
    Cgroup(CgroupState),
    Directory(DirectoryState),
}

impl Subject {
    /// What these effects can change, each once.
    pub(crate) fn of<'a>(effects: impl IntoIterator<Item = &'a Primitive>) -> Vec<Self> {
        let mut subjects = Vec::new();
        for subject in effects.into_iter().filter_map(Self::of_one) {
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        subjects
    }

    fn of_one(effect: &Primitive) -> Option<Self> {
        Some(match effect {
            Primitive::FilterPackets(filter) => Self::Rules(filter.namespace.clone()),
            Primitive::InterceptConnections(job) => Self::Rules(job.namespace.clone()),
            Primitive::ReplaceRoot(root) => Self::Interface {
                namespace: root.namespace.clone(),
                index: root.bands.interface,
                name: root.name.clone(),
            },
            Primitive::DownInterface(down) => Self::Interface {
                namespace: down.namespace.clone(),
                index: down.index,
                name: down.name.clone(),
            },
            Primitive::LimitCgroup(limit) => Self::Cgroup(limit.cgroup.path.clone()),
            Primitive::FreezeCgroup(freeze) => match freeze.kind {
                FreezeKind::Existing => Self::Cgroup(freeze.cgroup.clone()),
                FreezeKind::Own => return None,
            },
            Primitive::RunWorker(work) => match &work.job {
                Job::Disk(fill) => Self::Directory(fill.directory.clone()),
                Job::Inodes(fill) => Self::Directory(fill.directory.clone()),
                Job::Io(load) => Self::Directory(load.directory.clone()),
                _ => return None,
            },
            Primitive::StopProcess { .. }
            | Primitive::KillProcess { .. }
            | Primitive::ShiftClock(_)
            | Primitive::ResetConnections(_)
            | Primitive::SignalProcess(_)
            | Primitive::StopService(_)
            | Primitive::EndHost(_)
            | Primitive::PauseContainer(_)
            | Primitive::EndContainer(_)
            // Compared by its own undo: only what it touched is its.
            | Primitive::TakeServersOut(_)
            | Primitive::ChangeRoute(_)
            | Primitive::RunRollbacks { .. } => return None,
        })
    }

    /// `None` for what is gone.
    fn read(&self) -> Result<Option<State>, KernelError> {
        Ok(match self {
            Self::Rules(namespace) => Some(State::Rules(RulesState::read(namespace)?)),
            Self::Interface {
                namespace, index, ..
            } => Some(State::Interface(InterfaceState::read(namespace, *index)?)),
            Self::Cgroup(path) => CgroupState::read(path).map(State::Cgroup),
            Self::Directory(path) if !path.exists() => None,
            Self::Directory(path) => Some(State::Directory(DirectoryState::read(path)?)),
        })
    }

    fn name(&self) -> String {
        match self {
            Self::Rules(namespace) => format!("what filters packets in {namespace}"),
            Self::Interface { name, .. } => format!("interface {name}"),
            Self::Cgroup(path) => format!("cgroup {}", path.display()),
            Self::Directory(path) => format!("the file system of {}", path.display()),
        }
    }

    /// Whether an effect's own undo has told about it already.
    fn is_told_in(&self, residue: &[Residue]) -> bool {
        let name = match self {
            Self::Rules(_) => return false,
            Self::Interface { name, .. } => name.clone(),
            Self::Cgroup(path) | Self::Directory(path) => path.display().to_string(),
        };
        residue.iter().any(|one| one.to_string().contains(&name))
    }
}

impl Snapshot {
    pub(crate) fn take<'a>(subjects: impl IntoIterator<Item = &'a Subject>) -> Self {
        let read = |subject: &Subject| Some((subject.clone(), subject.read().ok()??));
        Self {
            read: subjects.into_iter().filter_map(read).collect(),
        }
    }

    pub(crate) fn has(&self, subject: &Subject) -> bool {
        self.read.iter().any(|(known, _)| known == subject)
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.read.extend(other.read);
    }

    /// Forgets these subjects and gives what was known of them.
    pub(crate) fn split_off(&mut self, subjects: &[Subject]) -> Self {
        let (taken, kept) = std::mem::take(&mut self.read)
            .into_iter()
            .partition(|(subject, _)| subjects.contains(subject));
        self.read = kept;
        Self { read: taken }
    }

    pub(crate) fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.read.iter().map(|(subject, _)| subject)
    }

    /// What changed from this one to a later one, of the subjects that are in both.
    pub(crate) fn differences<'a>(&'a self, after: &'a Self) -> Vec<(&'a Subject, Difference)> {
        let mut all = Vec::new();
        for (subject, before) in &self.read {
            let Some((_, after)) = after.read.iter().find(|(other, _)| other == subject) else {
                continue;
            };
            let found = match (subject, before, after) {
                (Subject::Rules(namespace), State::Rules(before), State::Rules(after)) => {
                    before.differences(after, namespace)
                }
                (
                    Subject::Interface { name, .. },
                    State::Interface(before),
                    State::Interface(after),
                ) => before.differences(after, name),
                (Subject::Cgroup(path), State::Cgroup(before), State::Cgroup(after)) => {
                    before.differences(after, path)
                }
                (Subject::Directory(path), State::Directory(before), State::Directory(after)) => {
                    before.differences(after, path)
                }
                _ => Vec::new(),
            };
            all.extend(found.into_iter().map(|difference| (subject, difference)));
        }
        all
    }

    /// Compares with now. What an undo has told of itself is not told twice.
    pub(crate) fn changed_meanwhile(&self, told: &[Residue]) -> Vec<Residue> {
        let mut after = Self::default();
        let mut all = Vec::new();
        for subject in self.subjects() {
            match subject.read() {
                Ok(state) => {
                    let read = state.map(|state| (subject.clone(), state));
                    after.read.extend(read);
                }
                Err(error) => all.push(Residue::Unknown {
                    whether: format!("{} is as it was", subject.name()),
                    why: chain(&error),
                }),
            }
        }
        let changed = self.differences(&after).into_iter();
        all.extend(
            changed
                .filter(|(subject, _)| !subject.is_told_in(told))
                .map(|(_, difference)| Residue::ChangedMeanwhile {
                    what: difference.what,
                    difference: difference.difference,
                }),
        );
        all
    }
}

impl Difference {
    fn new(what: impl Into<String>, difference: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            difference: difference.into(),
        }
    }

    /// `what` was `before` and is `after`, unless they are the same.
    fn between(what: &str, before: &str, after: &str) -> Option<Self> {
        (before != after).then(|| Self::new(what, format!("it was {before} and is {after}")))
    }
}

#[cfg(test)]
mod tests;
