//! What is known of a connection, whatever is spoken on it.

use std::time::Instant;

use super::{Awaited, Deciders, Dialect, Frames, Outgoing};
use crate::chance::Chance;
use crate::message::{MessageFault, Sink};
use crate::stream::Direction;

#[derive(Debug)]
pub(in crate::message) struct Line<D: Dialect> {
    pub(super) deciders: Deciders<D::Fault>,
    /// Of the next request that is decided on.
    pub(super) number: u64,
    pub(super) following: Following,
    pub(super) requests: Frames<D::Rest>,
    /// Whether the request that is coming goes on.
    pub(super) goes: bool,
    pub(super) outgoing: Outgoing,
    pub(super) awaited: Awaited<D::Reply>,
    pub(super) replies: Frames<D::Rest>,
    pub(super) reply: Coming,
    /// Replies are not looked at any more.
    pub(super) blind: bool,
}

/// What is made of the client's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Following {
    Requests,
    /// Only bytes.
    Bytes,
    /// We have ended the connection.
    Over,
}

/// What becomes of the frame of the server's that is coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coming {
    Passes,
    /// With it the answer in front is whole.
    Answers,
    Dropped,
}

impl<D: Dialect> Line<D> {
    pub(super) fn new(chance: Chance, faults: &[MessageFault]) -> Self {
        Self {
            deciders: Deciders::new(chance, faults),
            number: 0,
            following: Following::Requests,
            requests: Frames::default(),
            goes: true,
            outgoing: Outgoing::towards(Direction::Upstream),
            awaited: Awaited::default(),
            replies: Frames::default(),
            reply: Coming::Passes,
            blind: false,
        }
    }

    /// From here on the client's stream is bytes. Replies are, too, when those before it have come.
    pub(super) fn follow_no_more(&mut self, now: Instant, out: &mut dyn Sink) {
        let held = self.requests.take_held();
        if self.following != Following::Over {
            self.following = Following::Bytes;
            self.outgoing.send(&held, now, out);
        }
    }

    /// The upstream's answers cannot be followed. What was promised is given, and nothing more is.
    pub(super) fn give_up(&mut self, now: Instant, out: &mut dyn Sink) {
        self.awaited.give_up(out);
        self.blind = true;
        self.follow_no_more(now, out);
    }

    /// Gives those of ours whose turn it is; no answer of the upstream has begun and not ended.
    pub(super) fn give_ours(&mut self, now: Instant, out: &mut dyn Sink) {
        self.awaited.give_ours(now, out);
        self.blind |= self.following == Following::Bytes && self.awaited.is_empty();
    }

    /// Whether more of the client's is taken.
    pub(super) fn has_room(&self) -> bool {
        self.outgoing.has_room() && self.awaited.has_room()
    }

    /// Passes on what was held of a reply whose end does not come.
    pub(super) fn release_reply(&mut self, out: &mut dyn Sink) {
        let held = self.replies.take_held();
        if !held.is_empty() {
            out.send(Direction::Downstream, &held);
        }
    }
}
