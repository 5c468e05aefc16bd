//! What comes from one side and what goes to the other: one direction of the connection.

use std::collections::{BTreeSet, VecDeque};

use super::error::Code;
use super::frame::{self, Head, Reader};
use super::hpack::{Decoder, Encoder};
use super::turn::Turn;
use super::window::{self, Window};
use crate::stream::{Direction, End};

/// Settings that were sent and not acknowledged, at most.
const UNACKNOWLEDGED: usize = 64;

/// Frames of one header block, at most.
const FRAMES: usize = 64;

#[derive(Debug)]
pub(super) struct Way {
    pub(super) direction: Direction,
    pub(super) reader: Reader,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    /// A header block whose end has not come.
    pub(super) block: Option<Block>,
    /// The `DATA` frame, or one of an unknown type, that is being taken.
    pub(super) taking: Option<Taking>,
    pub(super) connection: Window,
    /// The longest frame that its receiver has ever allowed.
    pub(super) longest: usize,
    /// The window of a new stream.
    pub(super) initial: i64,
    /// Windows of new streams as the receiver will have them, once its sender has said so.
    unacknowledged: VecDeque<Option<u32>>,
    /// Streams that wait for the connection's window.
    pub(super) blocked: BTreeSet<u32>,
    /// Parts of streams that wait, and their bytes.
    pub(super) parts: usize,
    pub(super) held: usize,
    /// A frame is half sent, or the first one has not come: what we have to say waits.
    open: bool,
    waiting: Vec<u8>,
    /// The sender has nothing more to say, and the receiver was not told.
    pub(super) ended: bool,
}

/// A header block, as far as it has come.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    /// The stream that it promises.
    pub(super) promised: Option<u32>,
    pub(super) end_stream: bool,
    pub(super) fragment: Vec<u8>,
    /// Its frames as they came.
    pub(super) raw: Vec<u8>,
    frames: usize,
}

/// What is done with a frame that comes in parts.
#[derive(Debug)]
pub(super) enum Taking {
    /// It goes on as it comes.
    Passing,
    /// It goes nowhere.
    Dropping,
    /// Its body is collected, for the stream of this key.
    Body(Collected),
}

#[derive(Debug)]
pub(super) struct Collected {
    pub(super) key: u32,
    pub(super) end_stream: bool,
    /// Whether its first byte, which tells the padding, is still to come.
    padded: bool,
    /// Bytes of body that are to come.
    body: usize,
    /// Bytes of padding, with the one that tells it.
    padding: usize,
    collected: Vec<u8>,
}

/// A part of a body that is complete, and bytes of padding that came with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) body: Vec<u8>,
    pub(super) padding: usize,
    /// It is the frame's last.
    pub(super) last: bool,
}

impl Way {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            reader: Reader::default(),
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            block: None,
            taking: None,
            connection: Window::new(window::INITIAL),
            longest: frame::PAYLOAD,
            initial: window::INITIAL,
            unacknowledged: VecDeque::new(),
            blocked: BTreeSet::new(),
            parts: 0,
            held: 0,
            open: true,
            waiting: Vec::new(),
            ended: false,
        }
    }

    /// Says something of ours, or in another order than it came.
    pub(super) fn say(&mut self, bytes: &[u8], turn: &mut Turn<'_>) {
        if self.open {
            self.waiting.extend_from_slice(bytes);
        } else {
            turn.send(self.direction, bytes);
        }
    }

    /// Passes on what came, where it came.
    pub(super) fn pass(&mut self, bytes: &[u8], turn: &mut Turn<'_>) {
        turn.send(self.direction, bytes);
    }

    /// A frame is begun: nothing comes between its parts.
    pub(super) fn begin(&mut self) {
        self.open = true;
    }

    /// A frame is at its end: what waited for that goes.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        self.open = false;
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            turn.send(self.direction, &waiting);
        }
    }

    /// Says that nothing more comes, once everything is said.
    pub(super) fn finish(&mut self, turn: &mut Turn<'_>) {
        if self.ended && self.parts == 0 {
            self.ended = false;
            turn.end(self.direction, End::Fin);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Bytes that wait for a frame's end.
    pub(super) fn unsaid(&self) -> usize {
        self.waiting.len()
    }

    /// The receiver of this direction has told its settings.
    pub(super) fn settings(&mut self, initial: Option<u32>) -> Result<(), Code> {
        if self.unacknowledged.len() == UNACKNOWLEDGED {
            return Err(Code::ENHANCE_YOUR_CALM);
        }
        self.unacknowledged.push_back(initial);
        Ok(())
    }

    /// The sender has acknowledged them: from here on they are in force. How much larger the windows
    /// of streams are.
    pub(super) fn acknowledged(&mut self) -> i64 {
        let Some(Some(initial)) = self.unacknowledged.pop_front() else {
            return 0;
        };
        let before = std::mem::replace(&mut self.initial, i64::from(initial));
        self.initial - before
    }
}

impl Block {
    /// A `HEADERS` or `PUSH_PROMISE` frame.
    pub(super) fn begin(head: &Head, raw: &[u8]) -> Result<Self, Code> {
        let mut payload = frame::unpadded(head, &raw[frame::HEAD..])?;
        let mut promised = None;
        let ahead = match head.kind {
            frame::PUSH_PROMISE => {
                let number = frame::number(payload, 0).ok_or(Code::FRAME_SIZE_ERROR)?;
                promised = Some(number & frame::STREAM);
                4
            }
            _ if head.has(frame::WITH_PRIORITY) => 5,
            _ => 0,
        };
        payload = payload.get(ahead..).ok_or(Code::FRAME_SIZE_ERROR)?;
        if head.stream == 0 {
            return Err(Code::PROTOCOL_ERROR);
        }
        Ok(Self {
            stream: head.stream,
            promised,
            end_stream: promised.is_none() && head.has(frame::END_STREAM),
            fragment: payload.to_vec(),
            raw: raw.to_vec(),
            frames: 1,
        })
    }

    /// A `CONTINUATION` frame. A block is at most as long as a frame that is read as a whole.
    pub(super) fn go_on(&mut self, head: &Head, raw: &[u8]) -> Result<(), Code> {
        if head.kind != frame::CONTINUATION || head.stream != self.stream {
            return Err(Code::PROTOCOL_ERROR);
        }
        if self.frames == FRAMES || self.fragment.len() + head.length > frame::WHOLE {
            return Err(Code::ENHANCE_YOUR_CALM);
        }
        self.frames += 1;
        self.fragment.extend_from_slice(&raw[frame::HEAD..]);
        self.raw.extend_from_slice(raw);
        Ok(())
    }
}

impl Collected {
    pub(super) fn new(key: u32, head: &Head) -> Self {
        Self {
            key,
            end_stream: head.has(frame::END_STREAM),
            padded: head.has(frame::PADDED),
            body: head.length,
            padding: 0,
            collected: Vec::new(),
        }
    }

    /// Takes from `bytes` up to the end of the next part. None: more has to come.
    pub(super) fn take(&mut self, bytes: &mut &[u8], last: bool) -> Result<Option<Part>, Code> {
        if self.padded {
            let Some((padding, rest)) = bytes.split_first() else {
                let nothing = (!last).then_some(None);
                return nothing.ok_or(Code::FRAME_SIZE_ERROR);
            };
            self.padded = false;
            self.padding = 1 + usize::from(*padding);
            let body = self.body.checked_sub(self.padding);
            self.body = body.ok_or(Code::PROTOCOL_ERROR)?;
            *bytes = rest;
        }
        let room = self.body.min(frame::PAYLOAD - self.collected.len());
        let (part, rest) = bytes.split_at(room.min(bytes.len()));
        self.collected.extend_from_slice(part);
        self.body -= part.len();
        *bytes = rest;
        if self.body == 0 {
            // What is left is padding.
            *bytes = &[];
            return Ok(last.then(|| self.part(true)));
        }
        let full = self.collected.len() == frame::PAYLOAD;
        Ok(full.then(|| self.part(false)))
    }

    fn part(&mut self, last: bool) -> Part {
        Part {
            body: std::mem::take(&mut self.collected),
            padding: if last { self.padding } else { 0 },
            last,
        }
    }
}
