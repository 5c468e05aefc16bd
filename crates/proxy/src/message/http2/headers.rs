//! What is done with header blocks: a request is decided on, its answer is changed.

use bytes::Bytes;

use super::body::{self, Break};
use super::error::Code;
use super::frame;
use super::hpack::Field;
use super::plan::{Plan, Stop};
use super::stream::{Item, Stream};
use super::streams::Found;
use super::tally::Look;
use super::turn::Turn;
use super::way::Block;
use super::{Http2, Mode};
use crate::arms::Member;
use crate::stream::Direction;

impl Http2 {
    /// A header block that is complete.
    pub(super) fn block(
        &mut self,
        direction: Direction,
        block: &Block,
        turn: &mut Turn<'_>,
    ) -> Result<(), Code> {
        let is_request = direction == Direction::Upstream
            && !block.stream.is_multiple_of(2)
            && block.stream > self.streams.last[0];
        let looks = is_request && !self.faults.is_empty();
        if self.mode == Mode::Clear && !looks {
            let mut look = Look::default();
            let decoder = &mut self.way(direction).decoder;
            decoder.each(&block.fragment, &mut |name, value, _| look.at(name, value))?;
            if is_request {
                self.count(block, None, turn);
            } else if direction == Direction::Downstream && block.promised.is_none() {
                self.judge(block.stream, &look, block.end_stream, false, turn);
            }
            self.way(direction).pass(&block.raw, turn);
            return Ok(());
        }
        let fields = self.way(direction).decoder.decode(&block.fragment)?;
        if is_request {
            return self.request(block, fields, turn);
        }
        let found = self.streams.find(block.stream, direction);
        if found != Found::Free && direction == Direction::Upstream && self.is_said(block.stream) {
            // Behind the end of the whole stream it is an error of the connection.
            let is_open = matches!(found, Found::Known(_));
            return is_open
                .then(|| self.close_again(block.stream, turn))
                .ok_or(Code::STREAM_CLOSED);
        }
        self.later(direction, block, fields, turn);
        Ok(())
    }

    /// There is a new request.
    fn count(&mut self, block: &Block, member: Option<Member>, turn: &Turn<'_>) {
        self.streams.last[0] = block.stream;
        if self.mode == Mode::Clear {
            self.streams.last[1] = block.stream;
        }
        self.requests += 1;
        self.tally.asked(block.stream, member, turn.now);
    }

    /// Headers of an answer go to the client: it is counted, if they are its end.
    pub(super) fn judge(
        &mut self,
        key: u32,
        look: &Look,
        end: bool,
        ours: bool,
        turn: &mut Turn<'_>,
    ) {
        let end = end.then_some(turn.now);
        let answered = self.tally.headers(key, look, ours, end);
        turn.answered(answered);
    }

    fn request(
        &mut self,
        block: &Block,
        fields: Option<Vec<Field>>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Code> {
        let known = fields.as_deref().unwrap_or_default();
        let (plan, member) = self.faults.plan(self.requests, known);
        if self.mode == Mode::Clear {
            if plan.is_none() {
                self.count(block, member, turn);
                self.way(Direction::Upstream).pass(&block.raw, turn);
                return Ok(());
            }
            self.streams.begin();
            self.mode = Mode::Managed;
        }
        self.count(block, member, turn);
        let refused = match &fields {
            None => Some(Code::ENHANCE_YOUR_CALM),
            Some(_) if self.streams.is_full() => Some(Code::REFUSED_STREAM),
            Some(_) => None,
        };
        if let Some(code) = refused {
            let reset = frame::short(frame::RST_STREAM, block.stream, code.0);
            self.way(Direction::Downstream).say(&reset, turn);
            self.tally.forget(block.stream);
            return Ok(());
        }
        let plan = plan.unwrap_or_default();
        self.start(block, fields.unwrap_or_default(), plan, turn);
        Ok(())
    }

    /// A request goes on, or is answered here, as planned.
    fn start(&mut self, block: &Block, fields: Vec<Field>, plan: Plan, turn: &mut Turn<'_>) {
        let key = block.stream;
        let Plan {
            delay,
            stop,
            changes,
        } = plan;
        let direction = match stop {
            None => Direction::Upstream,
            Some(_) => Direction::Downstream,
        };
        let mut stream = Stream::new(changes, [self.ways[0].initial, self.ways[1].initial]);
        stream.head = fields
            .iter()
            .any(|f| f.is(":method") && *f.value == *b"HEAD");
        let request = stream.half(Direction::Upstream);
        request.ended = block.end_stream;
        request.swallow = stop.is_some();
        if !delay.is_zero()
            && let Some(until) = turn.now.checked_add(delay)
        {
            stream.half(direction).hold = Some(until);
            self.streams.timers.insert((until, key));
        }
        self.streams.insert(key, stream);
        match stop {
            None => self.change_headers(key, direction, fields, block.end_stream, turn),
            Some(Stop::Reset) => self.queue(key, direction, Item::Reset(Code::INTERNAL_ERROR)),
            Some(Stop::Answer { fields, body }) => self.answer(key, fields, body),
        }
        self.pump(key, direction, turn);
    }

    fn answer(&mut self, key: u32, fields: Vec<Field>, bytes: Bytes) {
        let end = bytes.is_empty();
        self.queue(key, Direction::Downstream, Item::Headers { fields, end });
        if !end {
            let (end, ours) = (true, true);
            self.queue(key, Direction::Downstream, Item::Data { bytes, end, ours });
        }
    }

    /// Headers of a request or an answer, not its trailers, with what faults make of them.
    fn change_headers(
        &mut self,
        key: u32,
        direction: Direction,
        mut fields: Vec<Field>,
        end: bool,
        turn: &mut Turn<'_>,
    ) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        let bare = direction == Direction::Downstream && (stream.head || has_no_body(&fields));
        let half = stream.half(direction);
        half.headed = true;
        let ours = half.changes.replaced().filter(|_| !bare);
        if let Some(body) = &ours {
            body::set_length(&mut fields, body.len());
        }
        for change in &half.changes.headers {
            body::change(&mut fields, change);
        }
        let is_ours = ours.is_some();
        // Without a body of ours nothing, yet: an answer may have to break off before its first byte.
        let (bytes, stop) = if is_ours || !(end || bare) {
            half.changes.apply(ours.unwrap_or_default())
        } else {
            (Bytes::new(), None::<Break>)
        };
        let last = end && stop.is_none();
        let bodied = is_ours && (last || !bytes.is_empty());
        let end = last && !bodied;
        self.queue(key, direction, Item::Headers { fields, end });
        if bodied {
            let (end, ours) = (last, true);
            self.queue(key, direction, Item::Data { bytes, end, ours });
        }
        if let Some(how) = stop {
            self.break_off(key, direction, how, turn);
        }
    }

    /// A block on a stream that there is already: an answer, trailers, a promise.
    fn later(
        &mut self,
        direction: Direction,
        block: &Block,
        fields: Option<Vec<Field>>,
        turn: &mut Turn<'_>,
    ) {
        let found = self.streams.find(block.stream, direction);
        if let Some(promised) = block.promised {
            return self.promise(found, block.stream, promised, fields, turn);
        }
        match (found, fields) {
            (Found::Nobody, _) => {}
            (Found::Free, Some(fields)) => {
                if direction == Direction::Downstream {
                    let look = Look::of(&fields);
                    self.judge(block.stream, &look, block.end_stream, false, turn);
                }
                let way = self.way(direction);
                let end = if block.end_stream {
                    frame::END_STREAM
                } else {
                    0
                };
                let written = way.encoder.encode(&fields);
                let frames = frame::block(frame::HEADERS, end, block.stream, &written);
                way.say(&frames, turn);
            }
            (Found::Free, None) => {
                for way in &mut self.ways {
                    let code = Code::ENHANCE_YOUR_CALM.0;
                    way.say(&frame::short(frame::RST_STREAM, block.stream, code), turn);
                }
            }
            (Found::Known(key), None) => self.refuse(key, Code::ENHANCE_YOUR_CALM, turn),
            (Found::Known(key), Some(fields)) => {
                self.known(direction, key, fields, block.end_stream, turn);
            }
        }
    }

    fn known(
        &mut self,
        direction: Direction,
        key: u32,
        fields: Vec<Field>,
        end: bool,
        turn: &mut Turn<'_>,
    ) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        let half = stream.half(direction);
        half.ended |= end;
        let interim = |field: &Field| field.is(":status") && field.value.starts_with(b"1");
        if half.swallow {
            self.finish(key, turn);
        } else if half.headed || (!end && fields.iter().any(interim)) {
            self.queue(key, direction, Item::Headers { fields, end });
        } else {
            self.change_headers(key, direction, fields, end, turn);
        }
        self.pump(key, direction, turn);
    }

    /// The upstream wants to push. It may, unless the request is answered here.
    fn promise(
        &mut self,
        found: Found,
        number: u32,
        promised: u32,
        fields: Option<Vec<Field>>,
        turn: &mut Turn<'_>,
    ) {
        let wanted = match found {
            Found::Free => Some(number),
            Found::Known(key) => {
                let stream = self.streams.get(key);
                stream.and_then(|s| (!s.half(Direction::Downstream).swallow).then_some(key))
            }
            Found::Nobody => None,
        };
        let Some((number, fields)) = wanted.zip(fields) else {
            self.streams.forget_pushed(promised);
            let reset = frame::short(frame::RST_STREAM, promised, Code::CANCEL.0);
            return self.way(Direction::Upstream).say(&reset, turn);
        };
        let way = self.way(Direction::Downstream);
        let mut payload = promised.to_be_bytes().to_vec();
        payload.extend(way.encoder.encode(&fields));
        let frames = frame::block(frame::PUSH_PROMISE, 0, number, &payload);
        way.say(&frames, turn);
    }
}

/// By its status.
fn has_no_body(fields: &[Field]) -> bool {
    let status = fields.iter().find(|field| field.is(":status"));
    status.is_some_and(|status| matches!(&*status.value, b"204" | b"304"))
}
