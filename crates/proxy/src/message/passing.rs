//! Bytes that go on as they came, as few times as possible.

use crate::message::Sink;
use crate::stream::Direction;

/// What came, and how far it has been dealt with. What goes on untouched goes on together.
pub(in crate::message) struct Passing<'a> {
    bytes: &'a [u8],
    direction: Direction,
    /// From here on it goes on untouched,
    begin: usize,
    /// up to here.
    at: usize,
}

impl<'a> Passing<'a> {
    pub(in crate::message) fn new(bytes: &'a [u8], direction: Direction) -> Self {
        Self {
            bytes,
            direction,
            begin: 0,
            at: 0,
        }
    }

    pub(in crate::message) fn direction(&self) -> Direction {
        self.direction
    }

    /// What has not been dealt with.
    pub(in crate::message) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Bytes that have been.
    pub(in crate::message) fn used(&self) -> usize {
        self.at
    }

    /// So many go on.
    pub(in crate::message) fn pass(&mut self, length: usize) {
        self.at += length;
    }

    /// So many do not.
    pub(in crate::message) fn skip(&mut self, length: usize, out: &mut dyn Sink) {
        self.flush(out);
        self.at += length;
        self.begin = self.at;
    }

    /// These come in between.
    pub(in crate::message) fn insert(&mut self, bytes: &[u8], out: &mut dyn Sink) {
        self.flush(out);
        out.send(self.direction, bytes);
    }

    /// To be called at the end, and before anything else is said.
    pub(in crate::message) fn flush(&mut self, out: &mut dyn Sink) {
        if self.begin < self.at {
            out.send(self.direction, &self.bytes[self.begin..self.at]);
            self.begin = self.at;
        }
    }
}
