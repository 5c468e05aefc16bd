//! From a target to the cgroups in which a worker of ours competes with it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use firedrill_kernel::KernelError;
use firedrill_kernel::cgroup::{Cgroup, Controller, Hierarchy};

use super::Unfit;
use crate::fault::{CompileError, PlaceKey, Site};
use crate::target::{Target, TargetKind};

pub(super) const TARGETS: [TargetKind; 4] = [
    TargetKind::Host,
    TargetKind::Cgroup,
    TargetKind::Container,
    TargetKind::Process,
];

/// One place for each cgroup among the targets: a directory of each hierarchy that matters, none
/// for the host. Several processes of one cgroup are one place; where there is load already, no more
/// is added.
pub(super) fn places(
    site: &Site<'_>,
    controllers: &[Controller],
) -> Result<Vec<Vec<PathBuf>>, CompileError> {
    // What is gone has no place any more.
    let loaded: Vec<_> = site
        .beside
        .iter()
        .filter_map(|target| of(target, controllers).ok())
        .collect();
    let mut places = Vec::new();
    for target in site.targets {
        let place = of(target, controllers)?;
        if !places.contains(&place) && !loaded.contains(&place) {
            places.push(place);
        }
    }
    Ok(places)
}

/// By what a worker there is told from one in a cgroup that was made anew under the same name.
pub(super) fn key(target: &Target, controllers: &[Controller]) -> Result<PlaceKey, CompileError> {
    let numbered = |path: PathBuf| match fs::metadata(&path) {
        Ok(found) => Ok((path, found.ino())),
        Err(source) => Err(KernelError::Read { path, source }),
    };
    let directories = of(target, controllers)?.into_iter().map(numbered);
    Ok(PlaceKey::Cgroups(directories.collect::<Result<_, _>>()?))
}

fn of(target: &Target, controllers: &[Controller]) -> Result<Vec<PathBuf>, CompileError> {
    match target {
        Target::Host | Target::Namespace(_) => Ok(Vec::new()),
        Target::Cgroup(path) => Ok(vec![cgroup_at(path, controllers)?.path]),
        Target::Process(process) => of_process(process.identity.pid, controllers),
        Target::Container(container) => of_process(container.process.pid, controllers),
    }
}

/// The directory as a cgroup of the hierarchy that has one of the controllers.
pub(super) fn cgroup_at(path: &Path, controllers: &[Controller]) -> Result<Cgroup, CompileError> {
    for controller in controllers {
        for hierarchy in Hierarchy::mounted(*controller)? {
            if path.starts_with(&hierarchy.mount) {
                return Ok(Cgroup {
                    version: hierarchy.version,
                    path: path.to_owned(),
                });
            }
        }
    }
    Err(Unfit::NoController {
        path: path.to_owned(),
        controller: word(controllers),
    }
    .into())
}

/// The cgroup of a process, which must not be the root: load there is load on everybody.
pub(super) fn cgroup_of(pid: u32, controller: Controller) -> Result<Option<Cgroup>, CompileError> {
    for hierarchy in Hierarchy::mounted(controller)? {
        if let Some(cgroup) = hierarchy.cgroup_of(controller, pid)? {
            if cgroup.path == hierarchy.mount {
                return Err(Unfit::RootCgroup { pid }.into());
            }
            return Ok(Some(cgroup));
        }
    }
    Ok(None)
}

/// The first controller decides whether there is a place; the others only join it.
fn of_process(pid: u32, controllers: &[Controller]) -> Result<Vec<PathBuf>, CompileError> {
    let mut place = Vec::new();
    for (at, controller) in controllers.iter().enumerate() {
        match cgroup_of(pid, *controller) {
            Ok(Some(cgroup)) if !place.contains(&cgroup.path) => place.push(cgroup.path),
            Ok(_) => {}
            Err(error) if at == 0 => return Err(error),
            Err(_) => {}
        }
    }
    if place.is_empty() {
        let controller = word(controllers);
        return Err(Unfit::NoCgroup { pid, controller }.into());
    }
    Ok(place)
}

fn word(controllers: &[Controller]) -> &'static str {
    match controllers.first() {
        Some(Controller::Memory) => "memory",
        Some(Controller::Pids) => "pids",
        Some(Controller::Io) => "io",
        Some(Controller::Cpu | Controller::CpuAccounting) | None => "cpu",
    }
}
