//! Requests on their way to the upstream, in their order, each when it is due.

use std::collections::VecDeque;
use std::time::Instant;

use crate::message::Sink;
use crate::stream::{Direction, End};

/// Bytes that wait, above which nothing more is taken.
const ROOM: usize = 1 << 20;

#[derive(Debug, Default)]
pub(in crate::message) struct Outgoing {
    waiting: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// Nothing goes before this.
    until: Option<Instant>,
    /// When all that waits has gone, the stream ends.
    ends: bool,
}

impl Outgoing {
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
            out.send(Direction::Upstream, bytes);
            return;
        }
        self.bytes += bytes.len();
        match self.waiting.back_mut() {
            Some((last, waiting)) if *last == due => waiting.extend_from_slice(bytes),
            _ => self.waiting.push_back((due, bytes.to_vec())),
        }
    }

    /// The client has nothing more to say.
    pub(in crate::message) fn end(&mut self, now: Instant, out: &mut dyn Sink) {
        self.ends = true;
        self.wake(now, out);
    }

    pub(in crate::message) fn wake(&mut self, now: Instant, out: &mut dyn Sink) {
        while let Some((due, bytes)) = self.waiting.front()
            && *due <= now
        {
            out.send(Direction::Upstream, bytes);
            self.bytes -= bytes.len();
            self.waiting.pop_front();
        }
        if self.ends && self.waiting.is_empty() && self.until.is_none_or(|until| until <= now) {
            self.ends = false;
            out.end(Direction::Upstream, End::Fin);
        }
    }

    pub(in crate::message) fn due(&self) -> Option<Instant> {
        let first = self.waiting.front().map(|(due, _)| *due);
        first.or(self.until.filter(|_| self.ends))
    }

    pub(in crate::message) fn has_room(&self) -> bool {
        self.bytes < ROOM
    }
}
