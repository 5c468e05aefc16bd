//! Root disciplines of ours that no log knows any more.

use std::fmt;

use firedrill_undo::{StrayRoot, stray_roots};

use crate::exit::Exit;

/// One that was found, and what became of it.
pub(super) struct Stray {
    root: StrayRoot,
    removed: Result<bool, String>,
}

/// Removes those with nothing of anybody else's on them.
pub(super) fn remove() -> Vec<Stray> {
    let remove = |root: StrayRoot| Stray {
        removed: root.remove().map_err(|error| error.to_string()),
        root,
    };
    stray_roots().into_iter().map(remove).collect()
}

/// What is left alone for others' sake is no failure.
pub(super) fn exit(strays: &[Stray]) -> Exit {
    let failed = strays.iter().any(|stray| stray.removed.is_err());
    if failed { Exit::Failed } else { Exit::Held }
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StrayRoot {
            interface,
            namespace,
            foreign,
            ..
        } = &self.root;
        let what = format!("the idle root qdisc of {interface} in {namespace}");
        match (&self.removed, foreign) {
            (Ok(true), _) => write!(f, "ok {what}: removed"),
            (Ok(false), Some(why)) => write!(f, "-- {what}: left alone: {why}"),
            (Ok(false), None) => write!(f, "-- {what}: left alone: it changed meanwhile"),
            (Err(why), _) => write!(f, "no {what}: {why}"),
        }
    }
}
