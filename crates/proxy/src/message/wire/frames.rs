//! Frames: a head that is looked at, and a rest of which only the end is found.

use std::borrow::Cow;
use std::fmt::Debug;

use super::cursor::{Cursor, Head};

/// What the first bytes of a frame tell about it. More bytes behind them never change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::message) enum Shape<R, A = ()> {
    /// More bytes have to come first.
    Unknown,
    /// So many bytes are looked at, no fewer than have told so; then comes the rest. What was found
    /// about the frame while they were need not be found again.
    Known { head: usize, rest: R, about: A },
    /// This is no frame of the protocol.
    Garbage,
}

impl<A> Shape<u64, A> {
    /// A frame of so many bytes, of which no more than these are looked at.
    pub(in crate::message) fn of_length(whole: u64, looked_at: u64, about: A) -> Self {
        let head = whole.min(looked_at);
        Self::Known {
            head: head as usize,
            rest: whole - head,
            about,
        }
    }
}

/// What is behind the head of a frame, as its bytes come. The usual is how many they are.
pub(in crate::message) trait Rest: Debug + Default + Send {
    /// Whether nothing more belongs to the frame.
    fn is_over(&self) -> bool;

    /// How many of these bytes belong to it, one at least; nothing if they cannot.
    fn take(&mut self, bytes: &[u8]) -> Option<usize>;
}

impl Rest for u64 {
    fn is_over(&self) -> bool {
        *self == 0
    }

    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let length = bytes
            .len()
            .min(usize::try_from(*self).unwrap_or(usize::MAX));
        *self -= length as u64;
        Some(length)
    }
}

/// The next thing in a stream of frames.
#[derive(Debug)]
pub(in crate::message) enum Step<'a, A> {
    /// A frame begins, and this is known about it: carry its head.
    Begin(Head<'a>, A),
    /// So many bytes belong to the frame that began: carry them.
    Within(usize),
    /// Nothing more until more comes. What is not passed is held.
    More,
    /// No frame. What was held of it, which is not among the cursor's bytes any more.
    Garbage(Vec<u8>),
}

/// Bytes that are taken at a time to see whether a head is whole with them.
const TAKEN: usize = 4 << 10;

/// Cuts a stream into frames. Holds the head of one until it is whole, and nothing more; what a
/// peer says about lengths reserves nothing.
#[derive(Debug, Default)]
pub(in crate::message) struct Frames<R> {
    held: Vec<u8>,
    /// Of the frame that began.
    rest: R,
}

impl<R: Rest> Frames<R> {
    /// The next step from where the cursor is. `send` takes what has passed before it.
    pub(in crate::message) fn next<'a, A>(
        &mut self,
        cursor: &mut Cursor<'a>,
        shape: impl Fn(&[u8]) -> Shape<R, A>,
        mut send: impl FnMut(&[u8]),
    ) -> Step<'a, A> {
        let bytes = cursor.rest();
        if bytes.is_empty() {
            cursor.flush(send);
            return Step::More;
        }
        if !self.rest.is_over() {
            return match self.rest.take(bytes) {
                Some(length) => Step::Within(length),
                None => Step::Garbage(Vec::new()),
            };
        }
        if self.held.is_empty() {
            match shape(bytes) {
                Shape::Known { head, rest, about } if head <= bytes.len() => {
                    self.rest = rest;
                    return Step::Begin(Cow::Borrowed(&bytes[..head]), about);
                }
                Shape::Garbage => return Step::Garbage(Vec::new()),
                Shape::Known { .. } | Shape::Unknown => {}
            }
        }
        self.gather(cursor, shape, &mut send)
    }

    /// A head that comes in several parts.
    fn gather<'a, A>(
        &mut self,
        cursor: &mut Cursor<'a>,
        shape: impl Fn(&[u8]) -> Shape<R, A>,
        send: &mut impl FnMut(&[u8]),
    ) -> Step<'a, A> {
        loop {
            let (before, bytes) = (self.held.len(), cursor.rest());
            if bytes.is_empty() {
                cursor.flush(send);
                return Step::More;
            }
            let part = &bytes[..bytes.len().min(TAKEN)];
            self.held.extend_from_slice(part);
            match shape(&self.held) {
                Shape::Garbage => {
                    self.held.truncate(before);
                    return Step::Garbage(self.take_held());
                }
                // It began when something else was expected, and goes beyond what is expected now.
                Shape::Known { head, .. } if head < before => {
                    self.held.truncate(before);
                    return Step::Garbage(self.take_held());
                }
                Shape::Known { head, rest, about } if head <= self.held.len() => {
                    // What is behind the head stays where it is.
                    self.held.truncate(head);
                    cursor.skip(head - before, send);
                    self.rest = rest;
                    return Step::Begin(Cow::Owned(self.take_held()), about);
                }
                Shape::Known { .. } | Shape::Unknown => cursor.skip(part.len(), &mut *send),
            }
        }
    }

    /// Whether a frame has ended and no other begun.
    pub(in crate::message) fn is_between(&self) -> bool {
        self.rest.is_over() && self.held.is_empty()
    }

    /// What is held, for a stream that ends or is followed no more.
    pub(in crate::message) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}
