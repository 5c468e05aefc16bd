//! What a session says while it is asked once: as few calls as can be, because each is a write.

use std::ops::Range;
use std::time::Instant;

use crate::message::{Answered, Sink};
use crate::stream::{Direction, End};

pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    out: &'a mut dyn Sink,
    /// What came, and where it goes.
    input: &'a [u8],
    direction: Direction,
    /// The part of it that goes on as it is, and has not been sent.
    run: Range<usize>,
    /// What is to be said behind that, by direction.
    said: [Vec<u8>; 2],
}

impl<'a> Turn<'a> {
    pub(super) fn new(now: Instant, out: &'a mut dyn Sink) -> Self {
        Self::with(now, out, Direction::Upstream, &[])
    }

    pub(super) fn with(
        now: Instant,
        out: &'a mut dyn Sink,
        direction: Direction,
        input: &'a [u8],
    ) -> Self {
        Self {
            now,
            out,
            input,
            direction,
            run: 0..0,
            said: Default::default(),
        }
    }

    /// These bytes go next. Nothing is copied of what came, where it goes on in one piece.
    pub(super) fn send(&mut self, direction: Direction, bytes: &[u8]) {
        let said = &mut self.said[direction as usize];
        if direction == self.direction && said.is_empty() {
            if let Some(part) = place(self.input, bytes)
                && (self.run.is_empty() || self.run.end == part.start)
            {
                let begin = if self.run.is_empty() {
                    part.start
                } else {
                    self.run.start
                };
                self.run = begin..part.end;
                return;
            }
            said.extend_from_slice(&self.input[std::mem::take(&mut self.run)]);
        }
        said.extend_from_slice(bytes);
    }

    pub(super) fn end(&mut self, direction: Direction, end: End) {
        self.flush();
        self.out.end(direction, end);
    }

    /// To be counted, if it is something.
    pub(super) fn answered(&mut self, answered: Option<Answered>) {
        if let Some(answered) = answered {
            self.out.answered(answered);
        }
    }

    /// Everything is sent.
    pub(super) fn flush(&mut self) {
        let run = &self.input[std::mem::take(&mut self.run)];
        if !run.is_empty() {
            self.out.send(self.direction, run);
        }
        for direction in [Direction::Upstream, Direction::Downstream] {
            let said = std::mem::take(&mut self.said[direction as usize]);
            if !said.is_empty() {
                self.out.send(direction, &said);
            }
        }
    }
}

/// Where in `whole` this part of it is. None: it is none.
fn place(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}
