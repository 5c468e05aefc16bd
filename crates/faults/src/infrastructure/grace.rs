//! How long a container may take to end by itself.

use std::time::Duration;

use serde_json::json;

use crate::arguments::Arguments;
use crate::catalogue::{Parameter, ParameterKind};

/// Longer, and the undo, which waits for the end of a stop, is no undo.
const LONGEST: Duration = Duration::from_secs(60);

/// Shorter than the 10 s of engines: a container whose first process ignores its stop signal, as
/// many do, would otherwise not be seen to have ended while the effect is awaited.
const DEFAULT: Duration = Duration::from_secs(1);

/// In milliseconds, rounded up to whole seconds: engines count in those.
pub(super) fn read(read: &mut Arguments<'_>) -> u64 {
    let grace = read.duration("grace", LONGEST).unwrap_or(DEFAULT);
    grace
        .as_secs()
        .saturating_add(u64::from(grace.subsec_nanos() > 0))
        .saturating_mul(1000)
}

pub(super) fn parameter() -> Parameter {
    Parameter {
        name: "grace",
        kind: ParameterKind::Duration,
        unit: None,
        bounds: Some("above 0, at most 1m; rounded up to whole seconds"),
        default: Some(json!("1s")),
        required: false,
        summary: "between its stop signal and SIGKILL",
    }
}
