use std::collections::BTreeMap;
use std::fmt;

use firedrill_kernel::freezer::{self, Hierarchy};
use firedrill_kernel::{KernelError, ProcessIdentity, process};
use serde::Serialize;

use crate::target::{ProcessTarget, is_inside};

/// Why a process that matches is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpareReason {
    /// The first process of this pid namespace.
    Init,
    /// Part of the kernel itself.
    KernelThread,
    /// The caller, or one of its ancestors.
    Ancestor,
    /// A part of Firedrill (`FIREDRILL_SPARE=1` in its environment).
    OwnPart,
    /// Stopped by a signal or a tracer.
    AlreadyStopped,
    /// In a frozen cgroup.
    AlreadyFrozen,
    /// A container, and this command runs in it.
    OwnContainer,
    /// A container whose processes are not among those that are seen from here.
    OutOfSight,
    /// Its environment may not be read, so it cannot be told whether it is to be spared.
    Unknown,
}

/// A process as it was found.
pub(super) struct Candidate {
    stat: process::Stat,
    words: Vec<String>,
    command: String,
}

/// Processes that do the same work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    app: String,
    role: Option<String>,
}

/// The view of the caller on other processes.
pub(super) struct Onlooker {
    ancestors: Vec<u32>,
    freezers: Vec<Hierarchy>,
}

const SPARE: &str = "FIREDRILL_SPARE=1";
const LABELS: &str = "FIREDRILL_LABELS=";

impl Candidate {
    /// Every process that runs, by rising pid.
    pub(super) fn all() -> Result<Vec<Self>, KernelError> {
        Ok(process::list()?
            .into_iter()
            .filter_map(Self::find)
            .collect())
    }

    /// `None` for what vanished, is a zombie, or cannot be read.
    fn find(pid: u32) -> Option<Self> {
        let stat = process::stat(pid).ok()??;
        if stat.is_gone() {
            return None;
        }
        let words = process::command_line(pid).ok()??;
        let command = words.join(" ");
        Some(Self {
            stat,
            words,
            command,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.stat.pid
    }

    pub(super) fn name(&self) -> &str {
        &self.stat.comm
    }

    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// By its kernel name (of at most 15 bytes) or the file name of its program.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let program = self.words.first().and_then(|word| word.rsplit('/').next());
        self.stat.comm == name || program == Some(name)
    }

    /// Whether it declares all of these in `FIREDRILL_LABELS` (`zone=2,role=web`).
    pub(super) fn has_labels(&self, wanted: &BTreeMap<String, String>) -> bool {
        let declared = self.labels();
        wanted
            .iter()
            .all(|(key, value)| declared.get(key) == Some(value))
    }

    /// Whether it is in one of the containers of these ids.
    pub(super) fn is_inside_any(&self, ids: &[String]) -> Result<bool, KernelError> {
        for id in ids {
            if is_inside(self.pid(), id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The service it is an instance of, by its labels `app` and `role`.
    pub(super) fn service(&self) -> Option<Service> {
        let mut declared = self.labels();
        Some(Service {
            app: declared.remove("app")?,
            role: declared.remove("role"),
        })
    }

    /// None where its environment may not be read.
    fn labels(&self) -> BTreeMap<String, String> {
        let Ok(Some(environment)) = process::environment(self.pid()) else {
            return BTreeMap::new();
        };
        environment
            .iter()
            .find_map(|variable| variable.strip_prefix(LABELS))
            .into_iter()
            .flat_map(|declared| declared.split(','))
            .filter_map(|pair| pair.trim().split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    pub(super) fn into_target(self) -> Result<ProcessTarget, KernelError> {
        let labels = self.labels();
        Ok(ProcessTarget {
            identity: ProcessIdentity::from_stat(&self.stat)?,
            name: self.stat.comm,
            command: self.command,
            labels,
        })
    }
}

impl Onlooker {
    pub(super) fn here() -> Result<Self, KernelError> {
        Ok(Self {
            ancestors: process::ancestors(std::process::id())?,
            freezers: Hierarchy::mounted()?,
        })
    }

    pub(super) fn spares(&self, candidate: &Candidate) -> Option<SpareReason> {
        let pid = candidate.pid();
        if pid == 1 {
            return Some(SpareReason::Init);
        }
        if candidate.stat.is_kernel_thread() {
            return Some(SpareReason::KernelThread);
        }
        if self.ancestors.contains(&pid) {
            return Some(SpareReason::Ancestor);
        }
        match process::environment(pid) {
            Ok(Some(environment)) if environment.iter().any(|variable| variable == SPARE) => {
                return Some(SpareReason::OwnPart);
            }
            Ok(_) => {}
            Err(_) => return Some(SpareReason::Unknown),
        }
        if candidate.stat.state.is_stopped() {
            return Some(SpareReason::AlreadyStopped);
        }
        self.is_frozen(pid).then_some(SpareReason::AlreadyFrozen)
    }

    /// Whether a process in that container is a part of Firedrill, or an ancestor of the caller.
    pub(super) fn has_part_in(&self, id: &str) -> Result<bool, KernelError> {
        for pid in process::list()? {
            if !is_inside(pid, id)? {
                continue;
            }
            let environment = process::environment(pid).ok().flatten();
            let declares = |variables: Vec<String>| variables.iter().any(|one| one == SPARE);
            if self.ancestors.contains(&pid) || environment.is_some_and(declares) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_frozen(&self, pid: u32) -> bool {
        self.freezers.iter().any(|hierarchy| {
            let Ok(Some(cgroup)) = hierarchy.cgroup_of(pid) else {
                return false;
            };
            // The root of a hierarchy has no freezer, and is never frozen.
            freezer::is_told_to_freeze(hierarchy.version, &cgroup).unwrap_or(false)
        })
    }
}

impl fmt::Display for SpareReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "it is PID 1",
            Self::KernelThread => "it is a kernel thread",
            Self::Ancestor => "it is an ancestor of this command",
            Self::OwnPart => "it is a part of Firedrill",
            Self::AlreadyStopped => "it is stopped already",
            Self::AlreadyFrozen => "it is frozen already",
            Self::OwnContainer => "this command runs in it",
            Self::OutOfSight => "its processes are not to be seen from here",
            Self::Unknown => {
                "another user's: its environment may not be read without CAP_SYS_PTRACE"
            }
        })
    }
}
