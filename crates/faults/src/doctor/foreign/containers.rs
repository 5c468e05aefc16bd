//! Paused containers and frozen cgroups.

use std::fs;
use std::path::Path;

use firedrill_container::{Engine, State};
use firedrill_kernel::freezer::{Hierarchy, Version, is_told_to_freeze};

use super::Left;

/// How deep frozen cgroups are looked for.
const DEPTH_MAX: usize = 5;

pub(super) fn left() -> Vec<Left> {
    let mut left = paused();
    for hierarchy in Hierarchy::mounted().unwrap_or_default() {
        frozen(hierarchy.version, &hierarchy.mount, DEPTH_MAX, &mut left);
    }
    left
}

fn paused() -> Vec<Left> {
    let mut left = Vec::new();
    for engine in Engine::found() {
        // An engine that does not answer is a check of its own.
        let containers = engine.list(false).unwrap_or_default();
        for container in containers {
            if container.state == State::Paused {
                let name = container.names.first().unwrap_or(&container.id);
                let what = format!("the container {name} is paused");
                let advice = format!("`docker unpause {name}` continues it, if nobody wants it so");
                left.push(Left::new(what, None, advice));
            }
        }
    }
    left
}

fn frozen(version: Version, directory: &Path, depth: usize, left: &mut Vec<Left>) {
    if depth == 0 {
        return;
    }
    let below = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in below {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        let ours = entry
            .file_name()
            .to_string_lossy()
            .starts_with("firedrill-");
        if !ours && is_told_to_freeze(version, &path).unwrap_or(false) {
            let what = format!("the cgroup {} is frozen", path.display());
            let file = match version {
                Version::V1 => "freezer.state (THAWED)",
                Version::V2 => "cgroup.freeze (0)",
            };
            let advice = format!("its {file} continues it; a paused container looks like this");
            left.push(Left::new(what, None, advice));
        }
        frozen(version, &path, depth - 1, left);
    }
}
