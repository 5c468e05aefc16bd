//! The connection is closed after so many bytes.

use super::held::{Arrival, Held};
use super::source::Part;
use super::stage::Running;
use super::{End, Piece};

/// A limit of what may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// From the fault's begin on. 0: the connection is closed when the first byte comes.
    pub bytes: u64,
}

impl Limit {
    pub(super) fn running(self, begun: u64) -> impl Running {
        Counting {
            limit: begun.saturating_add(self.bytes),
            reached: false,
        }
    }
}

#[derive(Debug)]
struct Counting {
    /// An offset in the stream.
    limit: u64,
    reached: bool,
}

impl Running for Counting {
    fn admit(&mut self, mut arrival: Arrival, held: &mut Held) {
        if self.reached {
            return;
        }
        let at = arrival.at;
        let end = Part {
            piece: Piece::End(End::Close),
            ..arrival.part.clone()
        };
        if let Piece::Data(bytes) = &mut arrival.part.piece {
            let left = self.limit.saturating_sub(arrival.part.offset);
            self.reached = bytes.len() as u64 >= left;
            bytes.truncate(left as usize);
        }
        held.until(Some(at), arrival);
        if self.reached {
            held.until(Some(at), Arrival { at, part: end });
        }
    }
}
