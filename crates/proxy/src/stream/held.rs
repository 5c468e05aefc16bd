//! What a stage holds: parts of the stream in their order, each with the time it is due.

use std::collections::VecDeque;
use std::time::Instant;

use super::source::Part;

/// A part, and when it came to the stage.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) part: Part,
}

/// Parts that wait. A later one never overtakes an earlier one.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// No time: until the fault changes.
    waiting: VecDeque<(Option<Instant>, Arrival)>,
    bytes: usize,
}

impl Held {
    /// Holds a part until then, or until the fault changes.
    pub(super) fn until(&mut self, due: Option<Instant>, arrival: Arrival) {
        self.bytes += arrival.part.length();
        self.waiting.push_back((due, arrival));
    }

    /// The first part, if it is due.
    pub(super) fn release(&mut self, now: Instant) -> Option<Part> {
        if self.due()? > now {
            return None;
        }
        let (_, arrival) = self.waiting.pop_front()?;
        self.bytes -= arrival.part.length();
        Some(arrival.part)
    }

    /// When the first part is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.front().and_then(|(due, _)| *due)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Everything, due or not.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Arrival> + use<> {
        self.bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|(_, arrival)| arrival)
    }
}
