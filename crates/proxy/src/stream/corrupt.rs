//! Bits that are not what was sent.

use bytes::{Bytes, BytesMut};

use super::Piece;
use super::held::{Arrival, Held};
use super::loss::SEGMENT;
use super::stage::Running;
use crate::chance::Chance;

/// In a share of the segments one bit is flipped, as by a broken device behind the checksums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corrupt {
    /// Of segments of 1448 bytes, counted from the stream's start; 0 to 1.
    pub share: f64,
}

impl Corrupt {
    pub(super) fn running(self, chance: Chance) -> impl Running {
        Corrupting {
            share: self.share,
            chance,
        }
    }
}

#[derive(Debug)]
struct Corrupting {
    share: f64,
    chance: Chance,
}

impl Corrupting {
    /// Where in the stream a bit of this segment is flipped, and which.
    fn flip(&self, segment: u64) -> Option<(u64, u8)> {
        let chance = self.chance.of(segment);
        let bit = chance.of(1).below(SEGMENT * 8);
        let flip = (segment * SEGMENT + bit / 8, 1 << (bit % 8));
        chance.happens(self.share).then_some(flip)
    }

    fn corrupted(&self, offset: u64, bytes: Bytes) -> Bytes {
        let end = offset + bytes.len() as u64;
        let flips: Vec<_> = (offset / SEGMENT..=end.saturating_sub(1) / SEGMENT)
            .filter_map(|segment| self.flip(segment))
            .filter(|(at, _)| (offset..end).contains(at))
            .collect();
        if flips.is_empty() {
            return bytes;
        }
        let mut bytes = BytesMut::from(bytes);
        for (at, mask) in flips {
            bytes[(at - offset) as usize] ^= mask;
        }
        bytes.freeze()
    }
}

impl Running for Corrupting {
    fn admit(&mut self, mut arrival: Arrival, held: &mut Held) {
        let part = &mut arrival.part;
        if let Piece::Data(bytes) = &mut part.piece {
            *bytes = self.corrupted(part.offset, std::mem::take(bytes));
        }
        held.until(Some(arrival.at), arrival);
    }
}
