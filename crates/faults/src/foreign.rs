//! Containers of others on this host, which a fault of the whole host would hit, too.

use std::collections::BTreeSet;
use std::path::Path;

use firedrill_kernel::process;

use crate::blast_radius::Refused;
use crate::selector::SelectorError;

/// How engines name the cgroups of containers: a directory of this name, or a unit that begins so.
const ENGINES: [&str; 7] = [
    "docker",
    "libpod",
    "kubepods",
    "crio",
    "containerd",
    "lxc",
    "machine",
];

/// Refuses when containers run here in which this command does not run itself.
///
/// # Errors
/// With their number and one of them; or when `/proc` cannot be read.
pub fn refuse_foreign_containers() -> Result<(), SelectorError> {
    let mut own = BTreeSet::new();
    for pid in process::ancestors(std::process::id())? {
        own.extend(containers_of(pid)?);
    }
    let mut foreign = BTreeSet::new();
    for pid in process::list()? {
        foreign.extend(containers_of(pid)?);
    }
    let mut foreign = foreign.difference(&own);
    match foreign.next() {
        None => Ok(()),
        Some(example) => Err(Refused::ForeignContainers {
            count: 1 + foreign.count(),
            example: example.clone(),
        }
        .into()),
    }
}

/// One for each engine whose cgroup the process is in; none once it has ended.
fn containers_of(pid: u32) -> Result<BTreeSet<String>, SelectorError> {
    let groups = process::cgroups(pid)?.unwrap_or_default();
    Ok(groups
        .iter()
        .filter_map(|(_, path)| container(path))
        .collect())
}

/// `docker 0123456789ab`, from any of `/docker/ID`, `/system.slice/docker-ID.scope`,
/// `/kubepods.slice/…/cri-containerd-ID.scope`, `/machine.slice/libpod-ID.scope/container`,
/// `/machine.slice/machine-NAME.scope`, `/lxc.payload.NAME`.
fn container(path: &Path) -> Option<String> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let engine = parts.iter().find_map(|part| {
        let engine = ENGINES.iter().find(|engine| is_of(part, engine))?;
        // Services of that name are the engine itself.
        (!part.ends_with(".service")).then_some(*engine)
    })?;
    let id = parts.iter().rev().find_map(|part| identifier(part));
    if let Some(id) = id {
        return Some(format!("{engine} {id}"));
    }
    // Machines and LXC have names; a slice alone holds nobody in particular.
    let named = parts
        .iter()
        .find(|part| part.starts_with("machine-") || part.starts_with("lxc.payload"));
    named.map(|name| format!("{engine} {name}"))
}

fn is_of(part: &str, engine: &str) -> bool {
    part.strip_prefix(engine)
        .or_else(|| {
            part.strip_prefix("cri-")
                .and_then(|part| part.strip_prefix(engine))
        })
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
}

/// The first twelve digits of the sixty-four that engines give a container.
fn identifier(part: &str) -> Option<&str> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let digits = name.rsplit('-').next()?;
    let hexadecimal = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal { digits.get(..12) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn every_engines_cgroup_is_recognised() {
        for (path, engine) in [
            (format!("/docker/{ID}"), "docker"),
            (format!("/system.slice/docker-{ID}.scope"), "docker"),
            (
                format!("/machine.slice/libpod-{ID}.scope/container"),
                "machine",
            ),
            (format!("/libpod_parent/libpod-{ID}"), "libpod"),
            (
                format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
                "kubepods",
            ),
            (format!("/kubepods/besteffort/pod1/{ID}"), "kubepods"),
            (format!("/system.slice/crio-{ID}.scope"), "crio"),
        ] {
            let found = container(Path::new(&path));
            assert_eq!(found, Some(format!("{engine} 0123456789ab")), "{path}");
        }
        let machine = container(Path::new("/machine.slice/machine-box.scope"));
        assert_eq!(machine.as_deref(), Some("machine machine-box.scope"));
        assert!(container(Path::new("/lxc.payload.web")).is_some());
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for path in [
            "/",
            "/system.slice/docker.service",
            "/system.slice/containerd.service",
            "/user.slice/user-0.slice/session-1.scope",
            "/dockerish/thing",
            "/machine.slice",
        ] {
            assert_eq!(container(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn this_process_is_not_foreign_to_itself() {
        let mine = containers_of(std::process::id()).unwrap();
        match refuse_foreign_containers() {
            Err(SelectorError::Refused(Refused::ForeignContainers { example, .. })) => {
                assert!(!mine.contains(&example), "{example}");
            }
            other => other.unwrap(),
        }
    }
}
