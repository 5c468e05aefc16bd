//! One fault on one connection.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use super::held::{Arrival, Held};
use super::source::Part;
use super::{Direction, End, Kind, Piece, StreamFault};
use crate::chance::Chance;

/// What a fault remembers of a stream, and does with it.
pub(super) trait Running: Debug + Send {
    /// The fault begins on this connection, or has new values.
    fn begin(&mut self, _now: Instant, _held: &mut Held) {}

    /// Decides on what came: holds it, whole or in parts, as it is or changed.
    fn admit(&mut self, arrival: Arrival, held: &mut Held);

    /// Bytes above which nothing more is taken.
    fn room(&self) -> usize {
        8 << 20
    }

    /// What the end of the fault means for the connection, besides that what is held goes on.
    fn after(&self) -> Option<End> {
        None
    }
}

#[derive(Debug)]
pub(super) struct Stage {
    name: Arc<str>,
    direction: Direction,
    chance: Chance,
    running: Box<dyn Running>,
    held: Held,
    /// Bytes of the stream before the fault began.
    begun: u64,
    /// The stream's end has been let through: what comes now is of nobody's interest.
    over: bool,
}

impl Stage {
    pub(super) fn new(fault: &StreamFault, chance: Chance, begun: u64, now: Instant) -> Self {
        let mut stage = Self {
            name: Arc::clone(&fault.name),
            direction: fault.direction,
            chance,
            running: running(&fault.kind, chance, begun),
            held: Held::default(),
            begun,
            over: false,
        };
        stage.running.begin(now, &mut stage.held);
        stage
    }

    pub(super) fn is(&self, fault: &StreamFault) -> bool {
        self.name == fault.name && self.direction == fault.direction
    }

    /// New values: what is held is decided anew, as of when it came.
    pub(super) fn change(&mut self, fault: &StreamFault, now: Instant) {
        self.running = running(&fault.kind, self.chance, self.begun);
        let waiting = self.held.take();
        self.running.begin(now, &mut self.held);
        for arrival in waiting {
            self.running.admit(arrival, &mut self.held);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.over || self.held.bytes() < self.running.room()
    }

    pub(super) fn admit(&mut self, part: Part, now: Instant) {
        if !self.over {
            self.running
                .admit(Arrival { at: now, part }, &mut self.held);
        }
    }

    pub(super) fn release(&mut self, now: Instant) -> Option<Part> {
        let part = self.held.release(now)?;
        self.over |= matches!(part.piece, Piece::End(_));
        Some(part)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.held.due()
    }

    /// Everything it holds, at its end.
    pub(super) fn released(mut self) -> impl Iterator<Item = Part> {
        let after = self.running.after().map(|end| Part {
            offset: self.begun,
            burst: self.begun,
            piece: Piece::End(end),
        });
        let held: Vec<_> = self.held.take().map(|arrival| arrival.part).collect();
        held.into_iter().chain(after)
    }
}

fn running(kind: &Kind, chance: Chance, begun: u64) -> Box<dyn Running> {
    match kind {
        Kind::Latency(latency) => Box::new(latency.running(chance)),
        Kind::Bandwidth(bandwidth) => Box::new(bandwidth.running()),
        Kind::Loss(stalls) => Box::new(stalls.running(chance)),
        Kind::Corrupt(corrupt) => Box::new(corrupt.running(chance)),
        Kind::Slicer(slicer) => Box::new(slicer.running(chance)),
        Kind::Limit(limit) => Box::new(limit.running(begun)),
        Kind::Timeout(timeout) => Box::new(timeout.running()),
        Kind::Reset(reset) => Box::new(reset.running()),
        Kind::Hang(hang) => Box::new(*hang),
        Kind::SlowClose(close) => Box::new(*close),
        Kind::Noop => Box::new(Noop),
    }
}

/// Lets everything through.
#[derive(Debug)]
struct Noop;

impl Running for Noop {
    fn admit(&mut self, arrival: Arrival, held: &mut Held) {
        held.until(Some(arrival.at), arrival);
    }
}
