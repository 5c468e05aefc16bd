//! Goes through bytes that came together, and passes on what stays, as few times as possible.

use std::borrow::Cow;

/// The beginning of a frame: among the bytes that came, or put together from several reads.
pub(in crate::message) type Head<'a> = Cow<'a, [u8]>;

#[derive(Debug)]
pub(in crate::message) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Where what has passed and is not sent yet begins.
    passed: usize,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(in crate::message) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            passed: 0,
            at: 0,
        }
    }

    /// What has not been gone through.
    pub(in crate::message) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// So many bytes pass, or are dropped.
    pub(in crate::message) fn carry(&mut self, length: usize, goes: bool, send: impl FnMut(&[u8])) {
        match goes {
            true => self.at += length,
            false => self.skip(length, send),
        }
    }

    /// The beginning of a frame passes, or is dropped.
    pub(in crate::message) fn carry_head(
        &mut self,
        head: &Head<'a>,
        goes: bool,
        mut send: impl FnMut(&[u8]),
    ) {
        match head {
            Cow::Borrowed(here) => self.carry(here.len(), goes, send),
            Cow::Owned(held) if goes => {
                self.flush(&mut send);
                send(held);
            }
            Cow::Owned(_) => {}
        }
    }

    /// So many bytes are dropped, or are held elsewhere.
    pub(super) fn skip(&mut self, length: usize, send: impl FnMut(&[u8])) {
        self.flush(send);
        self.at += length;
        self.passed = self.at;
    }

    /// Everything that is left passes.
    pub(in crate::message) fn pass_rest(&mut self, send: impl FnMut(&[u8])) {
        self.at = self.bytes.len();
        self.flush(send);
    }

    /// Sends what has passed.
    pub(in crate::message) fn flush(&mut self, mut send: impl FnMut(&[u8])) {
        if self.passed < self.at {
            send(&self.bytes[self.passed..self.at]);
        }
        self.passed = self.at;
    }
}
