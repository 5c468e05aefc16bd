//! The peer is there and says nothing.

use super::held::{Arrival, Held};
use super::stage::Running;

/// Holds everything, the end included, until the fault is taken away; then it all comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hang;

impl Running for Hang {
    fn admit(&mut self, arrival: Arrival, held: &mut Held) {
        held.until(None, arrival);
    }

    /// As a stopped process: what fits in the socket's buffers is taken.
    fn room(&self) -> usize {
        128 << 10
    }
}
