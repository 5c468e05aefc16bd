//! What of ours, or like ours, is on the host outside of any log. Said, and left alone.

use std::fs;

use firedrill_kernel::freezer::Hierarchy;
use firedrill_kernel::stopped::StoppedProcesses;
use firedrill_kernel::{ProcessIdentity, process};

use super::{Check, Subject, chain};

/// They may be stopped on purpose.
pub(super) fn stopped_processes() -> Check {
    let name = "stopped processes";
    match StoppedProcesses::now() {
        Ok(stopped) => {
            let list: Vec<String> = stopped.iter().map(describe).collect();
            let why = format!("stopped by somebody, and left alone: {}", list.join(", "));
            let fix = "`kill -CONT PID` continues one, if nobody means it to be stopped";
            found(name, &list, why, fix)
        }
        Err(error) => Check::unusable(Subject::Left, name, chain(&error), None),
    }
}

/// Cgroups of ours that outlived their drill; `recover` knows those that are in a log.
pub(super) fn cgroups_left() -> Check {
    let name = "cgroups of ours";
    let mounted = match Hierarchy::mounted() {
        Ok(mounted) => mounted,
        Err(error) => return Check::unusable(Subject::Left, name, chain(&error), None),
    };
    let left: Vec<String> = mounted.iter().flat_map(ours_below).collect();
    let fix = "`firedrill status` shows the drills they belong to; `firedrill recover` removes \
               those of dead drills";
    found(name, &left, left.join(", "), fix)
}

/// A worker is a child of a guardian, and dies with it and at its deadline.
pub(super) fn workers_left() -> Check {
    let name = "workers without a guardian";
    let pids = match process::list() {
        Ok(pids) => pids,
        Err(error) => return Check::unusable(Subject::Left, name, chain(&error), None),
    };
    let is = |pid: u32, comm: &str| matches!(process::stat(pid), Ok(Some(stat)) if stat.comm == comm && !stat.is_gone());
    let guarded = |pid: u32| {
        let line = process::ancestors(pid).unwrap_or_default();
        line.iter().any(|ancestor| is(*ancestor, "firedrill-guard"))
    };
    let orphans = pids
        .into_iter()
        .filter(|pid| is(*pid, "firedrill-work") && !guarded(*pid));
    let left: Vec<String> = orphans.map(|pid| pid.to_string()).collect();
    let fix = "each ends at its own deadline; one that is stopped does not: `kill -KILL PID`";
    found(name, &left, left.join(", "), fix)
}

/// Nothing leads into them; everything passes.
pub(super) fn roots_left() -> Check {
    let strays = firedrill_undo::stray_roots();
    let describe = |stray: &firedrill_undo::StrayRoot| {
        let place = format!("{} in {}", stray.interface, stray.namespace);
        match &stray.foreign {
            Some(why) => format!("{place} (left alone: {why})"),
            None => place,
        }
    };
    let left: Vec<String> = strays.iter().map(describe).collect();
    let fix = "`firedrill recover` removes those with nothing of anybody else's on them";
    found("root qdiscs of ours (fd00:)", &left, left.join(", "), fix)
}

fn found(name: &'static str, left: &[String], why: String, fix: &'static str) -> Check {
    let none = left.is_empty();
    Check {
        subject: Subject::Left,
        mechanism: name,
        usable: true,
        why: if none { "none".into() } else { why },
        fix: (!none).then_some(fix),
    }
}

fn ours_below(hierarchy: &Hierarchy) -> Vec<String> {
    let Ok(entries) = fs::read_dir(&hierarchy.mount) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("firedrill-")
        })
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn describe(identity: &ProcessIdentity) -> String {
    let name = identity
        .stat()
        .ok()
        .flatten()
        .map(|stat| stat.comm)
        .unwrap_or_default();
    format!("{} ({name})", identity.pid)
}
