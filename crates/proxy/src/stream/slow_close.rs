//! The end comes late.

use std::time::Duration;

use super::Piece;
use super::held::{Arrival, Held};
use super::stage::Running;

/// A delay of the stream's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowClose {
    pub delay: Duration,
}

impl Running for SlowClose {
    fn admit(&mut self, arrival: Arrival, held: &mut Held) {
        let delay = match arrival.part.piece {
            Piece::Data(_) => Duration::ZERO,
            Piece::End(_) => self.delay,
        };
        held.until(Some(arrival.at + delay), arrival);
    }
}
