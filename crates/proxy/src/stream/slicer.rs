//! What was sent as one comes in many small parts.

use std::time::{Duration, Instant};

use super::Piece;
use super::held::{Arrival, Held};
use super::stage::Running;
use crate::chance::Chance;

/// Cuts the stream. Where it cuts depends on the connection and the offset alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slicer {
    /// Bytes of a slice, on average; at least 1.
    pub size: u64,
    /// How much larger or smaller a slice may be.
    pub variation: u64,
    /// Between two slices.
    pub delay: Duration,
}

/// The stream is cut at every multiple of this, so that cuts far in are found without counting from
/// its start.
const STRETCH: u64 = 1 << 20;

impl Slicer {
    pub(super) fn running(self, chance: Chance) -> impl Running {
        Slicing {
            slicer: self,
            chance,
            next_cut: 0,
            free: None,
        }
    }
}

#[derive(Debug)]
struct Slicing {
    slicer: Slicer,
    chance: Chance,
    /// The offset at which the next slice begins.
    next_cut: u64,
    free: Option<Instant>,
}

impl Slicing {
    fn slice_from(&self, offset: u64) -> u64 {
        let Slicer {
            size, variation, ..
        } = self.slicer;
        let size = size.clamp(1, STRETCH);
        let variation = variation.min(size - 1);
        let away = self.chance.of(offset).below(2 * variation + 1);
        (size - variation + away).min(STRETCH - offset % STRETCH)
    }

    /// Bytes up to the next cut.
    fn rest(&mut self, at: Instant, offset: u64) -> u64 {
        self.next_cut = self.next_cut.max(offset / STRETCH * STRETCH);
        while self.next_cut <= offset {
            let begin = self.next_cut;
            self.next_cut += self.slice_from(begin);
            // The stream's first slice is not waited for.
            if begin > 0 && begin == offset {
                self.free = Some(self.free.unwrap_or(at).max(at) + self.slicer.delay);
            }
        }
        self.next_cut - offset
    }
}

impl Running for Slicing {
    fn admit(&mut self, arrival: Arrival, held: &mut Held) {
        let at = arrival.at;
        let mut rest = Some(arrival.part);
        while let Some(part) = rest.take() {
            let (part, behind) = match part.piece {
                Piece::Data(_) => {
                    let left = self.rest(at, part.offset);
                    part.split(left)
                }
                Piece::End(_) => (part, None),
            };
            let due = self.free.unwrap_or(at).max(at);
            held.until(Some(due), Arrival { at, part });
            rest = behind;
        }
    }

    /// Slices are small, and each is a write: not more of them than are sent in a while.
    fn room(&self) -> usize {
        64 << 10
    }
}
