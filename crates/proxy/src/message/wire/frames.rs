//! Frames whose length stands in front.

use std::borrow::Cow;

use super::cursor::{Cursor, Head};

/// What the first bytes of a frame tell about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::message) enum Shape {
    /// More bytes have to come first.
    Unknown,
    /// So many bytes are looked at, of so many.
    Known { head: usize, whole: u64 },
    /// This is no frame of the protocol.
    Garbage,
}

/// The next thing in a stream of frames.
#[derive(Debug)]
pub(in crate::message) enum Step<'a> {
    /// A frame begins: pass or skip its head.
    Begin(Head<'a>),
    /// So many bytes belong to the frame that began: pass or skip them.
    Within(usize),
    /// Nothing more until more comes. What is not passed is held.
    More,
    /// No frame. What was held of it, which is not among the cursor's bytes any more.
    Garbage(Vec<u8>),
}

/// Cuts a stream into frames. Holds the head of one until it is whole, and nothing more.
#[derive(Debug, Default)]
pub(in crate::message) struct Frames {
    held: Vec<u8>,
    /// Bytes of the current frame that have not come.
    left: u64,
}

impl Frames {
    /// The next step from where the cursor is. `send` takes what has passed before it.
    pub(in crate::message) fn next<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        shape: impl Fn(&[u8]) -> Shape,
        mut send: impl FnMut(&[u8]),
    ) -> Step<'a> {
        let rest = cursor.rest();
        if self.left > 0 && !rest.is_empty() {
            let length = rest
                .len()
                .min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= length as u64;
            return Step::Within(length);
        }
        if rest.is_empty() {
            cursor.flush(send);
            return Step::More;
        }
        if self.held.is_empty() {
            match shape(rest) {
                Shape::Known { head, whole } if head <= rest.len() => {
                    self.left = whole - head as u64;
                    return Step::Begin(Cow::Borrowed(&rest[..head]));
                }
                Shape::Garbage => return Step::Garbage(Vec::new()),
                Shape::Known { .. } | Shape::Unknown => {}
            }
        }
        self.gather(cursor, shape, &mut send)
    }

    /// A head that comes in several parts.
    fn gather<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        shape: impl Fn(&[u8]) -> Shape,
        send: &mut impl FnMut(&[u8]),
    ) -> Step<'a> {
        loop {
            let missing = match shape(&self.held) {
                Shape::Garbage => return Step::Garbage(std::mem::take(&mut self.held)),
                // Byte by byte: what is taken too early would have to be given back.
                Shape::Unknown => 1,
                Shape::Known { head, whole } if head <= self.held.len() => {
                    self.left = whole - head as u64;
                    return Step::Begin(Cow::Owned(std::mem::take(&mut self.held)));
                }
                Shape::Known { head, .. } => head - self.held.len(),
            };
            let rest = cursor.rest();
            if rest.is_empty() {
                cursor.flush(send);
                return Step::More;
            }
            let length = missing.min(rest.len());
            self.held.extend_from_slice(&rest[..length]);
            cursor.skip(length, &mut *send);
        }
    }

    /// Whether a frame has ended and no other begun.
    pub(in crate::message) fn is_between(&self) -> bool {
        self.left == 0 && self.held.is_empty()
    }

    /// What is held, for a stream that ends or is followed no more.
    pub(in crate::message) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}
