//! From a target to the packets that are its own: a network namespace, and perhaps only some of its
//! sockets.

use std::path::{Path, PathBuf};

use firedrill_kernel::cgroup::{Controller, Hierarchy};
use firedrill_kernel::freezer::Version;
use firedrill_kernel::link::{self, Interface};
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::Match;

use crate::fault::{CompileError, PlaceKey, Site};
use crate::infrastructure::Unfit;
use crate::target::{ContainerTarget, Target};

/// Where the rules of a fault are put, and whose packets they meet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) namespace: NetNamespace,
    /// `None`: everybody's in the namespace.
    pub(crate) sockets: Option<Match>,
}

impl Place {
    /// Whether the same packets are met, by whatever name the namespace was found.
    fn is_same(&self, other: &Self) -> bool {
        self.namespace.is_same(&other.namespace) && self.sockets == other.sockets
    }
}

/// One place for each network namespace and cgroup among the targets, but for those where the fault
/// is in place already.
pub(crate) fn places(site: &Site<'_>) -> Result<Vec<Place>, CompileError> {
    // What is gone has no place any more.
    let met: Vec<Place> = site
        .beside
        .iter()
        .filter_map(|target| place(target, site).ok())
        .collect();
    let mut places: Vec<Place> = Vec::new();
    for target in site.targets {
        let place = place(target, site)?;
        if !met.iter().chain(&places).any(|known| known.is_same(&place)) {
            places.push(place);
        }
    }
    Ok(places)
}

impl Place {
    pub(crate) fn key(&self) -> PlaceKey {
        let cgroup = match &self.sockets {
            Some(Match::CgroupV2 { path, .. }) => Some(path.clone()),
            _ => None,
        };
        PlaceKey::Packets {
            namespace: self.namespace.id,
            cgroup,
        }
    }
}

pub(crate) fn place(target: &Target, site: &Site<'_>) -> Result<Place, CompileError> {
    match target {
        Target::Host => Ok(Place {
            namespace: NetNamespace::current()?.namespace().clone(),
            sockets: None,
        }),
        Target::Namespace(namespace) => Ok(Place {
            namespace: namespace.clone(),
            sockets: None,
        }),
        Target::Cgroup(path) => of_cgroup(path),
        Target::Process(process) => of_process(process.identity.pid, site),
        Target::Container(container) => of_container(container),
    }
}

/// A process in a namespace other than ours is met by that namespace, as the processes of a pod
/// are; one in ours by its cgroup, if that holds nobody else.
fn of_process(pid: u32, site: &Site<'_>) -> Result<Place, CompileError> {
    let here = NetNamespace::current()?;
    let there = NetNamespace::of_process(pid)?;
    if !there.namespace().is_same(here.namespace()) {
        return Ok(Place {
            namespace: there.namespace().clone(),
            sockets: None,
        });
    }
    let hierarchy = unified()?;
    let cgroup = hierarchy
        .as_ref()
        .map(|hierarchy| hierarchy.cgroup_of(Controller::CpuAccounting, pid))
        .transpose()?
        .flatten();
    match (hierarchy, cgroup) {
        (Some(hierarchy), Some(cgroup)) if cgroup.path != hierarchy.mount => {
            let all = cgroup.processes_below()?;
            if let Some(other) = all.into_iter().find(|other| !site.hit(*other)) {
                return Err(Unfit::Bystander {
                    cgroup: cgroup.path,
                    pid: other,
                }
                .into());
            }
            of_cgroup(&cgroup.path)
        }
        _ => Err(CompileError::NotApart {
            what: format!("process {pid}"),
            why: "it shares its network namespace with others, and no cgroup v2 of its own tells \
                  its packets from theirs",
        }),
    }
}

/// By its own network namespace, as long as it has one.
fn of_container(container: &ContainerTarget) -> Result<Place, CompileError> {
    let here = NetNamespace::current()?;
    let there = NetNamespace::of_process(container.process.pid)?;
    if there.namespace().is_same(here.namespace()) {
        return Err(CompileError::NotApart {
            what: container.to_string(),
            why: "it uses the network of the host: aim at the host (host=true), and filter by its \
                  ports",
        });
    }
    Ok(Place {
        namespace: there.namespace().clone(),
        sockets: None,
    })
}

fn of_cgroup(path: &Path) -> Result<Place, CompileError> {
    let hierarchy = unified()?.ok_or_else(|| CompileError::NotApart {
        what: format!("the cgroup {}", path.display()),
        why: "packets are told by cgroup v2 only, and none is mounted",
    })?;
    let below = path
        .strip_prefix(&hierarchy.mount)
        .map(Path::to_owned)
        .unwrap_or_else(|_| PathBuf::from(path));
    let level = below.components().count();
    let level = u8::try_from(level).unwrap_or(u8::MAX);
    if level == 0 || !path.starts_with(&hierarchy.mount) {
        return Err(CompileError::NotApart {
            what: format!("the cgroup {}", path.display()),
            why: "it is not below the mounted cgroup v2 hierarchy",
        });
    }
    Ok(Place {
        namespace: NetNamespace::current()?.namespace().clone(),
        sockets: Some(Match::CgroupV2 {
            path: path.to_owned(),
            level,
        }),
    })
}

/// An interface of the namespace of the calling thread.
pub(super) fn interface(name: &str) -> Result<Interface, CompileError> {
    let mut socket = Socket::open(Protocol::Route)?;
    let mut present = link::list(&mut socket)?;
    if let Some(found) = present.iter().position(|link| link.name == name) {
        return Ok(present.swap_remove(found));
    }
    let names: Vec<&str> = present.iter().map(|link| link.name.as_str()).collect();
    Err(CompileError::NoInterface {
        name: name.to_owned(),
        present: names.join(", "),
    })
}

fn unified() -> Result<Option<Hierarchy>, CompileError> {
    let mounted = Hierarchy::mounted(Controller::CpuAccounting)?;
    Ok(mounted
        .into_iter()
        .find(|hierarchy| hierarchy.version == Version::V2))
}
