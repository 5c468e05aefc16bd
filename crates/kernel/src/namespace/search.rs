//! Finding a namespace again by what identifies it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::{KernelError, process};

use super::{
    NAMED, NamespaceId, NamespaceName, NetNamespace, OWN, OpenNamespace, entries, open_file,
    process_path,
};

/// Where Docker keeps the namespaces of its containers.
const DOCKER: &str = "/run/docker/netns";

/// Looks at the own namespace, at the named ones, and at those of all processes.
///
/// A namespace that is held only by a thread other than the first of its process, by a bind mount
/// elsewhere or by an open descriptor is not found.
pub(super) fn find(id: NamespaceId) -> Result<Option<OpenNamespace>, KernelError> {
    if let Some(found) = candidate(Path::new(OWN), id, || NamespaceName::Current)? {
        return Ok(Some(found));
    }
    for directory in [NAMED, DOCKER].map(Path::new) {
        for entry in entries(directory)? {
            let path = entry.path();
            let file_name = entry.file_name();
            let name = || match file_name.to_str() {
                Some(name) if directory == Path::new(NAMED) => NamespaceName::Named(name.into()),
                _ => NamespaceName::Path(path.clone()),
            };
            if let Some(found) = candidate(&path, id, name)? {
                return Ok(Some(found));
            }
        }
    }
    for entry in entries(Path::new("/proc"))? {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let path = process_path(pid);
        if let Some(found) = candidate(&path, id, || NamespaceName::Process(pid))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Hosts with more namespaces than this are looked at in part.
const MOST: usize = 256;

/// The own one, the named ones and those of processes, each once. What cannot be opened is left out.
pub(super) fn all() -> Vec<OpenNamespace> {
    let mut seen = BTreeSet::new();
    let mut all: Vec<OpenNamespace> = NetNamespace::current().into_iter().collect();
    seen.extend(all.iter().map(|open| open.id().inode));
    let mut first = |path: &Path| {
        let inode = fs::metadata(path).map(|found| found.ino());
        inode.is_ok_and(|inode| seen.insert(inode))
    };
    for entry in entries(Path::new(NAMED)).unwrap_or_default() {
        if let Some(name) = entry.file_name().to_str()
            && first(&entry.path())
        {
            all.extend(NetNamespace::named(name));
        }
    }
    for pid in process::list().unwrap_or_default() {
        if all.len() >= MOST {
            break;
        }
        if first(&process_path(pid)) {
            all.extend(NetNamespace::of_process(pid));
        }
    }
    all
}

/// Opens it when it is the one that is looked for. What cannot be opened is not: it has vanished
/// meanwhile, or is another user's.
fn candidate(
    path: &Path,
    id: NamespaceId,
    named: impl FnOnce() -> NamespaceName,
) -> Result<Option<OpenNamespace>, KernelError> {
    match open_file(path) {
        Ok((_, found)) if found.is_same(id) => {}
        _ => return Ok(None),
    }
    match OpenNamespace::open(path, named()) {
        Ok(open) if open.id().is_same(id) => Ok(Some(open)),
        Err(error @ KernelError::NamespaceNotLeft { .. }) => Err(error),
        _ => Ok(None),
    }
}
