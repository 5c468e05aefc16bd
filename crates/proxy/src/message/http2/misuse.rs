//! What a peer must not say on a managed connection, where its receiver does not get to see it.

use super::error::Code;
use super::frame::{self, Head};
use super::turn::Turn;
use super::{Http2, Mode};
use crate::stream::Direction;

impl Http2 {
    /// What is wrong with a frame before it is known what it is about.
    pub(super) fn check(&self, direction: Direction, head: &Head) -> Result<(), Code> {
        if head.length > self.ways[direction as usize].longest {
            return Err(Code::FRAME_SIZE_ERROR);
        }
        match head.kind {
            // It may have no end, and would be kept back until then.
            frame::PUSH_PROMISE if direction == Direction::Upstream => Err(Code::PROTOCOL_ERROR),
            // It goes no further, so nobody else looks at it.
            frame::PRIORITY if self.mode == Mode::Managed && head.length != 5 => {
                Err(Code::FRAME_SIZE_ERROR)
            }
            frame::PRIORITY if self.mode == Mode::Managed && head.stream == 0 => {
                Err(Code::PROTOCOL_ERROR)
            }
            _ => Ok(()),
        }
    }

    /// Whether the client has nothing more to say on a stream, by its own words.
    pub(super) fn is_said(&mut self, key: u32) -> bool {
        match self.streams.get(key) {
            Some(stream) => stream.half(Direction::Upstream).ended,
            None => self.streams.is_said(key),
        }
    }

    /// The client says more where it has said its last: that is an error of the stream, and is told
    /// once. Where it was the upstream or a fault that ended the stream, the client could not know.
    pub(super) fn close_again(&mut self, key: u32, turn: &mut Turn<'_>) {
        if self.streams.get(key).is_some() {
            self.refuse(key, Code::STREAM_CLOSED, turn);
        } else {
            let reset = frame::short(frame::RST_STREAM, key, Code::STREAM_CLOSED.0);
            self.way(Direction::Downstream).say(&reset, turn);
        }
        self.streams.forget_said(key);
    }
}
