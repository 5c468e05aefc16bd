//! HTTP/2 (RFC 9113), in clear text with prior knowledge or as TLS hands it over, and gRPC in it.
//!
//! A client's connection is one connection to the upstream. Until a fault falls on one of its
//! requests, frames are looked at and passed on as they are. From then on ("managed"):
//!
//! - header blocks are written anew, without a table (the sender's tables are followed from the
//!   first byte on, so nothing that is dropped or held matters);
//! - each new request has a [`Stream`](stream::Stream), with a number of its own at the upstream if
//!   it was held;
//! - bodies that are added or taken out are settled in the windows of both sides
//!   ([`window`]).
//!
//! What breaks the protocol is passed on, for the upstream to answer, as long as nothing was done
//! with the connection; then nothing is looked at any more. A managed connection ends with a
//! `GOAWAY` instead.
//!
//! Limits: a header block has 64 KiB on the wire and in 64 frames, and 256 KiB unpacked; a dynamic
//! table 64 KiB; 4096 streams have a state; and about 1 MiB waits in each direction before its
//! sender is not read any more. A reset frees what its stream held at once, and costs no more than
//! reading it.

mod body;
mod error;
mod frame;
mod given_up;
mod headers;
mod hpack;
mod misuse;
mod plan;
mod stream;
mod streams;
mod tally;
mod transfer;
mod turn;
mod way;
mod window;

use std::borrow::Cow;
use std::time::Instant;

use self::error::Code;
use self::frame::{Event, Head};
use self::plan::Faults;
use self::stream::{Item, Stream};
use self::streams::{Found, Streams};
use self::tally::Tally;
use self::turn::Turn;
use self::way::{Block, Way};
use super::{MessageFault, Session, Sink};
use crate::arms::Arms;
use crate::chance::Chance;
use crate::stream::{Direction, End};

/// Bytes that wait, above which a direction is not read.
const ROOM: usize = 1 << 20;

/// One HTTP/2 connection.
#[derive(Debug)]
pub struct Http2 {
    faults: Faults,
    /// Requests so far: their numbers are what faults are drawn for.
    requests: u64,
    mode: Mode,
    /// Bytes of the client's preface that have come.
    preface: usize,
    /// By direction.
    ways: [Way; 2],
    streams: Streams,
    tally: Tally,
    /// The upstream takes no stream of a higher number any more.
    leaving: bool,
}

/// How much is done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Everything passes as it comes, and is followed.
    Clear,
    Managed,
    /// Everything passes as it comes, because it is not understood.
    Opaque,
    Over,
}

impl Http2 {
    /// `chance` is the connection's.
    #[must_use]
    pub fn new(chance: Chance, faults: &[MessageFault]) -> Self {
        Self {
            faults: Faults::new(chance, faults),
            requests: 0,
            mode: Mode::Clear,
            preface: 0,
            ways: [
                Way::new(Direction::Upstream),
                Way::new(Direction::Downstream),
            ],
            streams: Streams::default(),
            tally: Tally::default(),
            leaving: false,
        }
    }

    fn way(&mut self, direction: Direction) -> &mut Way {
        &mut self.ways[direction as usize]
    }

    /// The client's first bytes; whether they are what they should be.
    fn take_preface(&mut self, bytes: &mut &[u8], turn: &mut Turn<'_>) -> bool {
        let expected = &frame::PREFACE[self.preface..];
        let length = expected.len().min(bytes.len());
        let (part, rest) = bytes.split_at(length);
        if part != &expected[..length] {
            return false;
        }
        self.preface += length;
        turn.send(Direction::Upstream, part);
        *bytes = rest;
        true
    }

    fn read(&mut self, direction: Direction, bytes: &mut &[u8], turn: &mut Turn<'_>) {
        while matches!(self.mode, Mode::Clear | Mode::Managed) {
            let event = match self.way(direction).reader.next(bytes) {
                Ok(Some(event)) => event,
                Ok(None) => return,
                Err(code) => return self.fall_out(code, direction, &[], turn),
            };
            let (raw, done) = match event {
                Event::Whole(head, raw) => {
                    let done = self.frame(direction, &head, &raw, turn);
                    (raw, done)
                }
                Event::Begun(head, raw) => {
                    let done = self.begin(direction, &head, &raw, turn);
                    (raw, done)
                }
                Event::Part { bytes, last } => {
                    let done = self.part(direction, bytes, last, turn);
                    (Cow::Borrowed(bytes), done)
                }
            };
            if let Err(code) = done {
                self.fall_out(code, direction, &raw, turn);
            }
        }
    }

    /// Something is against the protocol, or above our limits. `raw` is what is in hand of it.
    fn fall_out(&mut self, code: Code, direction: Direction, raw: &[u8], turn: &mut Turn<'_>) {
        if self.mode == Mode::Clear {
            self.mode = Mode::Opaque;
            let order = [Direction::Upstream, Direction::Downstream];
            for way in order {
                self.let_go(way, turn);
            }
            turn.send(direction, raw);
            return;
        }
        let last = self.streams.last[0];
        for (way, last) in self.ways.iter_mut().zip([0, last]) {
            if !way.is_open() {
                way.say(&frame::goaway(last, code), turn);
            }
        }
        self.mode = Mode::Over;
        turn.end(Direction::Downstream, End::Close);
    }

    /// Passes on what was kept back of a frame or of a header block.
    fn let_go(&mut self, direction: Direction, turn: &mut Turn<'_>) {
        let way = self.way(direction);
        let block = way.block.take().map(|block| block.raw);
        let rest = way.reader.rest();
        for raw in block.into_iter().chain([rest]) {
            if !raw.is_empty() {
                turn.send(direction, &raw);
            }
        }
    }

    /// A frame that is there as a whole.
    fn frame(
        &mut self,
        direction: Direction,
        head: &Head,
        raw: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), Code> {
        self.check(direction, head)?;
        let payload = &raw[frame::HEAD..];
        if head.kind == frame::CONTINUATION || self.way(direction).block.is_some() {
            let block = self.way(direction).block.as_mut();
            block.ok_or(Code::PROTOCOL_ERROR)?.go_on(head, raw)?;
            return self.headers(direction, head, turn);
        }
        match head.kind {
            frame::HEADERS | frame::PUSH_PROMISE => {
                self.way(direction).block = Some(Block::begin(head, raw)?);
                self.headers(direction, head, turn)?;
            }
            frame::SETTINGS => self.settings(direction, head, payload, raw, turn)?,
            frame::WINDOW_UPDATE => self.window_update(direction, head, raw, turn)?,
            frame::RST_STREAM => self.reset(direction, head, raw, turn)?,
            frame::GOAWAY if self.mode == Mode::Managed => {
                self.goaway(direction, payload, raw, turn)?;
            }
            _ => self.relay(direction, head, raw, turn),
        }
        if self.way(direction).block.is_none() {
            self.way(direction).settle(turn);
        }
        Ok(())
    }

    /// A frame's end was a header block's: if it was, works on that.
    fn headers(
        &mut self,
        direction: Direction,
        head: &Head,
        turn: &mut Turn<'_>,
    ) -> Result<(), Code> {
        if !head.has(frame::END_HEADERS) {
            return Ok(());
        }
        if let Some(block) = self.way(direction).block.take() {
            let done = self.block(direction, &block, turn);
            // Nothing was done with it: it is passed on with what is behind it.
            if done.is_err() && self.mode == Mode::Clear {
                turn.send(
                    direction,
                    &block.raw[..block.raw.len() - frame::HEAD - head.length],
                );
            }
            done?;
        }
        self.way(direction).settle(turn);
        Ok(())
    }

    /// Passes on a frame that matters to nobody but its receiver, if there is one.
    fn relay(&mut self, direction: Direction, head: &Head, raw: &[u8], turn: &mut Turn<'_>) {
        if self.mode == Mode::Clear {
            return self.way(direction).pass(raw, turn);
        }
        if let Some(number) = self.number(direction, head.stream)
            && head.kind != frame::PRIORITY
        {
            let mut raw = raw.to_vec();
            raw[5..frame::HEAD].copy_from_slice(&number.to_be_bytes());
            self.way(direction).say(&raw, turn);
        }
    }

    /// A stream's number on the other side; 0 is the connection.
    fn number(&mut self, direction: Direction, number: u32) -> Option<u32> {
        if number == 0 {
            return Some(0);
        }
        match self.streams.find(number, direction) {
            Found::Free => Some(number),
            Found::Known(key) => self.streams.get(key)?.number(key, direction),
            Found::Nobody => None,
        }
    }

    fn settings(
        &mut self,
        direction: Direction,
        head: &Head,
        payload: &[u8],
        raw: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), Code> {
        const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
        const MAX_FRAME_SIZE: [u8; 2] = [0, 5];
        if !payload.len().is_multiple_of(6) {
            return Err(Code::FRAME_SIZE_ERROR);
        }
        let mut waiting = Vec::new();
        if head.has(frame::ACK) {
            let shift = self.way(direction).acknowledged();
            if shift != 0 {
                waiting = self.shift_windows(direction, shift);
            }
        } else {
            let rows = payload.chunks_exact(6);
            let mut windows = rows.filter(|row| row[..2] == INITIAL_WINDOW_SIZE);
            let initial = windows.next_back().and_then(|row| frame::number(row, 2));
            if initial.is_some_and(|size| size > frame::STREAM) {
                return Err(Code::FLOW_CONTROL_ERROR);
            }
            let way = self.way(direction.opposite());
            way.settings(initial)?;
            let longest = payload
                .chunks_exact(6)
                .filter(|row| row[..2] == MAX_FRAME_SIZE);
            let longest = longest.filter_map(|row| frame::number(row, 2)).max();
            way.longest = way.longest.max(longest.unwrap_or(0) as usize);
        }
        // The first of all frames: nothing of ours comes before it.
        self.way(direction).pass(raw, turn);
        self.way(direction).settle(turn);
        for key in waiting {
            self.pump(key, direction, turn);
        }
        Ok(())
    }

    fn reset(
        &mut self,
        direction: Direction,
        head: &Head,
        raw: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), Code> {
        let code = frame::number(raw, frame::HEAD).ok_or(Code::FRAME_SIZE_ERROR)?;
        if head.length != 4 {
            return Err(Code::FRAME_SIZE_ERROR);
        }
        let found = match self.mode {
            Mode::Clear => Found::Free,
            _ => self.streams.find(head.stream, direction),
        };
        if direction == Direction::Upstream {
            self.is_given_up(head.stream, turn);
        }
        let Found::Known(key) = found else {
            if found == Found::Free && direction == Direction::Downstream {
                turn.answered(self.tally.reset(head.stream, false, turn.now));
            }
            self.relay(direction, head, raw, turn);
            return Ok(());
        };
        match direction {
            // The client wants nothing of it any more.
            Direction::Upstream => {
                if let Some(number) = self.number(direction, head.stream) {
                    let frame = frame::short(frame::RST_STREAM, number, code);
                    self.way(direction).say(&frame, turn);
                }
                if let Some(stream) = self.streams.get(key) {
                    stream.half(direction).ended = true;
                }
                self.close(key, turn);
            }
            // What the upstream has said before arrives before.
            Direction::Downstream => {
                self.abandon(key, Direction::Upstream, turn);
                self.queue(key, direction, Item::Reset(Code(code)));
                self.pump(key, direction, turn);
            }
        }
        Ok(())
    }

    /// The upstream, or the client, takes no new streams.
    fn goaway(
        &mut self,
        direction: Direction,
        payload: &[u8],
        raw: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), Code> {
        let last = frame::number(payload, 0).ok_or(Code::FRAME_SIZE_ERROR)? & frame::STREAM;
        if direction == Direction::Upstream || last == frame::STREAM {
            self.way(direction).say(raw, turn);
            return Ok(());
        }
        self.leaving = true;
        let mut told = last;
        let mut refused = Vec::new();
        for (key, stream) in self.streams.all() {
            // What is answered by us needs no upstream.
            let ours = stream.upstream.is_none() && stream.half(Direction::Upstream).swallow;
            match stream.upstream {
                Some(number) if number <= last => told = told.max(key),
                _ if ours => {}
                _ => refused.push(key),
            }
        }
        let mut raw = raw.to_vec();
        raw[frame::HEAD..frame::HEAD + 4].copy_from_slice(&told.to_be_bytes());
        self.way(direction).say(&raw, turn);
        for key in refused {
            self.refuse(key, Code::REFUSED_STREAM, turn);
        }
        Ok(())
    }
}

impl Session for Http2 {
    fn receive(&mut self, direction: Direction, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut turn = Turn::with(now, out, direction, bytes);
        let mut rest = bytes;
        if direction == Direction::Upstream
            && self.mode == Mode::Clear
            && self.preface < frame::PREFACE.len()
            && !self.take_preface(&mut rest, &mut turn)
        {
            self.mode = Mode::Opaque;
            self.let_go(Direction::Downstream, &mut turn);
        }
        self.read(direction, &mut rest, &mut turn);
        if self.mode == Mode::Opaque {
            turn.send(direction, rest);
        }
        turn.flush();
    }

    fn end(&mut self, direction: Direction, now: Instant, out: &mut dyn Sink) {
        let mut turn = Turn::new(now, out);
        if self.mode == Mode::Over {
            return;
        }
        if self.mode == Mode::Clear {
            self.let_go(direction, &mut turn);
        }
        if direction == Direction::Downstream {
            self.leave_unanswered(Stream::has_no_answer_left, &mut turn);
        }
        let way = self.way(direction);
        way.ended = true;
        way.finish(&mut turn);
        turn.flush();
    }

    fn give_up(&mut self, now: Instant, out: &mut dyn Sink) {
        self.leave_unanswered(|_| true, &mut Turn::new(now, out));
    }

    fn wake(&mut self, now: Instant, out: &mut dyn Sink) {
        let mut turn = Turn::new(now, out);
        while self.mode == Mode::Managed
            && let Some((due, key)) = self.streams.timers.first().copied()
            && due <= now
        {
            self.streams.timers.remove(&(due, key));
            self.pump(key, Direction::Upstream, &mut turn);
            self.pump(key, Direction::Downstream, &mut turn);
        }
        turn.flush();
    }

    fn due(&self) -> Option<Instant> {
        let managed = self.mode == Mode::Managed;
        let first = self.streams.timers.first();
        first.filter(|_| managed).map(|(due, _)| *due)
    }

    fn has_room(&self, direction: Direction) -> bool {
        let [this, other] = [direction, direction.opposite()].map(|d| &self.ways[d as usize]);
        this.held < ROOM && other.unsaid() < ROOM
    }

    fn change(&mut self, faults: &[MessageFault]) {
        self.faults.change(faults);
    }

    fn divide(&mut self, arms: Option<Arms>) {
        self.faults.divide(arms);
    }
}

#[cfg(test)]
mod tests;
