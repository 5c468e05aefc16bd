//! Nothing comes any more, and after a while the connection is closed.

use std::time::{Duration, Instant};

use super::held::{Arrival, Held};
use super::source::Part;
use super::stage::Running;
use super::{End, Piece};

/// Drops everything; closes the connection after a time, or when the fault is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout {
    /// None: only when the fault is taken away.
    pub after: Option<Duration>,
}

impl Timeout {
    pub(super) fn running(self) -> impl Running {
        Dropping { timeout: self }
    }
}

#[derive(Debug)]
struct Dropping {
    timeout: Timeout,
}

impl Running for Dropping {
    fn begin(&mut self, now: Instant, held: &mut Held) {
        if let Some(after) = self.timeout.after {
            let part = Part {
                offset: 0,
                burst: 0,
                piece: Piece::End(End::Close),
            };
            held.until(Some(now + after), Arrival { at: now, part });
        }
    }

    fn admit(&mut self, _arrival: Arrival, _held: &mut Held) {}

    /// The stream has lost bytes: it cannot go on as if nothing had been.
    fn after(&self) -> Option<End> {
        Some(End::Close)
    }
}
