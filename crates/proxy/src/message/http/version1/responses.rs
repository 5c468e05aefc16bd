//! What the upstream answers.

use std::time::Instant;

use super::super::corruption::corrupt;
use super::super::decision::Changes;
use super::body::{Body, Malformed, Run};
use super::head::{Head, Response};
use super::{Method, Version1, rewrite};
use crate::chance::Chance;
use crate::message::Sink;
use crate::message::http::BodyChange;
use crate::message::passing::Passing;
use crate::stream::{Direction, End};

/// Where in the answers it is.
#[derive(Debug, Default)]
pub(super) struct Responses {
    at: At,
    /// A head that is not whole.
    held: Vec<u8>,
    known: usize,
}

#[derive(Debug, Default)]
enum At {
    #[default]
    Head,
    Body {
        status: u16,
        body: Body,
        carried: Carried,
    },
    /// It goes on untouched: it is something else now, or cannot be read.
    Other,
    /// Nothing is taken any more.
    Closed,
}

/// How a body goes on.
#[derive(Debug)]
pub(super) struct Carried {
    how: How,
    /// Bytes of data so far.
    offset: u64,
}

#[derive(Debug)]
enum How {
    Whole,
    Not,
    /// So many bytes.
    Until(u64),
    Corrupted {
        share: f64,
        chance: Chance,
    },
}

impl Carried {
    pub(super) fn dropped() -> Self {
        Self::new(How::Not)
    }

    pub(super) fn with(changes: &Changes) -> Self {
        Self::new(match &changes.body {
            None => How::Whole,
            Some((BodyChange::Replace(_), _)) => How::Not,
            Some((BodyChange::Truncate { after }, _)) => How::Until(*after),
            Some((BodyChange::Corrupt { share }, chance)) => How::Corrupted {
                share: *share,
                chance: *chance,
            },
        })
    }

    fn new(how: How) -> Self {
        Self { how, offset: 0 }
    }

    /// Carries the next bytes of the body on; whether it goes on after them. There is at least one
    /// byte, and the body is not over.
    pub(super) fn on(
        &mut self,
        body: &mut Body,
        passing: &mut Passing<'_>,
        out: &mut dyn Sink,
    ) -> Result<bool, Malformed> {
        let bytes = passing.rest();
        let (length, is_data) = match body.next(bytes)? {
            Run::Data(length) => (length, true),
            Run::Framing(length) => (length, false),
        };
        match self.how {
            How::Whole => passing.pass(length),
            How::Not => passing.skip(length, out),
            How::Until(most) if is_data => {
                let left = usize::try_from(most - self.offset).unwrap_or(usize::MAX);
                passing.pass(length.min(left));
                if length >= left {
                    passing.flush(out);
                    return Ok(false);
                }
            }
            How::Corrupted { share, chance } if is_data => {
                let mut data = bytes[..length].to_vec();
                corrupt(&mut data, self.offset, share, chance);
                passing.skip(length, out);
                passing.insert(&data, out);
            }
            How::Until(_) | How::Corrupted { .. } => passing.pass(length),
        }
        if is_data {
            self.offset += length as u64;
        }
        Ok(true)
    }
}

impl Version1 {
    pub(super) fn take_responses(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        if self.responses.held.is_empty() {
            let used = self.read_responses(bytes, now, out);
            self.responses.held.extend_from_slice(&bytes[used..]);
        } else {
            let mut held = std::mem::take(&mut self.responses.held);
            held.extend_from_slice(bytes);
            let used = self.read_responses(&held, now, out);
            held.drain(..used);
            self.responses.held = held;
        }
    }

    /// Nothing more comes. What is not whole goes on as it is.
    pub(super) fn end_responses(&mut self, now: Instant, out: &mut dyn Sink) {
        if let Some(web_socket) = &mut self.web_socket {
            web_socket.end(Direction::Downstream, now, out);
            return;
        }
        let held = std::mem::take(&mut self.responses.held);
        if !held.is_empty() {
            out.send(Direction::Downstream, &held);
        }
        if let At::Body { status, .. } = self.responses.at {
            self.finish(status, false, now, out);
        }
        self.leave_unanswered(now, out);
        self.responses.at = At::Closed;
        out.end(Direction::Downstream, End::Fin);
    }

    fn read_responses(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) -> usize {
        let mut passing = Passing::new(bytes, Direction::Downstream);
        while self.read_response(&mut passing, now, out) {}
        passing.flush(out);
        passing.used()
    }

    /// One thing; false when nothing can be done with the rest.
    fn read_response(
        &mut self,
        passing: &mut Passing<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        match &mut self.responses.at {
            At::Head => self.read_head(passing, now, out),
            At::Body {
                status,
                body,
                carried,
            } => {
                if body.is_over() {
                    let status = *status;
                    self.responses.at = At::Head;
                    passing.flush(out);
                    self.finish(status, false, now, out);
                    self.give_ours(now, out);
                    return true;
                }
                if passing.rest().is_empty() {
                    return false;
                }
                match carried.on(body, passing, out) {
                    Ok(true) => true,
                    Ok(false) => {
                        self.responses.at = At::Closed;
                        self.requests.close();
                        out.end(Direction::Downstream, End::Close);
                        true
                    }
                    Err(Malformed) => {
                        self.responses.at = At::Other;
                        true
                    }
                }
            }
            At::Other => {
                self.pass_other(passing, now, out);
                false
            }
            At::Closed => {
                passing.skip(passing.rest().len(), out);
                false
            }
        }
    }

    fn read_head(&mut self, passing: &mut Passing<'_>, now: Instant, out: &mut dyn Sink) -> bool {
        if passing.rest().is_empty() {
            return false;
        }
        let Some(exchange) = self.exchanges.front() else {
            // Nobody asked.
            self.responses.at = At::Other;
            return true;
        };
        let known = std::mem::take(&mut self.responses.known);
        let head = match Head::find(passing.rest(), known.min(passing.rest().len())) {
            Ok(Some(head)) => head,
            Ok(None) => {
                self.responses.known = passing.rest().len();
                return false;
            }
            Err(_) => {
                self.responses.at = At::Other;
                return true;
            }
        };
        let Ok(Response {
            status,
            body,
            is_web_socket,
        }) = head.response(exchange.method != Method::Head)
        else {
            self.responses.at = At::Other;
            return true;
        };
        let connected = exchange.method == Method::Connect && (200..300).contains(&status);
        if status == 101 || connected {
            passing.pass(head.bytes.len());
            if is_web_socket && status == 101 {
                self.become_web_socket();
            }
            self.finish(status, false, now, out);
            self.responses.at = At::Other;
            self.requests.become_other(true);
            return true;
        }
        if status < 200 {
            passing.pass(head.bytes.len());
            return true;
        }
        if exchange.may_become_other {
            self.requests.become_other(false);
        }
        self.carry(status, body, head, passing, out);
        true
    }

    fn carry(
        &mut self,
        status: u16,
        body: Body,
        head: Head<'_>,
        passing: &mut Passing<'_>,
        out: &mut dyn Sink,
    ) {
        let none = Changes::default();
        let changes = self.exchanges.front().map_or(&none, |first| &first.changes);
        let length = head.bytes.len();
        if changes.is_none() {
            passing.pass(length);
        } else {
            passing.skip(length, out);
            passing.insert(&rewrite::head(head.bytes, changes), out);
            if let Some((BodyChange::Replace(ours), _)) = &changes.body {
                passing.insert(ours, out);
            }
        }
        let carried = Carried::with(changes);
        self.responses.at = At::Body {
            status,
            body,
            carried,
        };
    }
}
