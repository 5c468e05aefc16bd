//! HTTP/1.1 on one connection (RFC 9112).
//!
//! Requests are read strictly, answers as they come: a request that two readers may read
//! differently is answered with 400 and goes no further; an answer that cannot be read goes on
//! untouched, and everything behind it.

mod body;
mod head;
mod requests;
mod responses;
mod rewrite;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::decision::{Changes, Deciders};
use crate::arms::{Arms, Member};
use crate::chance::Chance;
use crate::message::passing::Passing;
use crate::message::websocket::{self, WebSocket};
use crate::message::{Answered, MessageFault, Session, Sink};
use crate::stream::{Direction, End};

use requests::Requests;
use responses::Responses;

/// Requests whose answers have not come. More wait until one has.
const EXCHANGES_MOST: usize = 128;

/// Bytes that wait because a request does; more are not taken.
const HELD_MOST: usize = 64 << 10;

/// How long a request may take to say what it is.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub struct Version1 {
    deciders: Deciders,
    /// Of the messages of a WebSocket.
    on_messages: websocket::Deciders,
    arms: Option<Arms>,
    chance: Chance,
    requests: Requests,
    responses: Responses,
    exchanges: VecDeque<Exchange>,
    /// What it has become.
    web_socket: Option<Box<WebSocket>>,
}

/// A request that has no whole answer yet.
#[derive(Debug)]
struct Exchange {
    since: Instant,
    member: Option<Member>,
    method: Method,
    /// The rest goes where this one's answer decides.
    may_become_other: bool,
    /// The path, where it asks for a WebSocket.
    web_socket: Option<Box<[u8]>>,
    changes: Changes,
    /// An answer of ours, which comes when those before it have come.
    ours: Option<Ours>,
}

#[derive(Debug)]
struct Ours {
    status: u16,
    bytes: Vec<u8>,
    closes: bool,
}

/// As far as it matters for where an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Head,
    Connect,
    Other,
}

impl Version1 {
    /// `chance` is the connection's.
    #[must_use]
    pub fn new(chance: Chance, faults: &[MessageFault]) -> Self {
        Self {
            deciders: Deciders::new(faults),
            on_messages: websocket::Deciders::new(faults),
            arms: None,
            chance,
            requests: Requests::default(),
            responses: Responses::default(),
            exchanges: VecDeque::new(),
            web_socket: None,
        }
    }

    /// Gives the answers of ours whose turn it is.
    fn give_ours(&mut self, now: Instant, out: &mut dyn Sink) {
        while let Some(ours) = self.exchanges.front().and_then(|first| first.ours.as_ref()) {
            out.send(Direction::Downstream, &ours.bytes);
            let (status, closes) = (ours.status, ours.closes);
            self.finish(status, true, now, out);
            if closes {
                self.requests.close();
                out.end(Direction::Downstream, End::Close);
                return;
            }
        }
    }

    /// The first request has asked for a WebSocket, and has it, if it had asked.
    fn become_web_socket(&mut self) {
        let first = self.exchanges.front_mut();
        let asked = first.and_then(|first| Some((first.web_socket.take()?, first.member)));
        if let Some((path, member)) = asked {
            let arm = member.map(|member| member.arm);
            let web_socket = WebSocket::new(self.chance, path.into_vec(), arm);
            self.web_socket = Some(Box::new(web_socket));
        }
    }

    /// What is not HTTP any more.
    fn pass_other(&mut self, passing: &mut Passing<'_>, now: Instant, out: &mut dyn Sink) {
        let rest = passing.rest();
        let Some(web_socket) = &mut self.web_socket else {
            passing.pass(rest.len());
            return;
        };
        passing.skip(rest.len(), out);
        web_socket.receive(passing.direction(), rest, &self.on_messages, now, out);
    }

    /// The first request has its answer.
    fn finish(&mut self, status: u16, ours: bool, now: Instant, out: &mut dyn Sink) {
        if let Some(exchange) = self.exchanges.pop_front() {
            out.answered(Answered {
                well: status < 500,
                ours,
                took: now.saturating_duration_since(exchange.since),
                member: exchange.member,
            });
        }
    }

    /// No answer comes any more. Who gave up on a late one counts: without them, a delay beyond the
    /// callers' patience would seem to meet nobody.
    fn leave_unanswered(&mut self, now: Instant, out: &mut dyn Sink) {
        let asked = self.exchanges.drain(..);
        for exchange in asked.filter(|exchange| exchange.ours.is_none()) {
            out.answered(Answered {
                well: false,
                ours: false,
                took: now.saturating_duration_since(exchange.since),
                member: exchange.member,
            });
        }
    }
}

impl Session for Version1 {
    fn receive(&mut self, direction: Direction, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        match direction {
            Direction::Upstream => self.take_requests(bytes, now, out),
            Direction::Downstream => {
                self.take_responses(bytes, now, out);
                // A request may have waited for this answer.
                self.take_requests(&[], now, out);
            }
        }
    }

    fn end(&mut self, direction: Direction, now: Instant, out: &mut dyn Sink) {
        match direction {
            Direction::Upstream => self.end_requests(now, out),
            Direction::Downstream => self.end_responses(now, out),
        }
    }

    fn give_up(&mut self, now: Instant, out: &mut dyn Sink) {
        self.leave_unanswered(now, out);
        if let Some((since, member)) = self.requests.is_held_back() {
            // Whoever gave up did so on the fault.
            out.answered(Answered {
                well: false,
                ours: true,
                took: now.saturating_duration_since(since),
                member,
            });
        }
    }

    fn wake(&mut self, now: Instant, out: &mut dyn Sink) {
        self.take_requests(&[], now, out);
        if let Some(web_socket) = &mut self.web_socket {
            web_socket.wake(now, out);
        }
    }

    fn due(&self) -> Option<Instant> {
        match &self.web_socket {
            Some(web_socket) => web_socket.due(),
            None => self.requests.due(),
        }
    }

    fn has_room(&self, direction: Direction) -> bool {
        if let Some(web_socket) = &self.web_socket {
            return web_socket.has_room(direction);
        }
        match direction {
            Direction::Upstream => {
                self.exchanges.len() < EXCHANGES_MOST && self.requests.held() < HELD_MOST
            }
            Direction::Downstream => true,
        }
    }

    fn change(&mut self, faults: &[MessageFault]) {
        self.deciders = Deciders::new(faults);
        self.on_messages = websocket::Deciders::new(faults);
    }

    fn divide(&mut self, arms: Option<Arms>) {
        self.arms = arms.filter(Arms::is_of_requests);
    }
}

#[cfg(test)]
mod tests;
