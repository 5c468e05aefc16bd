//! Flow control of one direction, of a connection or a stream (RFC 9113, section 5.2).
//!
//! What the receiver grants is passed on to the sender, so that both are as far apart as without
//! us. What we add (a body of ours) and what we take out (one that nobody gets) make a difference,
//! and that is settled with what is granted next, or at once. Until then a sender may send more than
//! its receiver takes: that waits here.

use super::error::Code;

/// The window at which a connection, and without other settings a stream, begins.
pub(super) const INITIAL: i64 = 65_535;

/// A window may not be larger.
const LARGEST: i64 = 0x7fff_ffff;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Bytes that the receiver takes.
    room: i64,
    /// Bytes that the sender may send besides those that it knows of; below 0, that it believes it
    /// may send and must not.
    slack: i64,
}

impl Window {
    pub(super) fn new(room: i64) -> Self {
        Self { room, slack: 0 }
    }

    pub(super) fn room(&self) -> i64 {
        self.room
    }

    /// The receiver takes so much more.
    pub(super) fn grant(&mut self, bytes: u32) -> Result<(), Code> {
        self.room += i64::from(bytes);
        self.slack += i64::from(bytes);
        if self.room > LARGEST {
            return Err(Code::FLOW_CONTROL_ERROR);
        }
        Ok(())
    }

    /// The receiver's settings are others: its sender knows.
    pub(super) fn shift(&mut self, by: i64) {
        self.room += by;
    }

    /// So much went to the receiver, and came from the sender.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.room -= bytes as i64;
    }

    /// So much went to the receiver, and is ours.
    pub(super) fn add(&mut self, bytes: usize) {
        self.pass(bytes);
        self.slack -= bytes as i64;
    }

    /// So much came from the sender, and goes nowhere.
    pub(super) fn swallow(&mut self, bytes: usize) {
        self.slack += bytes as i64;
    }

    /// What the sender has to be told that it may send; told once.
    pub(super) fn owed(&mut self) -> Option<u32> {
        if self.slack <= 0 {
            return None;
        }
        let told = self.slack.min(LARGEST);
        self.slack -= told;
        Some(told as u32)
    }
}
