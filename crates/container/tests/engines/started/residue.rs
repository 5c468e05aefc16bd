//! What an engine may leave on the host, and taking it away. Told from what others do beside us by
//! the name of the engine's directory, which its mounts, cgroups and processes bear.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

/// Interfaces that engines make in the host's network namespace when they are not told otherwise.
const INTERFACES: [&str; 4] = ["docker", "br-", "podman", "cni-"];

pub(super) fn remove(directory: &Path) {
    for mount in mounts(directory).into_iter().rev() {
        let _ = unmount(&mount, UnmountFlags::DETACH);
    }
    for cgroup in cgroups(directory) {
        remove_cgroup(&cgroup);
    }
}

pub(super) fn of(directory: &Path) -> Vec<String> {
    let show = |what: &str, paths: Vec<PathBuf>| -> Vec<String> {
        paths
            .iter()
            .map(|path| format!("{what} {}", path.display()))
            .collect()
    };
    let mut left = show("mount", mounts(directory));
    left.extend(show("cgroup", cgroups(directory)));
    left.extend(show("process", processes(directory)));
    left.extend(show("interface", interfaces()));
    left
}

fn mounts(directory: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap();
    text.lines()
        .filter_map(|line| line.split(' ').nth(1).map(PathBuf::from))
        .filter(|mount| mount.starts_with(directory))
        .collect()
}

/// In every hierarchy, v1 and v2.
fn cgroups(directory: &Path) -> Vec<PathBuf> {
    let name = directory.file_name().unwrap();
    let top = Path::new("/sys/fs/cgroup");
    std::iter::once(top.to_owned())
        .chain(subdirectories(top))
        .map(|hierarchy| hierarchy.join(name))
        .filter(|cgroup| cgroup.exists())
        .collect()
}

fn remove_cgroup(cgroup: &Path) {
    for below in subdirectories(cgroup) {
        remove_cgroup(&below);
    }
    let _ = fs::remove_dir(cgroup);
}

/// Those that still run and were told our directory; a zombie has no arguments.
fn processes(directory: &Path) -> Vec<PathBuf> {
    let name = directory.file_name().and_then(OsStr::to_str).unwrap();
    subdirectories(Path::new("/proc"))
        .into_iter()
        .filter(|process| {
            fs::read(process.join("cmdline"))
                .is_ok_and(|words| String::from_utf8_lossy(&words).contains(name))
        })
        .collect()
}

fn interfaces() -> Vec<PathBuf> {
    subdirectories(Path::new("/sys/class/net"))
        .into_iter()
        .filter(|path| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            INTERFACES.iter().any(|prefix| name.starts_with(prefix))
        })
        .collect()
}

fn subdirectories(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}
