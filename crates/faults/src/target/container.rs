use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use firedrill_container::{ContainerRef, Details, Engine, RestartPolicy};
use firedrill_kernel::cgroup::{Controller, Hierarchy};
use firedrill_kernel::{KernelError, Presence, ProcessIdentity, process};
use firedrill_undo::ContainerRun;
use serde::Serialize;

/// One run of a container, as it was found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ContainerTarget {
    pub reference: ContainerRef,
    pub name: String,
    pub image: String,
    pub labels: BTreeMap<String, String>,
    /// Its first process.
    pub process: ProcessIdentity,
    pub restart_policy: RestartPolicy,
    /// Removed by its engine as soon as it ends: nothing can start it again.
    pub auto_remove: bool,
}

/// The same run, whatever it is called by now: a restarted container is another target.
impl PartialEq for ContainerTarget {
    fn eq(&self, other: &Self) -> bool {
        self.reference == other.reference && self.process == other.process
    }
}

impl Eq for ContainerTarget {}

impl ContainerTarget {
    /// `None` when it does not run, or its processes are not among those that are seen from here:
    /// of an engine in a virtual machine, or in another pid namespace.
    pub(crate) fn of(engine: &Engine, details: Details) -> Result<Option<Self>, KernelError> {
        let Some(pid) = details.pid else {
            return Ok(None);
        };
        let Some(process) = ProcessIdentity::of(pid)? else {
            return Ok(None);
        };
        if !is_inside(pid, &details.id)? {
            return Ok(None);
        }
        Ok(Some(Self {
            reference: ContainerRef::of(engine, &details),
            name: details.name,
            image: details.image,
            labels: details.labels,
            process,
            restart_policy: details.restart_policy,
            auto_remove: details.auto_remove,
        }))
    }

    /// As primitives name it.
    pub(crate) fn run(&self) -> ContainerRun {
        ContainerRun {
            container: self.reference.clone(),
            name: self.name.clone(),
            process: self.process,
        }
    }

    pub(super) fn cgroups(&self) -> Result<Vec<PathBuf>, KernelError> {
        let mut found: Vec<PathBuf> = Vec::new();
        if self.process.presence()? == Presence::Gone {
            return Ok(found);
        }
        for controller in Controller::ALL {
            for hierarchy in Hierarchy::mounted(controller)? {
                let inner = hierarchy.cgroup_of(controller, self.process.pid)?;
                let own = inner.and_then(|cgroup| outermost(&cgroup.path, &self.reference.id));
                if let Some(own) = own
                    && !found.contains(&own)
                {
                    found.push(own);
                }
            }
        }
        Ok(found)
    }
}

/// Whether a process is in the container of this id: engines name the cgroup by it.
pub(crate) fn is_inside(pid: u32, id: &str) -> Result<bool, KernelError> {
    let groups = process::cgroups(pid)?.unwrap_or_default();
    Ok(groups.iter().any(|(_, path)| outermost(path, id).is_some()))
}

/// The container's own cgroup: what is below may be of a service manager inside, and what is above
/// is others' too.
fn outermost(path: &Path, id: &str) -> Option<PathBuf> {
    path.ancestors()
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().contains(id))
        })
        .last()
        .map(Path::to_owned)
}

impl fmt::Display for ContainerTarget {
    /// What a person needs to know before it is hit, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.reference.id.get(..12).unwrap_or(&self.reference.id);
        let removed = if self.auto_remove {
            ", removed when it ends"
        } else {
            ""
        };
        write!(f, "container {} ({id}{removed})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_of_a_container_is_the_outermost_that_its_id_names() {
        let own = |path: &str| outermost(Path::new(path), "0123abcd");
        assert_eq!(own("/docker/0123abcd"), Some("/docker/0123abcd".into()));
        assert_eq!(
            own("/system.slice/docker-0123abcd.scope/init.scope"),
            Some("/system.slice/docker-0123abcd.scope".into())
        );
        assert_eq!(
            own("/machine.slice/libpod-0123abcd.scope/container"),
            Some("/machine.slice/libpod-0123abcd.scope".into())
        );
        assert_eq!(own("/docker/other"), None);
        assert_eq!(own("/"), None);
    }
}
