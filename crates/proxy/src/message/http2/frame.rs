//! Frames as they are on the wire (RFC 9113, section 4): cut out of what comes, however it came.

use std::borrow::Cow;

use super::error::Code;

/// What a client says first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's head.
pub(super) const HEAD: usize = 9;

/// A frame of a receiver that has allowed no longer ones. Ours are never longer.
pub(super) const PAYLOAD: usize = 16_384;

/// The longest frame that is read as a whole. Those that are not (`DATA`, and types that nobody
/// knows) may have any length.
pub(super) const WHOLE: usize = 64 << 10;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const WITH_PRIORITY: u8 = 0x20;

/// The first nine bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    fn read(raw: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, rest @ ..] = raw;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(rest) & STREAM,
        }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether what it holds is read before anything is done with it.
    fn is_whole(&self) -> bool {
        (HEADERS..=CONTINUATION).contains(&self.kind)
    }
}

/// All bits of a stream's number.
pub(super) const STREAM: u32 = 0x7fff_ffff;

/// What a reader has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// All of a frame, its head included.
    Whole(Head, Cow<'a, [u8]>),
    /// The head of a frame that is taken in parts, and its bytes as they came.
    Begun(Head, Cow<'a, [u8]>),
    /// The next part of it. The last one may be empty.
    Part { bytes: &'a [u8], last: bool },
}

/// Where one side's stream of frames has been read to.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The begin of a frame whose end has not come.
    begun: Vec<u8>,
    /// Bytes that are missing of the frame that is taken in parts.
    parts: Option<usize>,
}

impl Reader {
    /// The next event in `bytes`, which is shortened by what it took. None: more has to come.
    pub(super) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Event<'a>>, Code> {
        if let Some(left) = self.parts {
            return Ok(self.part(left, bytes));
        }
        if !self.fill(HEAD, bytes) {
            return Ok(None);
        }
        let head = Head::read(self.peek(bytes));
        if !head.is_whole() {
            self.parts = Some(head.length);
            return Ok(Some(Event::Begun(head, self.taken(HEAD, bytes))));
        }
        if head.length > WHOLE {
            return Err(Code::FRAME_SIZE_ERROR);
        }
        let length = HEAD + head.length;
        if !self.fill(length, bytes) {
            return Ok(None);
        }
        Ok(Some(Event::Whole(head, self.taken(length, bytes))))
    }

    /// Bytes that are there: all that was begun, or these.
    fn taken<'a>(&mut self, length: usize, bytes: &mut &'a [u8]) -> Cow<'a, [u8]> {
        if !self.begun.is_empty() {
            return Cow::Owned(std::mem::take(&mut self.begun));
        }
        let (raw, rest) = bytes.split_at(length);
        *bytes = rest;
        Cow::Borrowed(raw)
    }

    /// What was taken, and was no event yet.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.begun)
    }

    fn part<'a>(&mut self, left: usize, bytes: &mut &'a [u8]) -> Option<Event<'a>> {
        if bytes.is_empty() && left > 0 {
            return None;
        }
        let (part, rest) = bytes.split_at(left.min(bytes.len()));
        *bytes = rest;
        let left = left - part.len();
        self.parts = (left > 0).then_some(left);
        Some(Event::Part {
            bytes: part,
            last: left == 0,
        })
    }

    /// Whether a frame's first bytes are there: all of them in `begun`, or, if that is empty, in
    /// `bytes`, from which nothing is copied then.
    fn fill(&mut self, length: usize, bytes: &mut &[u8]) -> bool {
        if self.begun.is_empty() && bytes.len() >= length {
            return true;
        }
        let missing = length.saturating_sub(self.begun.len());
        let (part, rest) = bytes.split_at(missing.min(bytes.len()));
        self.begun.extend_from_slice(part);
        *bytes = rest;
        self.begun.len() >= length
    }

    fn peek(&self, bytes: &[u8]) -> [u8; HEAD] {
        let from = if self.begun.is_empty() {
            bytes
        } else {
            &self.begun
        };
        let mut raw = [0; HEAD];
        raw.copy_from_slice(&from[..HEAD]);
        raw
    }
}

/// Writes a frame's head.
pub(super) fn head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEAD] {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    let [s, t, u, v] = stream.to_be_bytes();
    [a, b, c, kind, flags, s, t, u, v]
}

/// A frame with a payload of four bytes: `RST_STREAM`, `WINDOW_UPDATE`.
pub(super) fn short(kind: u8, stream: u32, value: u32) -> [u8; HEAD + 4] {
    let mut frame = [0; HEAD + 4];
    frame[..HEAD].copy_from_slice(&head(4, kind, 0, stream));
    frame[HEAD..].copy_from_slice(&value.to_be_bytes());
    frame
}

pub(super) fn goaway(last: u32, code: Code) -> [u8; HEAD + 8] {
    let mut frame = [0; HEAD + 8];
    frame[..HEAD].copy_from_slice(&head(8, GOAWAY, 0, 0));
    frame[HEAD..HEAD + 4].copy_from_slice(&last.to_be_bytes());
    frame[HEAD + 4..].copy_from_slice(&code.0.to_be_bytes());
    frame
}

/// A header block in as many frames as it takes.
pub(super) fn block(first: u8, flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    let mut frames = Vec::with_capacity(block.len() + HEAD);
    let (mut kind, mut flags, mut rest) = (first, flags, block);
    loop {
        let (part, behind) = rest.split_at(rest.len().min(PAYLOAD));
        if behind.is_empty() {
            flags |= END_HEADERS;
        }
        frames.extend_from_slice(&head(part.len(), kind, flags, stream));
        frames.extend_from_slice(part);
        if behind.is_empty() {
            return frames;
        }
        (kind, flags, rest) = (CONTINUATION, 0, behind);
    }
}

/// The number in the four bytes that begin there.
pub(super) fn number(payload: &[u8], at: usize) -> Option<u32> {
    let bytes = payload.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// What is left of a payload when its padding is off.
pub(super) fn unpadded<'a>(head: &Head, payload: &'a [u8]) -> Result<&'a [u8], Code> {
    if !head.has(PADDED) {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or(Code::FRAME_SIZE_ERROR)?;
    let length = rest.len().checked_sub(usize::from(*padding));
    Ok(&rest[..length.ok_or(Code::PROTOCOL_ERROR)?])
}
