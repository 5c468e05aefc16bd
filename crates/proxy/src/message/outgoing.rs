//! Messages on their way in one direction, in their order, each when it is due.

use std::collections::VecDeque;
use std::time::Instant;

use crate::message::Sink;
use crate::stream::{Direction, End};

/// Bytes that wait, above which nothing more is taken.
const ROOM: usize = 1 << 20;

#[derive(Debug)]
pub(in crate::message) struct Outgoing {
    direction: Direction,
    waiting: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// Nothing goes before this.
    until: Option<Instant>,
    /// How it ends when all that waits has gone, if it does.
    ends: Option<End>,
}

/// What is said through it goes when its turn has come.
pub(in crate::message) struct InTurn<'a> {
    outgoing: &'a mut Outgoing,
    now: Instant,
    out: &'a mut dyn Sink,
}

impl Outgoing {
    pub(in crate::message) fn towards(direction: Direction) -> Self {
        Self {
            direction,
            waiting: VecDeque::new(),
            bytes: 0,
            until: None,
            ends: None,
        }
    }

    /// A sink for what comes now, of this direction.
    pub(in crate::message) fn at<'a>(
        &'a mut self,
        now: Instant,
        out: &'a mut dyn Sink,
    ) -> InTurn<'a> {
        InTurn {
            outgoing: self,
            now,
            out,
        }
    }

    /// What comes from now on waits until then, or for what waits already, if that is longer.
    pub(in crate::message) fn delay(&mut self, until: Instant) {
        self.until = Some(self.turn(until));
    }

    /// When something that comes now has its turn.
    pub(in crate::message) fn turn(&self, now: Instant) -> Instant {
        self.until.map_or(now, |until| until.max(now))
    }

    /// These bytes are next.
    pub(in crate::message) fn send(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        if bytes.is_empty() {
            return;
        }
        let due = self.turn(now);
        if self.waiting.is_empty() && due <= now {
            out.send(self.direction, bytes);
            return;
        }
        self.bytes += bytes.len();
        match self.waiting.back_mut() {
            Some((last, waiting)) if *last == due => waiting.extend_from_slice(bytes),
            _ => self.waiting.push_back((due, bytes.to_vec())),
        }
    }

    /// Nothing more comes.
    pub(in crate::message) fn end(&mut self, end: End, now: Instant, out: &mut dyn Sink) {
        self.ends = Some(end);
        self.wake(now, out);
    }

    pub(in crate::message) fn wake(&mut self, now: Instant, out: &mut dyn Sink) {
        while let Some((due, bytes)) = self.waiting.front()
            && *due <= now
        {
            out.send(self.direction, bytes);
            self.bytes -= bytes.len();
            self.waiting.pop_front();
        }
        if self.waiting.is_empty()
            && self.until.is_none_or(|until| until <= now)
            && let Some(end) = self.ends.take()
        {
            out.end(self.direction, end);
        }
    }

    pub(in crate::message) fn due(&self) -> Option<Instant> {
        let first = self.waiting.front().map(|(due, _)| *due);
        first.or(self.until.filter(|_| self.ends.is_some()))
    }

    pub(in crate::message) fn has_room(&self) -> bool {
        self.bytes < ROOM
    }
}

impl Sink for InTurn<'_> {
    fn send(&mut self, _direction: Direction, bytes: &[u8]) {
        self.outgoing.send(bytes, self.now, self.out);
    }

    fn end(&mut self, _direction: Direction, end: End) {
        self.outgoing.end(end, self.now, self.out);
    }
}
