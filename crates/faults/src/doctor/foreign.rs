//! What other tools leave on a host: said, and never touched, because it may be in use.
//!
//! Names and files are those of public sources: ChaosBlade (`chaos_burncpu`, `chaos_filldisk.log.dat`),
//! Chaos Mesh and chaosd (chains `CHAOS-…`), Pumba and Comcast (disciplines of `tc`), stress-ng,
//! libfaketime. A discipline has no owner, so for those only the kind is said.

mod containers;
mod files;
mod packets;
mod processes;

use serde::Serialize;

/// One thing that disturbs this host and is not ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    pub what: String,
    /// Whose it looks like, where that can be told.
    pub by: Option<&'static str>,
    /// How its owner would end it.
    pub advice: String,
}

/// Everything that is recognised. What cannot be read is not: run it as root to see other users'.
#[must_use]
pub fn left_by_others() -> Vec<Left> {
    let mut left = packets::left();
    left.extend(processes::left());
    left.extend(containers::left());
    left.extend(files::left());
    left
}

impl Left {
    fn new(what: String, by: Option<&'static str>, advice: impl Into<String>) -> Self {
        Self {
            what,
            by,
            advice: advice.into(),
        }
    }
}
