//! One direction of a WebSocket: its frames, and what becomes of each message.

use std::time::Instant;

use super::WebSocketMessage;
use super::decision::{Becomes, Close, Deciders, Whose};
use super::frame::{Header, NoFrame, Opcode};
use crate::message::Sink;
use crate::message::http::corruption::corrupt;
use crate::message::outgoing::Outgoing;
use crate::message::passing::Passing;
use crate::stream::{Direction, End};

#[derive(Debug)]
pub(super) struct Way {
    direction: Direction,
    outgoing: Outgoing,
    /// The beginning of a frame that is not whole.
    held: Vec<u8>,
    at: At,
    /// The message that has begun and not ended.
    message: Option<Message>,
    /// Messages that were decided on.
    count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Header,
    Payload(Payload),
    /// It is not the protocol: only bytes.
    Bytes,
    /// Nothing is taken any more.
    Closed,
}

/// What is left of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Payload {
    left: u64,
    /// Of these, so many go on, the first.
    keep: u64,
    /// Whether it is a message's, and not a control frame's.
    is_message: bool,
    /// Its message ends with it.
    is_last: bool,
}

#[derive(Debug)]
struct Message {
    becomes: Becomes,
    /// Bytes of its payload so far.
    offset: u64,
}

/// Who decides on what comes, and when it came.
#[derive(Clone, Copy)]
pub(super) struct Judged<'a> {
    pub(super) deciders: &'a Deciders,
    pub(super) whose: &'a Whose,
    pub(super) now: Instant,
}

impl Way {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            outgoing: Outgoing::towards(direction),
            held: Vec::new(),
            at: At::Header,
            message: None,
            count: 0,
        }
    }

    /// Takes what came; says how the connection ends if a message is its end.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        judged: Judged<'_>,
        out: &mut dyn Sink,
    ) -> Option<Close> {
        if self.held.is_empty() {
            return self.deal_with(bytes, judged, out);
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        self.deal_with(&held, judged, out)
    }

    fn deal_with(&mut self, bytes: &[u8], judged: Judged<'_>, out: &mut dyn Sink) -> Option<Close> {
        let mut passing = Passing::new(bytes, self.direction);
        loop {
            let rest = passing.rest();
            match self.at {
                At::Header => match Header::read(rest) {
                    Ok(Some(header)) => match self.begin(header, &mut passing, judged, out) {
                        Ok(None) => {}
                        Ok(close) => return close,
                        Err(NoFrame) => self.at = At::Bytes,
                    },
                    Ok(None) => {
                        self.held = rest.to_vec();
                        break;
                    }
                    Err(NoFrame) => self.at = At::Bytes,
                },
                At::Payload(payload) if payload.left > 0 && rest.is_empty() => break,
                At::Payload(payload) => self.carry(payload, &mut passing, judged.now, out),
                At::Bytes => {
                    passing.pass(rest.len());
                    break;
                }
                At::Closed => return None,
            }
        }
        passing.flush(&mut self.outgoing.at(judged.now, out));
        None
    }

    /// A frame begins, and a message if it is the first of one.
    fn begin(
        &mut self,
        header: Header,
        passing: &mut Passing<'_>,
        judged: Judged<'_>,
        out: &mut dyn Sink,
    ) -> Result<Option<Close>, NoFrame> {
        let kind = match (header.opcode, &self.message) {
            (Opcode::Control, _) | (Opcode::Continuation, Some(_)) => None,
            (Opcode::Text, None) => Some(WebSocketMessage::Text),
            (Opcode::Binary, None) => Some(WebSocketMessage::Binary),
            _ => return Err(NoFrame),
        };
        if let Some(kind) = kind {
            let Judged {
                deciders,
                whose,
                now,
            } = judged;
            let decision = deciders.decide(whose, self.direction, kind, self.count);
            self.count += 1;
            // What came before does not wait for it.
            passing.flush(&mut self.outgoing.at(now, out));
            if !decision.delay.is_zero() {
                self.outgoing.delay(now + decision.delay);
            }
            if decision.close.is_some() {
                return Ok(decision.close);
            }
            self.message = Some(Message {
                becomes: decision.becomes,
                offset: 0,
            });
        }
        let keep = self.send_header(header, passing, judged.now, out);
        self.at = At::Payload(Payload {
            left: header.length,
            keep,
            is_message: header.opcode != Opcode::Control,
            is_last: header.is_last,
        });
        Ok(None)
    }

    /// Sends the beginning of a frame on, if it goes on; how many bytes of its payload do.
    fn send_header(
        &mut self,
        header: Header,
        passing: &mut Passing<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> u64 {
        let mut later = self.outgoing.at(now, out);
        let message = self.message.as_mut();
        let message = message.filter(|_| header.opcode != Opcode::Control);
        let Some(Message { becomes, offset }) = message else {
            passing.pass(header.size);
            return header.length;
        };
        match *becomes {
            Becomes::Nothing => {
                passing.skip(header.size, &mut later);
                0
            }
            Becomes::Shorter(most) if header.length > most - *offset => {
                let keep = most - *offset;
                passing.skip(header.size, &mut later);
                passing.insert(&header.cut(keep), &mut later);
                // With this frame it has ended for its receiver.
                *becomes = Becomes::Nothing;
                keep
            }
            Becomes::Itself | Becomes::Shorter(_) | Becomes::Corrupted { .. } => {
                passing.pass(header.size);
                header.length
            }
        }
    }

    /// The next bytes of a payload, which may be none of an empty one.
    fn carry(
        &mut self,
        mut payload: Payload,
        passing: &mut Passing<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) {
        let rest = passing.rest();
        let fits = |bytes: u64| rest.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
        let (length, kept) = (fits(payload.left), fits(payload.keep));
        let mut later = self.outgoing.at(now, out);
        let message = self.message.as_mut().filter(|_| payload.is_message);
        match &message {
            Some(Message {
                becomes: Becomes::Corrupted { share, chance },
                offset,
            }) => {
                // A flipped bit of what is masked is the same bit of what it means.
                let mut data = rest[..length].to_vec();
                corrupt(&mut data, *offset, *share, *chance);
                passing.skip(length, &mut later);
                passing.insert(&data, &mut later);
            }
            _ => {
                passing.pass(kept);
                if length > kept {
                    passing.skip(length - kept, &mut later);
                }
            }
        }
        if let Some(message) = message {
            message.offset += length as u64;
        }
        payload.left -= length as u64;
        payload.keep -= kept as u64;
        self.at = match payload.left {
            0 => At::Header,
            _ => At::Payload(payload),
        };
        if payload.left == 0 && payload.is_message && payload.is_last {
            self.message = None;
        }
    }

    /// Whether a frame of ours may come next.
    pub(super) fn is_between_frames(&self) -> bool {
        self.at == At::Header
    }

    /// Sends this behind all that waits, and ends the connection then if it is to end here. Nothing
    /// more is taken.
    pub(super) fn close(
        &mut self,
        frame: Option<&[u8]>,
        ends: bool,
        now: Instant,
        out: &mut dyn Sink,
    ) {
        (self.at, self.held) = (At::Closed, Vec::new());
        if let Some(frame) = frame {
            self.outgoing.send(frame, now, out);
        }
        if ends {
            self.outgoing.end(End::Close, now, out);
        }
    }

    /// The sender has nothing more to say. What is not whole goes on as it is.
    pub(super) fn end(&mut self, now: Instant, out: &mut dyn Sink) {
        if self.at != At::Closed {
            let held = std::mem::take(&mut self.held);
            self.at = At::Closed;
            self.outgoing.send(&held, now, out);
            self.outgoing.end(End::Fin, now, out);
        }
    }

    pub(super) fn wake(&mut self, now: Instant, out: &mut dyn Sink) {
        self.outgoing.wake(now, out);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.outgoing.due()
    }

    pub(super) fn has_room(&self) -> bool {
        self.outgoing.has_room()
    }
}
