//! Lost segments, as an application sees them: TCP sends them again, and the stream stands still
//! meanwhile.

use std::time::{Duration, Instant};

use firedrill_worker::queue::loss::{Loss, LossState};
use firedrill_worker::queue::random::Random;

use super::Piece;
use super::held::{Arrival, Held};
use super::stage::Running;
use crate::chance::Chance;

/// Segments of the stream are lost, and come again later with everything behind them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stalls {
    pub loss: Loss,
    /// How long until a lost segment is there; Linux waits 200 ms at the least before it sends one
    /// again without hint (`TCP_RTO_MIN`).
    pub stall: Duration,
}

/// Bytes of a segment: what a packet of Ethernet carries of a stream. Segments are counted from the
/// stream's start, wherever TCP cut it.
pub(super) const SEGMENT: u64 = 1448;

impl Stalls {
    pub(super) fn running(self, chance: Chance) -> impl Running {
        Stalling {
            stalls: self,
            state: LossState::default(),
            random: Random::new(chance.bits()),
            decided: 0,
            free: None,
        }
    }
}

#[derive(Debug)]
struct Stalling {
    stalls: Stalls,
    state: LossState,
    random: Random,
    /// Segments that have been decided on.
    decided: u64,
    /// When the last lost segment comes.
    free: Option<Instant>,
}

impl Stalling {
    /// When a part of this segment comes.
    fn due(&mut self, segment: u64, at: Instant) -> Instant {
        while self.decided <= segment {
            let lost = self.state.next(&self.stalls.loss, &mut self.random);
            if lost && self.decided == segment {
                self.free = Some(self.free.unwrap_or(at).max(at) + self.stalls.stall);
            }
            self.decided += 1;
        }
        self.free.unwrap_or(at).max(at)
    }
}

impl Running for Stalling {
    fn admit(&mut self, arrival: Arrival, held: &mut Held) {
        let at = arrival.at;
        let mut rest = Some(arrival.part);
        while let Some(part) = rest.take() {
            let left = SEGMENT - part.offset % SEGMENT;
            let (part, behind) = part.split(left);
            let due = match part.piece {
                Piece::Data(_) => self.due(part.offset / SEGMENT, at),
                Piece::End(_) => self.free.unwrap_or(at),
            };
            held.until(Some(due), Arrival { at, part });
            rest = behind;
        }
    }
}
