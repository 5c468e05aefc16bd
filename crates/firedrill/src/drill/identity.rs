//! Who a drill is: its id, and the facts of this host that its journal carries.

use firedrill_engine::plan::Identity;
use firedrill_undo::{DrillId, StateError};
use jiff::Timestamp;

/// Sortable by time, and unique on this host: a process holds one drill at a time, and begins no
/// two within a microsecond.
pub(crate) fn drill_id() -> Result<DrillId, StateError> {
    let now = Timestamp::now();
    format!(
        "{}-{}",
        now.strftime("%Y%m%d-%H%M%S-%6f"),
        std::process::id()
    )
    .parse()
}

/// This host's name.
pub(crate) fn node() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

pub(crate) fn of(drill: &DrillId, seed: u64, digest: String) -> Identity {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    Identity {
        version: env!("CARGO_PKG_VERSION").into(),
        drill: drill.as_str().into(),
        seed,
        digest,
        platform: format!(
            "{}-{}-{}",
            text(name.sysname()),
            text(name.release()),
            text(name.machine())
        ),
        node: node(),
        epoch: Timestamp::now(),
    }
}
