//! Faults on the messages of a WebSocket (RFC 6455), once HTTP/1.1 has become one.
//!
//! Frames are followed, not collected: of each only its beginning is read, and its payload passes as
//! it comes. A message may have several frames, with control frames between them; a fault is on the
//! message. What is not the protocol passes from there on as bytes.

mod decision;
mod frame;
mod way;

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{Pattern, Sink};
use crate::arms::Arm;
use crate::chance::Chance;
use crate::stream::{Direction, Latency};
pub(super) use decision::Deciders;
use decision::{Close, Whose};
use way::{Judged, Way};

/// A fault on some of the messages of a route, those of one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct WebSocketFault {
    pub direction: Direction,
    pub matching: WebSocketMatch,
    pub action: WebSocketAction,
}

/// Which messages a fault is meant for: all that fit every part that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebSocketMatch {
    /// The path of the request that began it, without what comes after a `?`.
    pub path: Option<Pattern>,
    /// Any of these; empty for all.
    pub messages: Vec<WebSocketMessage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebSocketMessage {
    Text,
    Binary,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum WebSocketAction {
    /// It goes on later, and what is behind it with it. Its jitter is drawn for each message; its
    /// correlation is not used.
    Delay(Latency),
    /// It does not go on.
    Drop,
    /// It does not go on: both sides are told that the other closes, and the connection ends.
    Close {
        code: u16,
        reason: String,
    },
    Change(WebSocketChange),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WebSocketChange {
    /// So many bytes of its payload are all of it.
    Truncate { after: u64 },
    /// As of the body of a request ([`BodyChange::Corrupt`](super::BodyChange::Corrupt)).
    Corrupt { share: f64 },
}

impl WebSocketMatch {
    fn fits(&self, path: &[u8], message: WebSocketMessage) -> bool {
        let end = path.iter().position(|byte| *byte == b'?');
        let path = &path[..end.unwrap_or(path.len())];
        let any = self.messages.is_empty();
        let path_fits = self.path.as_ref().is_none_or(|one| one.matches(path));
        path_fits && (any || self.messages.contains(&message))
    }
}

/// What a connection has become.
#[derive(Debug)]
pub(super) struct WebSocket {
    whose: Whose,
    /// Upstream, downstream.
    ways: [Way; 2],
}

impl WebSocket {
    /// `chance` is the connection's, `path` and `arm` are of the request that began it.
    pub(super) fn new(chance: Chance, path: Vec<u8>, arm: Option<Arm>) -> Self {
        Self {
            whose: Whose { chance, path, arm },
            ways: [Direction::Upstream, Direction::Downstream].map(Way::new),
        }
    }

    pub(super) fn receive(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        deciders: &Deciders,
        now: Instant,
        out: &mut dyn Sink,
    ) {
        let judged = Judged {
            deciders,
            whose: &self.whose,
            now,
        };
        let close = self.ways[direction as usize].receive(bytes, judged, out);
        if let Some(close) = close {
            self.close(direction, &close, now, out);
        }
    }

    /// Tells both sides. In the middle of a frame nothing can be said: such a side sees an end only.
    fn close(&mut self, direction: Direction, close: &Close, now: Instant, out: &mut dyn Sink) {
        let Close { code, reason, mask } = close;
        // The end is the last word, behind what is said to the other side.
        for towards in [direction.opposite(), direction] {
            let mask = (towards == Direction::Upstream).then_some(*mask);
            let frame = frame::close(*code, reason, mask);
            let way = &mut self.ways[towards as usize];
            let said = way.is_between_frames().then_some(&frame[..]);
            way.close(said, towards == direction, now, out);
        }
    }

    pub(super) fn end(&mut self, direction: Direction, now: Instant, out: &mut dyn Sink) {
        self.ways[direction as usize].end(now, out);
    }

    pub(super) fn wake(&mut self, now: Instant, out: &mut dyn Sink) {
        for way in &mut self.ways {
            way.wake(now, out);
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.ways.iter().filter_map(Way::due).min()
    }

    pub(super) fn has_room(&self, direction: Direction) -> bool {
        self.ways[direction as usize].has_room()
    }
}

#[cfg(test)]
mod tests;
