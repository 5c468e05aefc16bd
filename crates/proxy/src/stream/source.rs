//! What comes from the sender, before any fault: where it is in the stream, and with what it belongs.

use std::time::{Duration, Instant};

use super::Piece;

/// What comes after so long a pause is a new burst.
pub const PAUSE: Duration = Duration::from_millis(1);

/// Offsets at which a new burst begins, however little pause there was.
pub const BURST: u64 = 64 << 10;

/// A part of the stream on its way through the stages.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Bytes of the stream before it.
    pub(super) offset: u64,
    /// The offset at which its burst began: what the sender said without a pause. A message that
    /// TCP delivered in several parts is one burst.
    pub(super) burst: u64,
    pub(super) piece: Piece,
}

impl Part {
    /// Bytes; 0 of the end.
    pub(super) fn length(&self) -> usize {
        match &self.piece {
            Piece::Data(bytes) => bytes.len(),
            Piece::End(_) => 0,
        }
    }

    /// At most so many bytes, but one at the least, and the rest.
    pub(super) fn split(mut self, at: u64) -> (Self, Option<Self>) {
        let at = at.max(1);
        let rest = match &mut self.piece {
            Piece::Data(bytes) if (bytes.len() as u64) > at => Some(Self {
                offset: self.offset + at,
                burst: self.burst,
                piece: Piece::Data(bytes.split_off(at as usize)),
            }),
            _ => None,
        };
        (self, rest)
    }
}

/// The sender's side of a lane.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Bytes that came.
    pub(super) offset: u64,
    burst: u64,
    last: Option<Instant>,
}

impl Source {
    /// What came, up to where a new burst begins, and the rest.
    pub(super) fn next(&mut self, piece: Piece, now: Instant) -> (Part, Option<Piece>) {
        let whole = Part {
            offset: self.offset,
            burst: self.burst,
            piece,
        };
        let (part, rest) = whole.split(BURST - self.offset % BURST);
        self.count(part.length(), now);
        let burst = self.burst;
        (Part { burst, ..part }, rest.map(|rest| rest.piece))
    }

    /// So many bytes came, of one burst.
    pub(super) fn count(&mut self, bytes: usize, now: Instant) {
        let paused = |last: Instant| now.saturating_duration_since(last) >= PAUSE;
        if self.offset.is_multiple_of(BURST) || self.last.is_none_or(paused) {
            self.burst = self.offset;
        }
        self.last = Some(now);
        self.offset += bytes as u64;
    }
}
