//! How bodies and everything else of a stream go from one side to the other, as far as windows let
//! them.

use super::body::Break;
use super::error::Code;
use super::frame::{self, Head};
use super::stream::{Item, Stream};
use super::streams::Found;
use super::tally::Look;
use super::turn::Turn;
use super::way::{Collected, Part, Taking};
use super::window::Window;
use super::{Http2, Mode};
use crate::stream::Direction;

impl Http2 {
    /// A frame that comes in parts.
    pub(super) fn begin(
        &mut self,
        direction: Direction,
        head: &Head,
        raw: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), Code> {
        if self.way(direction).block.is_some() {
            return Err(Code::PROTOCOL_ERROR);
        }
        self.check(direction, head)?;
        let taking = if self.mode == Mode::Clear {
            if head.kind == frame::DATA {
                self.way(direction).connection.pass(head.length);
                self.judge_end(
                    direction,
                    head.stream,
                    head.has(frame::END_STREAM),
                    false,
                    turn,
                );
            }
            self.pass_begin(direction, raw, turn)
        } else if head.kind == frame::DATA {
            self.begin_data(direction, head, raw, turn)?
        } else {
            self.begin_unknown(direction, head, turn)
        };
        self.way(direction).taking = Some(taking);
        Ok(())
    }

    fn pass_begin(&mut self, direction: Direction, raw: &[u8], turn: &mut Turn<'_>) -> Taking {
        let way = self.way(direction);
        way.pass(raw, turn);
        way.begin();
        Taking::Passing
    }

    fn begin_data(
        &mut self,
        direction: Direction,
        head: &Head,
        raw: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Taking, Code> {
        if head.stream == 0 {
            return Err(Code::PROTOCOL_ERROR);
        }
        let way = self.way(direction);
        let free = way.blocked.is_empty() && way.connection.room() >= head.length as i64;
        let found = self.streams.find(head.stream, direction);
        if found != Found::Free && direction == Direction::Upstream && self.is_said(head.stream) {
            self.way(direction).connection.swallow(head.length);
            self.settle_up(direction, None, turn);
            self.close_again(head.stream, turn);
            return Ok(Taking::Dropping);
        }
        match found {
            Found::Nobody => {
                self.way(direction).connection.swallow(head.length);
                self.settle_up(direction, None, turn);
                Ok(Taking::Dropping)
            }
            Found::Free if free => {
                self.way(direction).connection.pass(head.length);
                self.judge_end(
                    direction,
                    head.stream,
                    head.has(frame::END_STREAM),
                    false,
                    turn,
                );
                Ok(self.pass_begin(direction, raw, turn))
            }
            Found::Free => {
                self.streams.insert(head.stream, Stream::old(head.stream));
                Ok(Taking::Body(Collected::new(head.stream, head)))
            }
            Found::Known(key) => Ok(self.begin_known(direction, key, head, free, turn)),
        }
    }

    fn begin_known(
        &mut self,
        direction: Direction,
        key: u32,
        head: &Head,
        free: bool,
        turn: &mut Turn<'_>,
    ) -> Taking {
        let end = head.has(frame::END_STREAM);
        let body = Taking::Body(Collected::new(key, head));
        let Some(stream) = self.streams.get(key) else {
            return body;
        };
        let number = stream.number(key, direction);
        let half = stream.half(direction);
        if half.swallow {
            half.ended |= end;
            if let Some(window) = &mut half.window {
                window.swallow(head.length);
            }
            self.way(direction).connection.swallow(head.length);
            self.settle_up(direction, Some(key), turn);
            self.finish(key, turn);
            return Taking::Dropping;
        }
        let room = half.window.is_none_or(|w| w.room() >= head.length as i64);
        let idle = half.queue.is_empty() && half.hold.is_none() && half.changes.leaves_body();
        let (true, true, true, Some(number)) = (free, room, idle, number) else {
            return body;
        };
        if let Some(window) = &mut half.window {
            window.pass(head.length);
        }
        half.ended |= end;
        half.told |= end;
        self.way(direction).connection.pass(head.length);
        self.judge_end(direction, key, end, false, turn);
        let raw = frame::head(head.length, head.kind, head.flags, number);
        let taking = self.pass_begin(direction, &raw, turn);
        self.finish(key, turn);
        taking
    }

    /// A frame of a type that nobody here knows.
    fn begin_unknown(&mut self, direction: Direction, head: &Head, turn: &mut Turn<'_>) -> Taking {
        /// It names a stream in its payload (RFC 9218), which may have another number by now.
        const PRIORITY_UPDATE: u8 = 0x10;
        match self.number(direction, head.stream) {
            Some(number) if head.kind != PRIORITY_UPDATE => {
                let raw = frame::head(head.length, head.kind, head.flags, number);
                self.pass_begin(direction, &raw, turn)
            }
            _ => Taking::Dropping,
        }
    }

    /// The next part of such a frame.
    pub(super) fn part(
        &mut self,
        direction: Direction,
        mut bytes: &[u8],
        last: bool,
        turn: &mut Turn<'_>,
    ) -> Result<(), Code> {
        let mut taking = self.way(direction).taking.take();
        match &mut taking {
            Some(Taking::Passing) if !bytes.is_empty() => self.way(direction).pass(bytes, turn),
            Some(Taking::Body(body)) => {
                while let Some(part) = body.take(&mut bytes, last)? {
                    let (key, end) = (body.key, part.last && body.end_stream);
                    let over = part.last;
                    self.body(direction, key, part, end, turn);
                    if over {
                        break;
                    }
                }
            }
            _ => {}
        }
        let way = self.way(direction);
        if last {
            way.settle(turn);
        } else {
            way.taking = taking;
        }
        Ok(())
    }

    /// A part of a body that something is done with, or that has to wait.
    fn body(&mut self, direction: Direction, key: u32, part: Part, end: bool, turn: &mut Turn<'_>) {
        let Part { body, padding, .. } = part;
        let mut nowhere = padding + body.len();
        let mut stop = None;
        if let Some(stream) = self.streams.get(key) {
            let half = stream.half(direction);
            half.ended |= end;
            let mut next = None;
            if half.swallow {
            } else if half.changes.replaced().is_some() {
                next = end.then_some((bytes::Bytes::new(), true));
            } else {
                let (kept, broken) = half.changes.apply(body.into());
                nowhere -= kept.len();
                next = Some((kept, false));
                stop = broken;
            }
            if let Some(window) = &mut half.window {
                window.swallow(nowhere);
            }
            let end = end && stop.is_none();
            if let Some((bytes, ours)) = next
                && (end || !bytes.is_empty())
            {
                self.queue(key, direction, Item::Data { bytes, end, ours });
            }
        }
        self.way(direction).connection.swallow(nowhere);
        if let Some(how) = stop {
            self.break_off(key, direction, how, turn);
        }
        self.settle_up(direction, Some(key), turn);
        self.pump(key, direction, turn);
    }

    pub(super) fn queue(&mut self, key: u32, direction: Direction, item: Item) {
        if let Some(stream) = self.streams.get(key) {
            let way = &mut self.ways[direction as usize];
            way.parts += 1;
            way.held += item.weight();
            stream.half(direction).queue.push_back(item);
        }
    }

    /// Sends of a stream what may go.
    pub(super) fn pump(&mut self, key: u32, direction: Direction, turn: &mut Turn<'_>) {
        while let Some(item) = self.next(key, direction, turn) {
            self.put(key, direction, item, turn);
        }
        self.finish(key, turn);
        self.way(direction).finish(turn);
    }

    /// The next item, if its time has come and the windows have room; of a body, as much as they
    /// have.
    fn next(&mut self, key: u32, direction: Direction, turn: &Turn<'_>) -> Option<Item> {
        let way = &mut self.ways[direction as usize];
        let half = self.streams.get(key)?.half(direction);
        if half.hold.is_some_and(|hold| hold > turn.now) {
            return None;
        }
        half.hold = None;
        if let Item::Data { bytes, ours, .. } = half.queue.front_mut()?
            && !bytes.is_empty()
        {
            if way.connection.room() <= 0 {
                way.blocked.insert(key);
            }
            let own = half.window.as_ref().map_or(i64::MAX, Window::room);
            let room = own.min(way.connection.room());
            if room <= 0 {
                return None;
            }
            let most = frame::PAYLOAD.min(room as usize);
            if bytes.len() > most {
                let (bytes, ours) = (bytes.split_to(most), *ours);
                way.held -= if ours { 0 } else { most };
                let end = false;
                return Some(Item::Data { bytes, end, ours });
            }
        }
        let item = half.queue.pop_front()?;
        way.parts -= 1;
        way.held -= item.weight();
        Some(item)
    }

    /// Sends this.
    fn put(&mut self, key: u32, direction: Direction, item: Item, turn: &mut Turn<'_>) {
        let Some(number) = self.open(key, direction, turn) else {
            return;
        };
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        let is_known = stream.upstream.is_some();
        let half = stream.half(direction);
        let of_fault = half.swallow || !is_known;
        let way = &mut self.ways[direction as usize];
        let flags = |end: bool| if end { frame::END_STREAM } else { 0 };
        match item {
            Item::Headers { fields, end } => {
                half.told |= end;
                let block = way.encoder.encode(&fields);
                let frames = frame::block(frame::HEADERS, flags(end), number, &block);
                way.say(&frames, turn);
                match direction {
                    // Of a request that was held: what the client has granted meanwhile.
                    Direction::Upstream => self.settle_up(direction.opposite(), Some(key), turn),
                    Direction::Downstream => {
                        self.judge(key, &Look::of(&fields), end, of_fault, turn);
                    }
                }
            }
            Item::Data { bytes, end, ours } => {
                half.told |= end;
                for window in std::iter::once(&mut way.connection).chain(&mut half.window) {
                    if ours {
                        window.add(bytes.len());
                    } else {
                        window.pass(bytes.len());
                    }
                }
                let mut data = frame::head(bytes.len(), frame::DATA, flags(end), number).to_vec();
                data.extend_from_slice(&bytes);
                way.say(&data, turn);
                self.judge_end(direction, key, end, of_fault, turn);
            }
            Item::Reset(code) => {
                way.say(&frame::short(frame::RST_STREAM, number, code.0), turn);
                // A request that breaks off takes its answer with it.
                let answered = stream.half(Direction::Downstream).told;
                if direction == Direction::Upstream && !answered {
                    let reset = frame::short(frame::RST_STREAM, key, Code::INTERNAL_ERROR.0);
                    self.way(Direction::Downstream).say(&reset, turn);
                }
                turn.answered(self.tally.reset(key, of_fault, turn.now));
                self.close(key, turn);
            }
        }
    }

    /// An answer's body ends, perhaps.
    fn judge_end(
        &mut self,
        direction: Direction,
        key: u32,
        end: bool,
        ours: bool,
        turn: &mut Turn<'_>,
    ) {
        if end && direction == Direction::Downstream {
            turn.answered(self.tally.ended(key, ours, turn.now));
        }
    }

    /// The number of a stream where this goes; of one that is new to the upstream, the next.
    fn open(&mut self, key: u32, direction: Direction, turn: &mut Turn<'_>) -> Option<u32> {
        let known = self.streams.get(key)?.number(key, direction);
        if known.is_some() {
            return known;
        }
        let number = self.streams.open(key).filter(|_| !self.leaving);
        if number.is_none() {
            self.refuse(key, Code::REFUSED_STREAM, turn);
        }
        number
    }

    /// Tells the sender of a direction that it may send what went nowhere, or was granted.
    pub(super) fn settle_up(
        &mut self,
        direction: Direction,
        key: Option<u32>,
        turn: &mut Turn<'_>,
    ) {
        let back = direction.opposite();
        if let Some(owed) = self.way(direction).connection.owed() {
            let update = frame::short(frame::WINDOW_UPDATE, 0, owed);
            self.way(back).say(&update, turn);
        }
        let Some((key, stream)) = key.and_then(|key| Some((key, self.streams.get(key)?))) else {
            return;
        };
        let number = stream.number(key, back);
        let half = stream.half(direction);
        let was_reset = half.swallow && direction == Direction::Downstream;
        if let Some(number) = number
            && !half.ended
            && !was_reset
            && let Some(owed) = half.window.as_mut().and_then(|window| window.owed())
        {
            let update = frame::short(frame::WINDOW_UPDATE, number, owed);
            self.way(back).say(&update, turn);
        }
    }

    pub(super) fn window_update(
        &mut self,
        direction: Direction,
        head: &Head,
        raw: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), Code> {
        if head.length != 4 {
            return Err(Code::FRAME_SIZE_ERROR);
        }
        let more = frame::number(raw, frame::HEAD).unwrap_or(0) & frame::STREAM;
        // It is about what goes the other way.
        let about = direction.opposite();
        if self.mode == Mode::Clear {
            if head.stream == 0 {
                self.way(about).connection.grant(more)?;
                let _passed_on = self.way(about).connection.owed();
            }
            self.way(direction).pass(raw, turn);
            return Ok(());
        }
        if more == 0 {
            return Err(Code::PROTOCOL_ERROR);
        }
        if head.stream == 0 {
            self.way(about).connection.grant(more)?;
            self.settle_up(about, None, turn);
            self.unblock(about, turn);
            return Ok(());
        }
        let window = match self.streams.find(head.stream, direction) {
            Found::Known(key) => {
                let half = self.streams.get(key).map(|stream| stream.half(about));
                half.and_then(|half| Some((key, half.window.as_mut()?)))
            }
            Found::Free | Found::Nobody => None,
        };
        match window {
            Some((key, window)) => {
                window.grant(more)?;
                self.settle_up(about, Some(key), turn);
                self.pump(key, about, turn);
            }
            None => self.relay(direction, head, raw, turn),
        }
        Ok(())
    }

    /// The connection has more room: what waited for it goes, as far as it has.
    pub(super) fn unblock(&mut self, direction: Direction, turn: &mut Turn<'_>) {
        while self.way(direction).connection.room() > 0
            && let Some(key) = self.way(direction).blocked.pop_first()
        {
            self.pump(key, direction, turn);
        }
    }

    /// The windows of all streams are so much larger; what waited for that goes, later.
    pub(super) fn shift_windows(&mut self, direction: Direction, by: i64) -> Vec<u32> {
        let mut waiting = Vec::new();
        for (key, stream) in self.streams.all() {
            let half = stream.half(direction);
            if let Some(window) = &mut half.window {
                window.shift(by);
                if !half.queue.is_empty() {
                    waiting.push(key);
                }
            }
        }
        waiting
    }

    /// A body ends before its end: its sender is told at once, its receiver behind what goes on.
    pub(super) fn break_off(
        &mut self,
        key: u32,
        direction: Direction,
        how: Break,
        turn: &mut Turn<'_>,
    ) {
        if let Some(stream) = self.streams.get(key) {
            stream.half(direction).swallow = true;
        }
        if direction == Direction::Downstream {
            self.cancel(key, turn);
            self.abandon(key, Direction::Upstream, turn);
        }
        let item = match how {
            Break::Reset(code) => Item::Reset(code),
            Break::Trailers(fields) => Item::Headers { fields, end: true },
        };
        self.queue(key, direction, item);
    }

    /// Tells the upstream, if it knows of the stream, that nobody wants it.
    fn cancel(&mut self, key: u32, turn: &mut Turn<'_>) {
        if let Some(number) = self.streams.get(key).and_then(|stream| stream.upstream) {
            let reset = frame::short(frame::RST_STREAM, number, Code::CANCEL.0);
            self.way(Direction::Upstream).say(&reset, turn);
        }
    }

    /// Nothing of this direction goes on.
    pub(super) fn abandon(&mut self, key: u32, direction: Direction, turn: &mut Turn<'_>) {
        let way = &mut self.ways[direction as usize];
        way.blocked.remove(&key);
        if let Some(stream) = self.streams.get(key) {
            let half = stream.half(direction);
            half.swallow = true;
            let held = half.hold.take();
            for item in std::mem::take(&mut half.queue) {
                way.parts -= 1;
                way.held -= item.weight();
                for window in std::iter::once(&mut way.connection).chain(&mut half.window) {
                    window.swallow(item.counted());
                }
            }
            if let Some(until) = held {
                self.streams.timers.remove(&(until, key));
            }
        }
        self.settle_up(direction, Some(key), turn);
        self.way(direction).finish(turn);
    }

    /// Both sides are told that there is no such stream any more.
    pub(super) fn refuse(&mut self, key: u32, code: Code, turn: &mut Turn<'_>) {
        let reset = frame::short(frame::RST_STREAM, key, code.0);
        self.way(Direction::Downstream).say(&reset, turn);
        self.cancel(key, turn);
        self.tally.forget(key);
        self.close(key, turn);
    }

    /// Forgets a stream, with everything that waits for it.
    pub(super) fn close(&mut self, key: u32, turn: &mut Turn<'_>) {
        if let Some(mut stream) = self.streams.remove(key) {
            for direction in [Direction::Upstream, Direction::Downstream] {
                let way = &mut self.ways[direction as usize];
                way.blocked.remove(&key);
                for item in &stream.half(direction).queue {
                    way.parts -= 1;
                    way.held -= item.weight();
                    way.connection.swallow(item.counted());
                }
                self.settle_up(direction, None, turn);
                self.way(direction).finish(turn);
            }
        }
    }

    /// Forgets it if it is over.
    pub(super) fn finish(&mut self, key: u32, turn: &mut Turn<'_>) {
        if self.streams.get(key).is_some_and(|stream| stream.is_over()) {
            self.close(key, turn);
        }
    }
}
