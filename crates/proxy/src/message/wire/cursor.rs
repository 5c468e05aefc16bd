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

    /// So many bytes pass.
    pub(in crate::message) fn pass(&mut self, length: usize) {
        self.at += length;
    }

    /// So many bytes do not.
    pub(in crate::message) fn skip(&mut self, length: usize, send: impl FnMut(&[u8])) {
        self.flush(send);
        self.at += length;
        self.passed = self.at;
    }

    /// Passes the beginning of a frame.
    pub(in crate::message) fn pass_head(&mut self, head: &Head<'a>, mut send: impl FnMut(&[u8])) {
        match head {
            Cow::Borrowed(here) => self.pass(here.len()),
            Cow::Owned(held) => {
                self.flush(&mut send);
                send(held);
            }
        }
    }

    /// Drops the beginning of a frame.
    pub(in crate::message) fn skip_head(&mut self, head: &Head<'a>, send: impl FnMut(&[u8])) {
        if let Cow::Borrowed(here) = head {
            self.skip(here.len(), send);
        }
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
