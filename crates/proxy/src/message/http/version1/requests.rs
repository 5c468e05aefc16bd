//! What the client says.

use std::time::Instant;

use super::super::decision::{Changes, Decision, Instead};
use super::body::Body;
use super::head::{Head, Request, Wrong};
use super::responses::Carried;
use super::{EXCHANGES_MOST, Exchange, HEAD_TIME, Method, Ours, Version1, rewrite};
use crate::arms::Member;
use crate::message::http::BodyChange;
use crate::message::passing::Passing;
use crate::message::{Answered, Sink};
use crate::stream::{Direction, End};

/// Where in the requests it is.
#[derive(Debug, Default)]
pub(super) struct Requests {
    at: At,
    /// What has come and has to wait, or is not whole.
    held: Vec<u8>,
    /// Of these, how many were looked through for the end of a head.
    known: usize,
    /// When the head that is not whole began.
    since: Option<Instant>,
    /// Requests that were decided on.
    count: u64,
    ended: bool,
}

#[derive(Debug, Default)]
enum At {
    #[default]
    Head,
    /// Decided; it goes on at this time.
    Waiting {
        until: Instant,
        since: Instant,
        /// Bytes of its head.
        length: usize,
        decision: Decision,
    },
    Body {
        body: Body,
        carried: Carried,
        /// What comes behind it is decided by its answer.
        may_become_other: bool,
    },
    /// An answer says whether this is HTTP still.
    Asking,
    /// It is something else now.
    Other,
    /// Nothing is taken any more.
    Closed,
}

impl Requests {
    pub(super) fn due(&self) -> Option<Instant> {
        match self.at {
            At::Waiting { until, .. } => Some(until),
            At::Head => self.since.map(|since| since + HEAD_TIME),
            _ => None,
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn close(&mut self) {
        self.at = At::Closed;
        self.held = Vec::new();
    }

    /// A request that a fault has wait: since when, and whose it is.
    pub(super) fn is_held_back(&self) -> Option<(Instant, Option<Member>)> {
        match &self.at {
            At::Waiting {
                since, decision, ..
            } => Some((*since, decision.member)),
            _ => None,
        }
    }

    /// The answer said what comes now.
    pub(super) fn become_other(&mut self, other: bool) {
        match (&mut self.at, other) {
            (
                At::Asking
                | At::Body {
                    may_become_other: true,
                    ..
                },
                true,
            ) => self.at = At::Other,
            (At::Asking, false) => self.at = At::Head,
            (
                At::Body {
                    may_become_other, ..
                },
                false,
            ) => *may_become_other = false,
            _ => {}
        }
    }

    /// Whether what was held before can be dealt with now, if there is any.
    fn is_waiting(&self, now: Instant) -> bool {
        match self.at {
            At::Waiting { until, .. } => until > now,
            At::Asking => true,
            _ => false,
        }
    }
}

impl Version1 {
    pub(super) fn take_requests(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        if self.requests.is_waiting(now) {
            self.requests.held.extend_from_slice(bytes);
            return;
        }
        if self.requests.held.is_empty() {
            let used = self.deal_with(bytes, now, out);
            if !matches!(self.requests.at, At::Closed) {
                self.requests.held.extend_from_slice(&bytes[used..]);
            }
        } else {
            let mut held = std::mem::take(&mut self.requests.held);
            held.extend_from_slice(bytes);
            let used = self.deal_with(&held, now, out);
            held.drain(..used);
            if !matches!(self.requests.at, At::Closed) {
                self.requests.held = held;
            }
        }
        let begun = matches!(self.requests.at, At::Head) && !self.requests.held.is_empty();
        self.requests.since = begun.then(|| self.requests.since.unwrap_or(now));
        if begun
            && self
                .requests
                .since
                .is_some_and(|since| now >= since + HEAD_TIME)
        {
            self.refuse(408, now, out);
        }
        if self.requests.ended {
            self.end_requests(now, out);
        }
    }

    /// Nothing more comes: what waits goes on, what is not whole does not.
    pub(super) fn end_requests(&mut self, now: Instant, out: &mut dyn Sink) {
        self.requests.ended = true;
        if let Some(web_socket) = &mut self.web_socket {
            web_socket.end(Direction::Upstream, now, out);
            return;
        }
        let waits = matches!(self.requests.at, At::Waiting { .. } | At::Asking);
        let full = self.exchanges.len() >= EXCHANGES_MOST && !self.requests.held.is_empty();
        if !waits && !full && !matches!(self.requests.at, At::Closed) {
            self.requests.close();
            out.end(Direction::Upstream, End::Fin);
        }
    }

    /// Deals with as many of these bytes as can be now.
    fn deal_with(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) -> usize {
        let mut passing = Passing::new(bytes, Direction::Upstream);
        while self.step(&mut passing, now, out) {}
        passing.flush(out);
        passing.used()
    }

    /// One thing; false when nothing can be done with the rest.
    fn step(&mut self, passing: &mut Passing<'_>, now: Instant, out: &mut dyn Sink) -> bool {
        match &mut self.requests.at {
            At::Head => {}
            At::Waiting { until, .. } if *until > now => return false,
            At::Waiting {
                since,
                length,
                decision,
                ..
            } => {
                let (since, length) = (*since, *length);
                let decision = std::mem::take(decision);
                return self.begin(decision, (since, length), passing, now, out);
            }
            At::Body {
                body,
                carried,
                may_become_other,
            } => {
                if body.is_over() {
                    self.requests.at = match may_become_other {
                        true => At::Asking,
                        false => At::Head,
                    };
                    return true;
                }
                if passing.rest().is_empty() {
                    return false;
                }
                return match carried.on(body, passing, out) {
                    Ok(true) => true,
                    Ok(false) => {
                        out.end(Direction::Upstream, End::Close);
                        self.requests.close();
                        false
                    }
                    Err(_) => {
                        // Its head is with the upstream already: there is no answer to give.
                        passing.flush(out);
                        out.end(Direction::Upstream, End::Close);
                        self.requests.close();
                        false
                    }
                };
            }
            At::Other => {
                self.pass_other(passing, now, out);
                return false;
            }
            At::Asking | At::Closed => return false,
        }
        self.decide(passing, now, out)
    }

    /// A head, if it is whole.
    fn decide(&mut self, passing: &mut Passing<'_>, now: Instant, out: &mut dyn Sink) -> bool {
        // Allowed before a request (RFC 9112, section 2.2).
        while passing.rest().starts_with(b"\r\n") {
            passing.pass(2);
        }
        if passing.rest().is_empty() || self.exchanges.len() >= EXCHANGES_MOST {
            return false;
        }
        let known = std::mem::take(&mut self.requests.known);
        let head = match Head::find(passing.rest(), known.min(passing.rest().len())) {
            Ok(Some(head)) => head,
            Ok(None) => {
                self.requests.known = passing.rest().len();
                return false;
            }
            Err(wrong) => return self.refuse_as(wrong, passing, now, out),
        };
        let decision = match self.decision(head) {
            Ok(decision) => decision,
            Err(wrong) => return self.refuse_as(wrong, passing, now, out),
        };
        self.requests.count += 1;
        let length = head.bytes.len();
        if decision.delay.is_zero() {
            return self.begin(decision, (now, length), passing, now, out);
        }
        self.requests.at = At::Waiting {
            until: now + decision.delay,
            since: now,
            length,
            decision,
        };
        false
    }

    fn decision(&self, head: Head<'_>) -> Result<Decision, Wrong> {
        if self.deciders.is_empty() && self.arms.is_none() {
            return Ok(Decision::default());
        }
        let request = head.request()?;
        let headers = request.headers.list();
        let member = self
            .arms
            .as_ref()
            .and_then(|arms| arms.of_request(&headers));
        let (chance, number) = (self.chance, self.requests.count);
        let Request { method, path, .. } = request;
        let deciders = &self.deciders;
        Ok(deciders.decide(chance, number, method, path, &headers, member))
    }

    /// Sends a request on, or answers it. It came at a time, and its head has a length.
    fn begin(
        &mut self,
        decision: Decision,
        (since, length): (Instant, usize),
        passing: &mut Passing<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        self.requests.at = At::Head;
        let head = Head {
            bytes: &passing.rest()[..length],
        };
        let request = match head.request() {
            Ok(request) => request,
            Err(wrong) => return self.refuse_as(wrong, passing, now, out),
        };
        let method = match request.method {
            b"HEAD" => Method::Head,
            b"CONNECT" => Method::Connect,
            _ => Method::Other,
        };
        let mut exchange = Exchange {
            since,
            member: decision.member,
            method,
            may_become_other: request.may_become_other,
            web_socket: request.may_become_web_socket.then(|| request.path.into()),
            changes: decision.response,
            ours: None,
        };
        match decision.instead {
            Some(Instead::Reset) => {
                passing.flush(out);
                out.answered(Answered {
                    well: false,
                    ours: true,
                    took: now.saturating_duration_since(since),
                    member: decision.member,
                });
                out.end(Direction::Upstream, End::Reset);
                self.requests.close();
                return false;
            }
            Some(Instead::Answer { status, body }) => {
                let closes = request.is_last;
                let has_body = method != Method::Head;
                exchange.ours = Some(Ours {
                    status,
                    bytes: rewrite::answer(status, &body, has_body, closes),
                    closes,
                });
                self.requests.at = At::Body {
                    body: request.body,
                    carried: Carried::dropped(),
                    may_become_other: false,
                };
                passing.skip(head.bytes.len(), out);
            }
            None => self.send_on(head, &request, &decision.request, passing, out),
        }
        self.exchanges.push_back(exchange);
        passing.flush(out);
        self.give_ours(now, out);
        !matches!(self.requests.at, At::Closed)
    }

    fn send_on(
        &mut self,
        head: Head<'_>,
        request: &Request<'_>,
        changes: &Changes,
        passing: &mut Passing<'_>,
        out: &mut dyn Sink,
    ) {
        let length = head.bytes.len();
        if changes.is_none() {
            passing.pass(length);
        } else {
            passing.skip(length, out);
            passing.insert(&rewrite::head(head.bytes, changes), out);
        }
        if let Some((BodyChange::Replace(body), _)) = &changes.body {
            passing.insert(body, out);
        }
        self.requests.at = At::Body {
            body: request.body,
            carried: Carried::with(changes),
            may_become_other: request.may_become_other,
        };
    }

    fn refuse_as(
        &mut self,
        wrong: Wrong,
        passing: &mut Passing<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        passing.flush(out);
        let status = match wrong {
            Wrong::Malformed => 400,
            Wrong::TooLarge => 431,
            Wrong::UnknownCoding => 501,
        };
        self.refuse(status, now, out);
        false
    }

    /// Answers what cannot go on, when what came before has its answers, and closes then.
    fn refuse(&mut self, status: u16, now: Instant, out: &mut dyn Sink) {
        self.requests.close();
        let bytes = rewrite::answer(status, &bytes::Bytes::new(), false, true);
        self.exchanges.push_back(Exchange {
            since: now,
            member: None,
            method: Method::Other,
            may_become_other: false,
            web_socket: None,
            changes: Changes::default(),
            ours: Some(Ours {
                status,
                bytes,
                closes: true,
            }),
        });
        self.give_ours(now, out);
    }
}
