//! One direction of a connection, and what faults do to it. Pure: bytes and times come from outside.
//!
//! ```text
//!  socket ──▶ push ──▶ [stage] ──▶ [stage] ──▶ ready ──▶ pull ──▶ the other socket
//!                       held        held
//! ```
//!
//! A stage is one fault on one connection. It holds pieces of the stream until they are due, in
//! their order. A stage without room leaves them with the one before it, and the first without
//! room stops the reading from the socket, so that a slow fault slows its sender, as a slow
//! network would.

mod bandwidth;
mod corrupt;
mod hang;
mod held;
mod latency;
mod limit;
mod loss;
mod reset;
mod slicer;
mod slow_close;
mod source;
mod stage;
mod timeout;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::arms::Arm;
use crate::chance::Chance;

pub use bandwidth::Bandwidth;
pub use corrupt::Corrupt;
pub use hang::Hang;
pub use latency::Latency;
pub(crate) use latency::Spread;
pub use limit::Limit;
pub use loss::Stalls;
pub use reset::Reset;
pub use slicer::Slicer;
pub use slow_close::SlowClose;
use source::Source;
pub use source::{BURST, PAUSE};
use stage::Stage;
pub use timeout::Timeout;

/// Bytes that wait for the socket, above which nothing more is made ready.
const READY_LIMIT: usize = 256 << 10;

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Data(Bytes),
    End(End),
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its sender has nothing more to say; the other direction goes on.
    Fin,
    /// Both directions are over at once, and both sides are told so with a RST.
    Reset,
    /// Both directions are over, in an orderly way.
    Close,
}

/// From the client to the upstream, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    Upstream,
    Downstream,
}

impl Direction {
    pub(crate) const fn opposite(self) -> Self {
        match self {
            Self::Upstream => Self::Downstream,
            Self::Downstream => Self::Upstream,
        }
    }
}

/// A fault on the streams of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamFault {
    /// Unique on its route. Decisions follow the name: a fault that is edited keeps them.
    pub name: Arc<str>,
    pub direction: Direction,
    /// The share of the connections that it is on, 0 to 1.
    pub toxicity: f64,
    /// The arm that it is for; any if none is named.
    pub arm: Option<Arm>,
    pub kind: Kind,
}

/// What a fault does to a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Latency(Latency),
    Bandwidth(Bandwidth),
    Loss(Stalls),
    Corrupt(Corrupt),
    Slicer(Slicer),
    Limit(Limit),
    Timeout(Timeout),
    Reset(Reset),
    Hang(Hang),
    SlowClose(SlowClose),
    /// Nothing.
    Noop,
}

/// One direction of one connection.
#[derive(Debug)]
pub struct Lane {
    chance: Chance,
    source: Source,
    stages: Vec<Stage>,
    ready: VecDeque<Piece>,
    ready_bytes: usize,
    /// Nothing goes in any more.
    over: bool,
}

impl Lane {
    /// A lane with those of the faults that this connection's chance falls to.
    #[must_use]
    pub fn new(chance: Chance, faults: &[&StreamFault], now: Instant) -> Self {
        let mut lane = Self {
            chance,
            source: Source::default(),
            stages: Vec::new(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            over: false,
        };
        lane.change(faults, now);
        lane
    }

    /// Whether bytes pass as they are, and nothing waits: then they need not come through here.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.stages.is_empty() && self.ready.is_empty() && !self.over
    }

    /// Whether more is taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.has_room_at(0)
    }

    /// Counts what passed beside a lane that is clear.
    pub fn passed(&mut self, bytes: usize, now: Instant) {
        self.source.count(bytes, now);
    }

    /// Takes what the sender sent.
    pub fn push(&mut self, piece: Piece, now: Instant) {
        if self.over {
            return;
        }
        self.over = matches!(piece, Piece::End(_));
        let mut rest = Some(piece);
        while let Some(piece) = rest.take() {
            let (part, behind) = self.source.next(piece, now);
            match self.stages.first_mut() {
                Some(stage) => stage.admit(part, now),
                None => self.make_ready(part.piece),
            }
            rest = behind;
        }
        self.advance(now);
    }

    /// What the receiver gets next, if anything is due.
    pub fn pull(&mut self, now: Instant) -> Option<Piece> {
        self.advance(now);
        let piece = self.ready.pop_front()?;
        if let Piece::Data(bytes) = &piece {
            self.ready_bytes -= bytes.len();
        }
        Some(piece)
    }

    /// Puts back what the receiver did not take.
    pub fn put_back(&mut self, rest: Bytes) {
        self.ready_bytes += rest.len();
        self.ready.push_front(Piece::Data(rest));
    }

    /// When there is something more to pull, if only time is missing.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let stages = self.stages.iter().enumerate();
        stages
            .filter(|(at, _)| self.has_room_at(at + 1))
            .filter_map(|(_, stage)| stage.due())
            .min()
    }

    /// Makes these the faults of the lane: an unknown one begins at the receiver's end, a changed
    /// one goes on with its new values and its old decisions, and what a removed one held goes on
    /// its way. The stream keeps its order.
    pub fn change(&mut self, faults: &[&StreamFault], now: Instant) {
        let chosen = |fault: &&&StreamFault| {
            let chance = self.chance.named(&fault.name);
            chance.happens(fault.toxicity)
        };
        let mut wanted: Vec<&StreamFault> = faults.iter().filter(chosen).copied().collect();
        // From the receiver's end, so that what is given on meets only what was ahead of it.
        let mut kept: VecDeque<Stage> = VecDeque::new();
        for mut stage in std::mem::take(&mut self.stages).into_iter().rev() {
            match wanted.iter().position(|fault| stage.is(fault)) {
                Some(at) => {
                    stage.change(wanted.remove(at), now);
                    kept.push_front(stage);
                }
                None => {
                    for part in stage.released() {
                        match kept.front_mut() {
                            Some(next) => next.admit(part, now),
                            None => self.make_ready(part.piece),
                        }
                    }
                }
            }
        }
        self.stages = kept.into();
        for fault in wanted {
            let chance = self.chance.named(&fault.name).of(DECISIONS);
            let stage = Stage::new(fault, chance, self.source.offset, now);
            self.stages.push(stage);
        }
        self.advance(now);
    }

    fn advance(&mut self, now: Instant) {
        while self.step(now) {}
    }

    /// Moves what is due, from the end of the lane to its start; whether anything was.
    fn step(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for at in (0..self.stages.len()).rev() {
            while self.has_room_at(at + 1)
                && let Some(part) = self.stages[at].release(now)
            {
                match self.stages.get_mut(at + 1) {
                    Some(next) => next.admit(part, now),
                    None => self.make_ready(part.piece),
                }
                moved = true;
            }
        }
        moved
    }

    fn has_room_at(&self, at: usize) -> bool {
        match self.stages.get(at) {
            Some(stage) => stage.has_room(),
            None => self.ready_bytes < READY_LIMIT,
        }
    }

    fn make_ready(&mut self, piece: Piece) {
        if let Piece::Data(bytes) = &piece {
            self.ready_bytes += bytes.len();
        }
        self.ready.push_back(piece);
    }
}

/// Keeps a fault's own draws apart from the one that put it on the connection.
const DECISIONS: u64 = 1;

#[cfg(test)]
mod tests;
